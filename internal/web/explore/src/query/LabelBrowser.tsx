import { useEffect, useId, useRef, useState } from 'preact/hooks';

import type { Client, Span } from '../model';
import { Failed, Loading, useResponse } from './response';
import { LabelChoice } from './LabelChoice';
import { byName } from './lookup';
import { levels, parseSimple, printSimple, selectorWithout, type Choice, type Simple } from './simple';
import { Texts } from './Texts';

export interface LabelBrowserProps {
  value: string;
  onChange: (query: string) => void;
  onRun: () => void;
  client: Client;
  span: () => Span;
}

/** Writes queries for users who write no LogQL, and reads those that are simple enough to be shown so. */
export function LabelBrowser({ value, onChange, onRun, client, span }: LabelBrowserProps) {
  const written = useRef(value);
  const [simple, setSimple] = useState(() => parseSimple(value));
  useEffect(() => {
    // What was written here is not read back: a text that is still empty has no place in a query.
    if (value !== written.current) setSimple(parseSimple(value));
    written.current = value;
  }, [value]);
  const change = (next: Simple): void => {
    setSimple(next);
    written.current = printSimple(next);
    onChange(written.current);
  };
  if (!simple) return <NotSimple onClear={() => change({ labels: [], texts: [], levels: [] })} />;
  return (
    <form
      class="q-panel q-browser"
      onSubmit={(e) => {
        e.preventDefault();
        onRun();
      }}
    >
      <Labels simple={simple} change={change} client={client} span={span} />
      <Texts texts={simple.texts} onChange={(texts) => change({ ...simple, texts })} />
      <Levels chosen={simple.levels} onChange={(chosen) => change({ ...simple, levels: chosen })} />
      <section aria-label="The query that this writes" class="q-written">
        <code>{printSimple(simple)}</code>
        <button type="submit" class="q-button q-primary">
          Run
        </button>
      </section>
    </form>
  );
}

function NotSimple({ onClear }: { onClear: () => void }) {
  return (
    <div class="q-panel">
      <p class="q-note">
        This query has parts that cannot be shown here, such as a regular expression, a parser or a metric. The query itself is not changed.
      </p>
      <div>
        <button type="button" class="q-button" onClick={onClear}>
          Start a new query
        </button>
      </div>
    </div>
  );
}

interface LabelsProps {
  simple: Simple;
  change: (next: Simple) => void;
  client: Client;
  span: () => Span;
}

function Labels({ simple, change, client, span }: LabelsProps) {
  const [sought, setSought] = useState('');
  const [last, setLast] = useState('');
  const names = useResponse([client], (signal) => client.listLabels(span(), { signal }));
  const chosen = new Set(simple.labels.map(({ name }) => name));
  const set = (name: string, choice: Choice | undefined): void => {
    const labels = simple.labels.flatMap((old) => (old.name === name ? (choice ?? []) : old));
    change({ ...simple, labels });
  };
  const add = (name: string): void => {
    setLast(name);
    setSought('');
    change({ ...simple, labels: [...simple.labels, { name, values: [], negate: false }] });
  };
  return (
    <section aria-label="Labels" class="q-section">
      {simple.labels.map((choice) => (
        <LabelChoice
          key={choice.name}
          choice={choice}
          selector={selectorWithout(simple, choice.name)}
          onChange={(next) => set(choice.name, next)}
          opened={choice.name === last}
          client={client}
          span={span}
        />
      ))}
      {names.state === 'loading' && <Loading what="labels" />}
      {names.state === 'failed' && <Failed {...names} />}
      {names.state === 'ready' && (
        <Names
          names={(names.data.data ?? []).filter((name) => !chosen.has(name)).sort(byName)}
          sought={sought}
          onSeek={setSought}
          onAdd={add}
          first={chosen.size === 0}
        />
      )}
    </section>
  );
}

interface NamesProps {
  names: string[];
  sought: string;
  onSeek: (text: string) => void;
  onAdd: (name: string) => void;
  first: boolean;
}

function Names({ names, sought, onSeek, onAdd, first }: NamesProps) {
  const shown = names.filter((name) => name.toLowerCase().includes(sought.toLowerCase()));
  if (names.length === 0) {
    return <p class="q-note">{first ? 'No labels in this time range. Try a longer one.' : 'There are no other labels.'}</p>;
  }
  return (
    <>
      {names.length > 12 && (
        <input
          type="search"
          placeholder={`Search ${names.length} labels`}
          aria-label="Search labels"
          value={sought}
          onInput={(e) => onSeek(e.currentTarget.value)}
          onKeyDown={(e) => {
            // Enter takes the only one that is left, and runs nothing.
            if (e.key !== 'Enter') return;
            e.preventDefault();
            if (shown.length === 1 && shown[0]) onAdd(shown[0]);
          }}
        />
      )}
      <ul class="q-chips" aria-label="Labels to choose from">
        {shown.map((name) => (
          <li key={name}>
            <button type="button" class="q-chip" onClick={() => onAdd(name)}>
              {name}
            </button>
          </li>
        ))}
      </ul>
      {shown.length === 0 && <p class="q-note">No label name contains this text.</p>}
    </>
  );
}

function Levels({ chosen, onChange }: { chosen: string[]; onChange: (levels: string[]) => void }) {
  const id = useId();
  const toggle = (level: string): void => onChange(chosen.includes(level) ? chosen.filter((other) => other !== level) : [...chosen, level]);
  return (
    <section aria-labelledby={id} class="q-section">
      <h3 id={id}>Level</h3>
      <ul class="q-chips">
        {[...levels, ...chosen.filter((level) => !levels.includes(level))].map((level) => (
          <li key={level}>
            <button
              type="button"
              class={`q-chip q-level q-level-${levels.includes(level) ? level : 'unknown'}`}
              aria-pressed={chosen.includes(level)}
              onClick={() => toggle(level)}
            >
              {level}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
