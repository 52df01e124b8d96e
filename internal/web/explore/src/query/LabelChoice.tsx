import { useState } from 'preact/hooks';

import type { Client, Span } from '../model';
import { Failed, Loading, More, useResponse } from './response';
import { byName } from './lookup';
import type { Choice } from './simple';

export interface LabelChoiceProps {
  choice: Choice;
  /** What else is chosen: the values are those among it. */
  selector: string;
  onChange: (choice: Choice | undefined) => void;
  opened: boolean;
  client: Client;
  span: () => Span;
}

/** One label of the query, and which of its values. */
export function LabelChoice(props: LabelChoiceProps) {
  const { choice, onChange, opened } = props;
  const { name, values, negate } = choice;
  const [open, setOpen] = useState(opened);
  return (
    <details class="q-choice" open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>
        <span class="q-name">{name}</span>{' '}
        <span class="q-said">{values.length === 0 ? 'any value' : `${negate ? 'is not' : 'is'} ${listed(values)}`}</span>
      </summary>
      {open && (
        <div class="q-choice-in">
          <div class="q-bar">
            <select
              aria-label={`${name}: how`}
              value={negate ? 'not' : 'is'}
              disabled={values.length === 0}
              onChange={(e) => onChange({ ...choice, negate: e.currentTarget.value === 'not' })}
            >
              <option value="is">is</option>
              <option value="not">is not</option>
            </select>
            <button type="button" class="q-small" onClick={() => onChange(undefined)} aria-label={`Remove ${name}`}>
              Remove
            </button>
          </div>
          <Values {...props} />
        </div>
      )}
    </details>
  );
}

/** As many as are shown at once; there may be thousands. */
const most = 200;

function Values({ choice, selector, onChange, client, span }: LabelChoiceProps) {
  const { name, values: chosen, negate } = choice;
  const [sought, setSought] = useState('');
  const response = useResponse(
    [client, name, selector],
    async (signal) => {
      const query = selector === '{}' ? {} : { query: selector };
      const within = span();
      const [values, volumes] = await Promise.all([
        client.listLabelValues(name, { ...within, ...query }, { signal }),
        client.getVolume({ ...within, ...query, targetLabels: name, limit: 1000 }, { signal }),
      ]);
      if (values.error) return values;
      // Volumes are a help alone: Loki may not have them.
      const bytes = new Map((volumes.data?.data.result ?? []).map(({ metric, value }) => [metric[name] ?? '', Number(value[1])] as const));
      return { data: { values: values.data.data ?? [], bytes }, error: undefined };
    },
    150,
  );
  if (response.state === 'loading') return <Loading what={`values of ${name}`} />;
  if (response.state === 'failed') return <Failed {...response} />;
  const { values, bytes } = response.data;
  const toggle = (value: string): void => {
    const next = chosen.includes(value) ? chosen.filter((other) => other !== value) : [...chosen, value];
    onChange({ ...choice, values: next, negate: negate && next.length > 0 });
  };
  const missing = chosen.filter((value) => !values.includes(value));
  const all = [...missing, ...values.sort((a, b) => (bytes.get(b) ?? 0) - (bytes.get(a) ?? 0) || byName(a, b))];
  const found = all.filter((value) => value.toLowerCase().includes(sought.toLowerCase()));
  return (
    <>
      {all.length > 8 && (
        <input
          type="search"
          placeholder={`Search ${all.length.toLocaleString('en')} values`}
          aria-label={`Search values of ${name}`}
          value={sought}
          onInput={(e) => setSought(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key !== 'Enter') return;
            e.preventDefault(); // takes the only one that is left, and runs nothing
            if (found.length === 1 && found[0] !== undefined) toggle(found[0]);
          }}
        />
      )}
      <ul class="q-values" aria-label={`Values of ${name}`}>
        {found.slice(0, most).map((value) => (
          <li key={value}>
            <label>
              <input type="checkbox" checked={chosen.includes(value)} onChange={() => toggle(value)} />
              <span class="q-value">{shownValue(value)}</span>
              <span class="q-bytes">{missing.includes(value) ? 'none' : sizeOf(bytes.get(value))}</span>
            </label>
          </li>
        ))}
      </ul>
      {all.length === 0 && <p class="q-note">No values match the other filters.</p>}
      {all.length > 0 && found.length === 0 && <p class="q-note">No value contains this text.</p>}
      <More shown={most} of={found.length} what="values" />
    </>
  );
}

function listed(values: string[]): string {
  const some = values.slice(0, 3).map(shownValue).join(', ');
  return values.length > 3 ? `${some} and ${values.length - 3} more` : some;
}

function shownValue(value: string): string {
  return value === '' ? '(empty)' : value;
}

function sizeOf(bytes: number | undefined): string {
  if (bytes === undefined) return '';
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(bytes, 1)) / 3));
  return `${(bytes / 1000 ** power).toLocaleString('en', { maximumSignificantDigits: 2 })} ${units[power]}`;
}
