// A vector as a table: a column for each label, and the value as Loki wrote it. Pure.
import type { VectorSeries } from '@logfence/client';

import { numberOf } from './series';

export interface Table {
  /** The labels' names, and that of the value. */
  columns: string[];
  rows: { cells: string[]; number: number }[];
  /** Which of the columns has the value. */
  value: number;
}

/** In a sorting: the value, whichever column it is. */
export const valueColumn = -1;

export interface Sorting {
  column: number;
  descending: boolean;
}

export function tableOf(vector: VectorSeries[]): Table {
  const labels = [...new Set(vector.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const rows = vector.map(({ metric, value }) => ({
    cells: [...labels.map((name) => metric[name] ?? ''), value[1]],
    number: numberOf(value),
  }));
  return { columns: [...labels, 'Value'], rows, value: labels.length };
}

/** The cells by a column. NaN is less than all numbers; rows of one value keep their order. */
export function sorted({ rows }: Table, { column, descending }: Sorting): string[][] {
  const compare = (a: Table['rows'][number], b: Table['rows'][number]): number => {
    if (column !== valueColumn) return collate(a.cells[column] ?? '', b.cells[column] ?? '');
    if (Number.isNaN(a.number) || Number.isNaN(b.number)) return Number(Number.isNaN(b.number)) - Number(Number.isNaN(a.number));
    return a.number < b.number ? -1 : a.number > b.number ? 1 : 0;
  };
  return [...rows].sort((a, b) => (descending ? -1 : 1) * compare(a, b)).map(({ cells }) => cells);
}

const { compare: collate } = new Intl.Collator('en', { numeric: true });

/** CSV by RFC 4180. A label's value, which a stranger may have written, does not become a formula of a spreadsheet. */
export function csvOf(columns: string[], rows: string[][]): string {
  const cell = (text: string, column: number): string => {
    const safe = column < columns.length - 1 && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return [columns, ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}
