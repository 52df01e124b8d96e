import { useMemo, useState } from 'preact/hooks';

import type { Client, Labels, Line, OnFilter, Origin, Zone } from '../model';
import { Context } from './Context';
import { asJson, copy } from './copy';
import { fieldsOf, type Field } from './fields';
import { fullStamp } from './time';

export interface DetailsProps {
  line: Line;
  zone: Zone;
  client: Client;
  onFilter: OnFilter;
  /** The address at which a colleague sees this line; missing where there is none. */
  linkTo: ((line: Line) => string) | undefined;
}

/** All that is known of a line, and what can be done with it. */
export function Details({ line, zone, client, onFilter, linkTo }: DetailsProps) {
  const [said, say] = useState('');
  const [context, setContext] = useState(false);
  const found = useMemo(() => ofText(line), [line]);
  const take = (text: string, what: string): void => {
    void copy(text).then((done) => say(done ? `Copied ${what}.` : 'The browser did not allow copying.'));
  };
  const sets: { title: string; fields: Field[]; origin: Origin }[] = [
    { title: 'Labels', fields: entries(line.stream), origin: 'stream' },
    { title: 'Structured metadata', fields: entries(line.metadata), origin: 'metadata' },
    { title: 'Parsed by the query', fields: entries(line.parsed), origin: 'parsed' },
  ];
  if (found) {
    const title = found.parser === 'json' ? 'Fields of the text (JSON)' : 'Fields of the text (logfmt)';
    sets.push({ title, fields: found.fields, origin: found.parser });
  }
  return (
    <div class="r-details">
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
      </div>
      <p class="r-when">
        <time dateTime={new Date(Number(BigInt(line.ns) / 1_000_000n)).toISOString()}>{fullStamp(line.ns, zone)}</time>{' '}
        <span class="r-muted">{line.ns} ns</span>
      </p>
      {sets.map(({ title, fields, origin }) =>
        fields.length === 0 ? null : (
          <table class="r-fields" key={title}>
            <caption>{title}</caption>
            <tbody>
              {fields.map(({ name, value }) => (
                <tr key={name}>
                  <td class="r-buttons">
                    <button
                      type="button"
                      title="Filter for"
                      aria-label={`Filter for ${name}`}
                      onClick={() => onFilter(name, value, false, origin)}
                    >
                      =
                    </button>
                    <button
                      type="button"
                      title="Filter out"
                      aria-label={`Filter out ${name}`}
                      onClick={() => onFilter(name, value, true, origin)}
                    >
                      ≠
                    </button>
                    <button type="button" title="Copy value" aria-label={`Copy ${name}`} onClick={() => take(value, name)}>
                      <CopyIcon />
                    </button>
                  </td>
                  <th scope="row">{name}</th>
                  <td class="r-value">
                    <bdi>{value}</bdi>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        ),
      )}
      {context && <Context line={line} zone={zone} client={client} onClose={() => setContext(false)} />}
    </div>
  );
}

function CopyIcon() {
  return (
    <svg class="r-icon" viewBox="0 0 12 12" aria-hidden="true">
      <rect x="0.6" y="3.6" width="7.8" height="7.8" rx="1" />
      <path d="M3.6 1.6a1 1 0 0 1 1-1h5.8a1 1 0 0 1 1 1v5.8a1 1 0 0 1-1 1" />
    </svg>
  );
}

function entries(labels: Labels): Field[] {
  return Object.entries(labels)
    .map(([name, value]) => ({ name, value }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The fields that the query has not parsed already, by the names that a parser would give them. */
function ofText(line: Line): { parser: 'json' | 'logfmt'; fields: Field[] } | undefined {
  const found = fieldsOf(line.text);
  if (!found) return undefined;
  const names = new Set<string>();
  const fields = found.fields
    .map(({ name, value }) => ({
      name: Object.hasOwn(line.stream, name) || Object.hasOwn(line.metadata, name) ? `${name}_extracted` : name,
      value,
    }))
    // Of a name given twice Loki's parsers take the first.
    .filter(({ name }) => !Object.hasOwn(line.parsed, name) && !names.has(name) && names.add(name));
  return fields.length > 0 ? { parser: found.parser, fields } : undefined;
}
