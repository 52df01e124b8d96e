import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Client, Failure, Line, Zone } from '../model';
import { joined, type Around } from './contextLines';
import { levelOf, wordOf } from './level';
import { marker } from './highlights';
import { quoted, selectorOf } from './selector';
import { tagsOf, tagValue } from './tags';
import { Text } from './Text';
import { fullStamp, stamp } from './time';

export interface ContextProps {
  line: Line;
  zone: Zone;
  client: Client;
  /** Labels that vary from line to line: what is around is looked for without them at first. */
  varying: ReadonlySet<string>;
  onClose: () => void;
}

const page = 20;
const noMarks = marker([]);
const noTenants: string[] = [];

/** What was logged before and after a line, in all streams that have the chosen labels in common with its own. */
export function Context({ line, zone, client, varying, onClose }: ContextProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const labels = Object.entries(line.stream).filter(([name]) => name !== '__stream_shard__');
  const [chosen, setChosen] = useState<ReadonlySet<string>>(() => atFirst(labels, varying));
  const { around, failure, loading, load } = useAround(line, client, chosen);
  useLayoutEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (opener instanceof HTMLElement) opener.focus();
    };
  }, []);
  const choose = (name: string): void => {
    const next = new Set(chosen);
    if (!next.delete(name)) next.add(name);
    setChosen(next);
  };
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
      <fieldset class="r-common">
        <legend>Lines of all streams with these labels</legend>
        {labels.map(([name, value]) => (
          <label key={name}>
            <input
              type="checkbox"
              checked={chosen.has(name)}
              disabled={chosen.size === 1 && chosen.has(name)}
              onChange={() => choose(name)}
            />
            <bdi>
              {name}={quoted(value)}
            </bdi>
          </label>
        ))}
      </fieldset>
      <div class="r-around" aria-busy={loading} tabIndex={0} role="region" aria-label="Lines around it">
        {failure && (
          <p role="alert" class="r-problem">
            {failure.title}: {failure.detail}
          </p>
        )}
        <End done={around?.first} none="No older lines within a day." onMore={() => load(oldest, page, 0)} loading={loading}>
          Load older lines
        </End>
        <AroundLines lines={at} line={line} zone={zone} />
        <End done={around?.last} none="No newer lines within a day." onMore={() => load(newest, 0, page)} loading={loading}>
          Load newer lines
        </End>
      </div>
    </dialog>
  );
}

/** All labels but those that vary; all of them where nothing else is left. */
function atFirst(labels: [string, string][], varying: ReadonlySet<string>): ReadonlySet<string> {
  const names = labels.map(([name]) => name);
  const steady = names.filter((name) => !varying.has(name));
  return new Set(steady.length > 0 ? steady : names);
}

/** The lines around one, in the streams that have these labels in common with its own. */
function useAround(line: Line, client: Client, names: ReadonlySet<string>) {
  const [around, setAround] = useState<Around>();
  const [failure, setFailure] = useState<Failure>();
  const [loading, setLoading] = useState(true);
  const aborter = useRef(new AbortController());
  const load = (ns: string, before: number, after: number): void => {
    const { signal } = aborter.current;
    setLoading(true);
    void client.getContext({ stream: selectorOf(line.stream, names), timestamp: ns, before, after }, { signal }).then(({ data, error }) => {
      if (signal.aborted) return;
      setLoading(false);
      setFailure(error);
      if (data) setAround((held) => joined(held, data, before, after));
    });
  };
  useEffect(() => {
    aborter.current = new AbortController();
    setAround(undefined);
    load(line.ns, page, page);
    return () => aborter.current.abort();
  }, [names]);
  return { around, failure, loading, load };
}

function AroundLines({ lines, line, zone }: { lines: Line[]; line: Line; zone: Zone }) {
  const center = useRef<HTMLLIElement>(null);
  const there = lines.length > 0;
  useEffect(() => center.current?.scrollIntoView({ block: 'center' }), [there]);
  const tags = useMemo(() => tagsOf(lines, noTenants), [lines]);
  // Rows of a stack trace are lines of their own here.
  const text = line.text.split('\n', line.joined ? 1 : undefined).join('\n');
  return (
    <ol>
      {lines.map((one) => {
        const same = one.ns === line.ns && one.text === text;
        return (
          <li key={one.key} ref={same ? center : undefined} class={`r-row r-${levelOf(one)}`} aria-current={same}>
            <time>{stamp(one.ns, zone, 3)}</time>
            <span class="r-level">{wordOf(levelOf(one))}</span>
            {tags.map((tag) => (
              <span key={tag.name} class="r-tag" title={`${tag.name}=${tagValue(one, tag)}`} style={{ width: `${tag.width + 1}ch` }}>
                <bdi>{tagValue(one, tag)}</bdi>
              </span>
            ))}
            <Text text={one.text} mark={noMarks} wrap={true} />
          </li>
        );
      })}
    </ol>
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
