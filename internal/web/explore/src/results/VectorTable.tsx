import type { VectorSeries } from '@logfence/client';
import type { ComponentChildren } from 'preact';
import { useMemo, useState } from 'preact/hooks';

import type { Zone } from '../model';
import { unitOf } from '../query/logql';
import { download } from './exporting';
import { unitWords } from './series';
import { csvOf, sorted, tableOf, valueColumn, type Sorting } from './table';
import { coarseStamp } from './time';

export interface VectorTableProps {
  vector: VectorSeries[];
  query: string;
  /** The moment of the values, in milliseconds. */
  at: number;
  zone: Zone;
  /** What chooses between this and a chart. */
  kind: ComponentChildren;
}

/** How many rows are drawn: the file has all of them. */
const most = 500;

/** One value for each series at one moment, exactly as Loki returned it. */
export function VectorTable({ vector, query, at, zone, kind }: VectorTableProps) {
  const table = useMemo(() => tableOf(vector), [vector]);
  const [by, setBy] = useState<Sorting>({ column: valueColumn, descending: true });
  const rows = useMemo(() => sorted(table, by), [table, by]);
  const save = (): void => {
    const file = new Blob([csvOf(table.columns, rows)], { type: 'text/csv' });
    download(`values-${new Date(at).toISOString().slice(0, 19).replace(/[:-]/g, '')}Z.csv`)(file);
  };
  return (
    <section class="r-metric" aria-label="Values">
      <div class="r-bar">
        {kind}
        <span class="r-told">
          {rows.length.toLocaleString('en')} series{unitWords[unitOf(query)]}, at {coarseStamp(at, zone, 1000)}
        </span>
        <span class="r-tools">
          <button type="button" onClick={save}>
            CSV
          </button>
        </span>
      </div>
      <table class="r-series r-vector">
        <thead>
          <tr>
            {table.columns.map((name, column) => (
              <th
                scope="col"
                key={name}
                aria-sort={column === by.column || (column === table.value && by.column === valueColumn) ? order(by) : 'none'}
              >
                <button type="button" class="r-link" onClick={() => setBy(turned(by, column === table.value ? valueColumn : column))}>
                  <bdi>{name}</bdi>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, most).map((cells, i) => (
            <tr key={i}>
              {cells.map((cell, column) => (
                <td key={column}>
                  <bdi>{cell}</bdi>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > most && (
        <p class="r-note">
          The first {most} of {rows.length.toLocaleString('en')} rows are shown; the CSV file has all of them.
        </p>
      )}
    </section>
  );
}

const order = ({ descending }: Sorting): 'ascending' | 'descending' => (descending ? 'descending' : 'ascending');

/** Another column begins with its usual order: values with the largest first, labels with A. */
function turned(by: Sorting, column: number): Sorting {
  return by.column === column ? { column, descending: !by.descending } : { column, descending: column === valueColumn };
}
