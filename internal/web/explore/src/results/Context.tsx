import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Client, Failure, Line, Zone } from '../model';
import { joined, type Around } from './contextLines';
import { levelOf } from './level';
import { marker } from './highlights';
import { selectorOf } from './selector';
import { Text } from './Text';
import { fullStamp, stamp } from './time';

export interface ContextProps {
  line: Line;
  zone: Zone;
  client: Client;
  onClose: () => void;
}

const page = 20;
const noMarks = marker([]);

/** What was logged before and after a line in its stream, in a dialog. */
export function Context({ line, zone, client, onClose }: ContextProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const center = useRef<HTMLLIElement>(null);
  const [around, setAround] = useState<Around>();
  const [failure, setFailure] = useState<Failure>();
  const [loading, setLoading] = useState(true);
  const aborter = useMemo(() => new AbortController(), []);

  const load = async (ns: string, before: number, after: number): Promise<void> => {
    setLoading(true);
    const params = { stream: selectorOf(line.stream), timestamp: ns, before, after };
    const { data, error } = await client.getContext(params, { signal: aborter.signal });
    if (aborter.signal.aborted) return;
    setLoading(false);
    setFailure(error);
    if (data) setAround((held) => joined(held, data, before, after));
  };
  useLayoutEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    void load(line.ns, page, page);
    return () => {
      aborter.abort();
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  const there = around !== undefined;
  useEffect(() => center.current?.scrollIntoView({ block: 'center' }), [there]);

  const at = around?.lines ?? [];
  const [oldest, newest] = [at[0]?.ns ?? line.ns, at.at(-1)?.ns ?? line.ns];
  return (
    <dialog ref={dialog} class="r-dialog" aria-labelledby="r-context-title" onClose={onClose}>
      <header>
        <h2 id="r-context-title">Context</h2>
        <span class="r-muted">{fullStamp(line.ns, zone)}</span>
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </header>
      <code class="r-selector">{selectorOf(line.stream)}</code>
      <div class="r-around" aria-busy={loading} tabIndex={0} role="region" aria-label="Lines around it">
        {failure && (
          <p role="alert" class="r-problem">
            {failure.title}: {failure.detail}
          </p>
        )}
        <End done={around?.first} none="Nothing older within a day." onMore={() => void load(oldest, page, 0)} loading={loading}>
          More before
        </End>
        <ol>
          {at.map((one) => {
            const same = one.ns === line.ns && one.text === line.text;
            return (
              <li key={one.key} ref={same ? center : undefined} class={`r-row r-${levelOf(one)}`} aria-current={same}>
                <time>{stamp(one.ns, zone, 3)}</time>
                <Text text={one.text} mark={noMarks} wrap={true} />
              </li>
            );
          })}
        </ol>
        <End done={around?.last} none="Nothing newer within a day." onMore={() => void load(newest, 0, page)} loading={loading}>
          More after
        </End>
      </div>
    </dialog>
  );
}

interface EndProps {
  done: boolean | undefined;
  none: string;
  onMore: () => void;
  loading: boolean;
  children: string;
}

function End({ done, none: nothing, onMore, loading, children }: EndProps) {
  if (done === undefined) return loading ? <p class="r-muted">Loading…</p> : null;
  return done ? (
    <p class="r-muted">{nothing}</p>
  ) : (
    <button type="button" class="r-link" disabled={loading} onClick={onMore}>
      {children}
    </button>
  );
}
