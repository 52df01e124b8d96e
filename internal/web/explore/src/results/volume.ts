import type { MatrixSeries, VectorSeries } from '@logfence/client';

import type { Span } from '../model';
import { levelAmong, levels, type Level } from './level';
import { lengthOf, msOf, nsOfMs } from './time';

/** Round steps, in milliseconds. */
const steps = [
  100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 10800e3, 21600e3, 43200e3,
  86400e3, 172800e3, 604800e3,
];

/** The intervals that a span is counted in. */
export interface Intervals {
  /** Milliseconds. */
  step: number;
  /** The first one's beginning, and the last one's end: multiples of the step, around the span. */
  from: number;
  to: number;
}

/** At most that many intervals, on round times: then they stay the same when the span moves. */
export function intervalsOf(span: Span, most: number): Intervals {
  const length = Math.max(1, lengthOf(span));
  const step = steps.find((size) => length / size <= most - 1) ?? Math.ceil(length / (most - 1) / 604800e3) * 604800e3;
  const from = Math.floor(msOf(span.start) / step) * step;
  const to = Math.max(from + step, Math.ceil(Number(BigInt(span.end) / 1000n) / 1000 / step) * step);
  return { step, from, to };
}

/** One request, and the intervals that it counts. */
export type Part =
  | { kind: 'range'; query: string; start: string; end: string; step: string }
  /** One interval, or as much of it as the span holds. */
  | { kind: 'instant'; query: string; time: string; at: number };

/**
 * The queries that count the lines of a span by level and interval, the newest first. Loki moves a query's steps to
 * multiples of the step, and counts what is after the beginning of an interval up to its end. So the first and the
 * last interval are requested by themselves, as far as the span reaches; and the first one from a millisecond before
 * it, the smallest that LogQL can say, since a span holds its own beginning.
 */
export function partsOf(query: string, span: Span, { step, from, to }: Intervals, pieces: number): Part[] {
  const [start, end] = [msOf(span.start), Math.ceil(Number(BigInt(span.end) / 1000n) / 1000)];
  const parts: Part[] = [];
  const cut = (after: number, upTo: number, at: number): void => {
    if (upTo > after) parts.push({ kind: 'instant', query: countsOf(query, upTo - after), time: nsOfMs(upTo), at });
  };
  const [first, last] = [from + step, to - step];
  if (last < first) {
    cut(start - 1, end, from);
    return parts;
  }
  cut(last, end, last);
  const count = Math.round((last - first) / step);
  const size = Math.ceil(count / pieces);
  for (let right = count; right > 0; right -= size) {
    const left = Math.max(0, right - size);
    parts.push({
      kind: 'range',
      query: countsOf(query, step),
      // A point tells of the interval that ends there.
      start: nsOfMs(first + (left + 1) * step),
      end: nsOfMs(first + right * step),
      step: `${step}ms`,
    });
  }
  cut(start - 1, first, from);
  return parts;
}

/**
 * Lines by level over so many milliseconds. The line feed ends a comment that the query may end with. Lines that a
 * parser could not read are counted as they are shown: dropping the error's label lets Loki count them.
 */
export function countsOf(query: string, ms: number): string {
  return `sum by (detected_level, level) (count_over_time(${query}\n| drop __error__, __error_details__ [${ms}ms]))`;
}

/** Counts by interval and level. */
export class Counts {
  readonly intervals: Intervals;
  readonly length: number;
  readonly #counts = new Map<Level, number[]>();

  constructor(intervals: Intervals) {
    this.intervals = intervals;
    this.length = Math.round((intervals.to - intervals.from) / intervals.step);
  }

  /** The beginning of an interval, in milliseconds. */
  begin(index: number): number {
    return this.intervals.from + index * this.intervals.step;
  }

  of(level: Level, index: number): number {
    return this.#counts.get(level)?.[index] ?? 0;
  }

  total(level: Level): number {
    return this.#counts.get(level)?.reduce((a, b) => a + b, 0) ?? 0;
  }

  /** The levels that occur, the gravest first. */
  get levels(): Level[] {
    return levels.filter((level) => this.#counts.has(level));
  }

  at(index: number): number {
    return this.levels.reduce((sum, level) => sum + this.of(level, index), 0);
  }

  /** Adds points, each of which tells of the interval that ends there. */
  addMatrix(matrix: MatrixSeries[]): void {
    const { from, step } = this.intervals;
    for (const { metric, values } of matrix) {
      for (const [seconds, value] of values) this.#add(metric, Math.round((seconds * 1000 - from) / step) - 1, value);
    }
  }

  /** Adds what one interval holds. */
  addVector(vector: VectorSeries[], at: number): void {
    for (const { metric, value } of vector) {
      this.#add(metric, Math.round((at - this.intervals.from) / this.intervals.step), value[1]);
    }
  }

  #add(metric: Record<string, string>, index: number, value: string): void {
    const number = Number(value);
    if (index < 0 || index >= this.length || !Number.isFinite(number)) return;
    const level = levelAmong(metric);
    const counts = this.#counts.get(level) ?? new Array<number>(this.length).fill(0);
    counts[index] = (counts[index] ?? 0) + number;
    this.#counts.set(level, counts);
  }

  /** A sentence for who does not see the chart. */
  summary(): string {
    const all = this.levels.map((level) => [level, this.total(level)] as const);
    const total = all.reduce((sum, [, count]) => sum + count, 0);
    if (total === 0) return 'No lines.';
    const each = all.map(([level, count]) => `${count.toLocaleString('en')} ${level}`).join(', ');
    return `${total.toLocaleString('en')} ${total === 1 ? 'line' : 'lines'}: ${each}.`;
  }
}
