import type { Field } from '@logfence/client';
import { useState } from 'preact/hooks';

import type { Client, OnFilter, Origin, Span } from '../model';
import { Failed, Loading, More, useResponse } from './response';
import { byName } from './lookup';
import { logQuery } from './read';

export interface FieldsPanelProps {
  query: string;
  client: Client;
  span: Span;
  onFilter: OnFilter;
}

const most = 100;

/** The fields of the lines that the query finds, and their values. */
export function FieldsPanel({ query, client, span, onFilter }: FieldsPanelProps) {
  const [sought, setSought] = useState('');
  const lines = logQuery(query);
  const response = useResponse([client, lines, span.start, span.end], (signal) => client.listFields({ query: lines, ...span }, { signal }));
  if (response.state === 'loading') return <Loading what="fields" />;
  if (response.state === 'failed') return <Failed {...response} />;
  const fields = [...(response.data.fields ?? [])].sort((a, b) => byName(a.label, b.label));
  if (fields.length === 0) {
    return <p class="q-note">No fields found: there are no lines, or they are neither JSON nor logfmt.</p>;
  }
  const shown = fields.filter(({ label }) => label.toLowerCase().includes(sought.toLowerCase()));
  return (
    <section class="q-panel" aria-label="Fields">
      <p class="q-note">Found in a sample of the lines. Counts are estimates.</p>
      {fields.length > 8 && (
        <input
          type="search"
          placeholder={`Search ${fields.length} fields`}
          aria-label="Search fields"
          value={sought}
          onInput={(e) => setSought(e.currentTarget.value)}
        />
      )}
      <ul class="q-list">
        {shown.map((field) => (
          <FieldOf key={field.label} field={field} query={lines} client={client} span={span} onFilter={onFilter} />
        ))}
      </ul>
      {shown.length === 0 && <p class="q-note">No field name contains this text.</p>}
    </section>
  );
}

interface FieldOfProps extends FieldsPanelProps {
  field: Field;
}

function FieldOf(props: FieldOfProps) {
  const { label, type, cardinality, parsers } = props.field;
  const [open, setOpen] = useState(false);
  return (
    <li>
      <details class="q-choice" open={open} onToggle={(e) => setOpen(e.currentTarget.open)}>
        <summary>
          <span class="q-name">{label}</span>{' '}
          <span class="q-said">
            {[type, ...(parsers ?? ['metadata'])].join(' · ')}
            {cardinality ? ` · ${cardinality.toLocaleString('en')} ${cardinality === 1 ? 'value' : 'values'}` : ''}
          </span>
        </summary>
        {open && (
          <div class="q-choice-in">
            <Values {...props} />
          </div>
        )}
      </details>
    </li>
  );
}

function Values({ field, query, client, span, onFilter }: FieldOfProps) {
  const [sought, setSought] = useState('');
  const response = useResponse([client, query, span.start, span.end, field.label], (signal) =>
    client.listFieldValues(field.label, { query, ...span }, { signal }),
  );
  if (response.state === 'loading') return <Loading what={`values of ${field.label}`} />;
  if (response.state === 'failed') return <Failed {...response} />;
  const values = [...(response.data.values ?? [])].sort(byName);
  const found = values.filter((value) => value.toLowerCase().includes(sought.toLowerCase()));
  const origin = originOf(field);
  return (
    <>
      {values.length > 8 && (
        <input
          type="search"
          placeholder={`Search ${values.length.toLocaleString('en')} values`}
          aria-label={`Search values of ${field.label}`}
          value={sought}
          onInput={(e) => setSought(e.currentTarget.value)}
        />
      )}
      <ul class="q-values" aria-label={`Values of ${field.label}`}>
        {found.slice(0, most).map((value) => (
          <li key={value} class="q-value-row">
            <span class="q-value">{value === '' ? '(empty)' : value}</span>
            <button
              type="button"
              class="q-small"
              aria-label={`Only ${field.label} ${value}`}
              onClick={() => onFilter(field.label, value, false, origin)}
            >
              Only
            </button>
            <button
              type="button"
              class="q-small"
              aria-label={`Without ${field.label} ${value}`}
              onClick={() => onFilter(field.label, value, true, origin)}
            >
              Without
            </button>
          </li>
        ))}
      </ul>
      {values.length === 0 && <p class="q-note">No values in the sample.</p>}
      {values.length > 0 && found.length === 0 && <p class="q-note">No value contains this text.</p>}
      <More shown={most} of={found.length} what="values" />
    </>
  );
}

function originOf({ parsers }: Field): Origin {
  if (!parsers) return 'metadata';
  return parsers.includes('json') ? 'json' : parsers.includes('logfmt') ? 'logfmt' : 'parsed';
}
