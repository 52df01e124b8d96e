import { useMemo, useState } from 'preact/hooks';

import type { Labels, Line, OnFilter, Origin, Zone } from '../model';
import { copy } from './copy';
import { fieldsOf, type Field } from './fields';
import { treeOf, type TreeRow } from './jsonTree';
import { fullStamp } from './time';
import { Value } from './Value';

export interface DetailsProps {
  line: Line;
  zone: Zone;
  onFilter: OnFilter;
}

/** All that is known of a line. */
export function Details({ line, zone, onFilter }: DetailsProps) {
  const sets = useMemo(() => setsOf(line), [line]);
  return (
    <div class="r-details">
      <p class="r-when">
        <time dateTime={new Date(Number(BigInt(line.ns) / 1_000_000n)).toISOString()}>{fullStamp(line.ns, zone)}</time>{' '}
        <span class="r-muted">{line.ns} ns</span>
      </p>
      {sets.map((set) => set.rows.length > 0 && <FieldTable key={set.title} {...set} onFilter={onFilter} />)}
    </div>
  );
}

interface FieldSet {
  title: string;
  rows: TreeRow[];
  origin: Origin;
}

function setsOf(line: Line): FieldSet[] {
  const sets: FieldSet[] = [
    { title: 'Labels', rows: entries(line.stream), origin: 'stream' },
    { title: 'Structured metadata', rows: entries(line.metadata), origin: 'metadata' },
    { title: 'Parsed by the query', rows: entries(line.parsed), origin: 'parsed' },
  ];
  const found = fieldsOf(line.text);
  if (found?.parser === 'json') {
    const rows = treeOf(line.text) ?? found.fields.map(flat);
    sets.push({ title: 'Fields in the line (JSON)', rows: named(line, rows), origin: 'json' });
  } else if (found) {
    const rows = named(line, found.fields.map(flat)).filter(({ field }) => field !== undefined);
    sets.push({ title: 'Fields in the line (logfmt)', rows, origin: 'logfmt' });
  }
  return sets;
}

function FieldTable({ title, rows, origin, onFilter }: FieldSet & { onFilter: OnFilter }) {
  const [closed, setClosed] = useState<ReadonlySet<number>>(new Set());
  const toggle = (index: number): void => {
    const next = new Set(closed);
    if (!next.delete(index)) next.add(index);
    setClosed(next);
  };
  const shown: [row: TreeRow, index: number][] = [];
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i];
    if (!row) break;
    shown.push([row, i]);
    if (closed.has(i)) i += row.within;
  }
  return (
    <table class="r-fields">
      <caption>{title}</caption>
      <tbody>
        {shown.map(([row, i]) => (
          <tr key={i}>
            <td class="r-buttons">
              <FieldButtons row={row} origin={origin} onFilter={onFilter} />
            </td>
            <th scope="row" style={{ paddingLeft: `${4 + 16 * row.depth}px` }}>
              {row.within > 0 ? (
                <button type="button" class="r-branch" aria-expanded={!closed.has(i)} onClick={() => toggle(i)}>
                  {row.name}
                </button>
              ) : (
                row.name
              )}
            </th>
            <td class={row.within > 0 ? 'r-value r-muted' : 'r-value'}>
              <Value text={row.value} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function FieldButtons({ row, origin, onFilter }: { row: TreeRow; origin: Origin; onFilter: OnFilter }) {
  const [copied, setCopied] = useState(false);
  const { field, value, name } = row;
  if (row.within > 0) return null;
  return (
    <>
      {field !== undefined && value !== '' && (
        <>
          <button type="button" title="Filter for" aria-label={`Filter for ${field}`} onClick={() => onFilter(field, value, false, origin)}>
            =
          </button>
          <button type="button" title="Filter out" aria-label={`Filter out ${field}`} onClick={() => onFilter(field, value, true, origin)}>
            ≠
          </button>
        </>
      )}
      <button
        type="button"
        title="Copy value"
        aria-label={copied ? `Copied ${field ?? name}` : `Copy ${field ?? name}`}
        onClick={() => void copy(value).then(setCopied)}
      >
        {copied ? '✓' : <CopyIcon />}
      </button>
    </>
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

function flat({ name, value }: Field): TreeRow {
  return { name, field: name, value, depth: 0, within: 0 };
}

function entries(labels: Labels): TreeRow[] {
  return Object.entries(labels)
    .map(([name, value]) => flat({ name, value }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Rows by the names that a parser would give their fields; what the query has parsed already is not filtered for again. */
function named(line: Line, rows: TreeRow[]): TreeRow[] {
  const names = new Set<string>();
  return rows.map(({ field: given, ...row }) => {
    if (given === undefined) return row;
    const field = Object.hasOwn(line.stream, given) || Object.hasOwn(line.metadata, given) ? `${given}_extracted` : given;
    // Of a name given twice Loki's parsers take the first.
    if (Object.hasOwn(line.parsed, field) || names.has(field)) return row;
    names.add(field);
    return { ...row, field };
  });
}
