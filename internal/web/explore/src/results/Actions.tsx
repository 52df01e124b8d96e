import { useState } from 'preact/hooks';

import type { Client, Line, Zone } from '../model';
import { Context } from './Context';
import { asJson, copy } from './copy';

export interface ActionsProps {
  line: Line;
  zone: Zone;
  client: Client;
  /** The address at which a colleague sees this line; missing where there is none. */
  linkTo: ((line: Line) => string) | undefined;
}

/** What can be done with a line: above its text, which may be long. */
export function Actions({ line, zone, client, linkTo }: ActionsProps) {
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
      {context && <Context line={line} zone={zone} client={client} onClose={() => setContext(false)} />}
    </div>
  );
}
