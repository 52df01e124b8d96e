import { useState } from 'preact/hooks';

import type { Line } from '../model';
import { Context } from './Context';
import { asJson, copy } from './copy';
import type { Look } from './Row';

export interface ActionsProps {
  line: Line;
  look: Pick<Look, 'zone' | 'client' | 'linkTo' | 'varying'>;
}

/** What can be done with a line: above its text, which may be long. */
export function Actions({ line, look }: ActionsProps) {
  const { zone, client, linkTo, varying } = look;
  const [said, say] = useState('');
  const [context, setContext] = useState(false);
  const take = (text: string, what: string): void => {
    void copy(text).then((done) => say(done ? `Copied ${what}.` : 'The browser did not allow copying.'));
  };
  return (
    <div class="r-actions">
      <button type="button" onClick={() => setContext(true)}>
        Show context
      </button>
      <button type="button" onClick={() => take(line.text, 'the line')}>
        Copy line
      </button>
      <button type="button" onClick={() => take(asJson(line), 'the line as JSON')}>
        Copy as JSON
      </button>
      {linkTo && (
        <button type="button" onClick={() => take(linkTo(line), 'the link')}>
          Copy link
        </button>
      )}
      <span role="status" class="r-said">
        {said}
      </span>
      {context && <Context line={line} zone={zone} client={client} varying={varying} onClose={() => setContext(false)} />}
    </div>
  );
}
