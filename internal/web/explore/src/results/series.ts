import type { LabelSet, MatrixSeries, Sample } from '@logfence/client';

import type { Unit } from '../query/logql';
import { levelAmong, type Level } from './level';

/** A value as charts and tables write it: `1.25k`, `3.4M`, `0.0012`. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '−Inf';
  const abs = Math.abs(value);
  if (abs === 0) return '0';
  const units: [number, string][] = [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ];
  // 999.95 is 1k, not 1000.
  const [size, unit] = units.find(([least]) => abs >= least * 0.9995) ?? [1, ''];
  const scaled = value / size;
  if (abs < 1e-4) return value.toExponential(2).replace('-', '−');
  const digits = Math.abs(scaled) >= 99.95 ? 0 : Math.abs(scaled) >= 9.995 ? 1 : abs >= 1 || size > 1 ? 2 : 4;
  return `${Number(scaled.toFixed(digits))}${unit}`.replace('-', '−');
}

/** Bytes with a binary unit: `1.5 GiB`. */
export function shortBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let [value, unit] = [bytes, 0];
  while (Math.abs(value) >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${Math.abs(value) >= 100 || unit === 0 ? Number(value.toFixed(unit === 0 ? 2 : 0)) : Number(value.toFixed(1))} ${units[unit] ?? ''}`;
}

export function numberOf([, value]: Sample): number {
  if (value === '+Inf') return Infinity;
  return value === '-Inf' ? -Infinity : Number(value); // NaN is NaN
}

/** Series names without what all of them share; a single series keeps its labels. */
export function namesOf(metrics: LabelSet[]): string[] {
  const [first, ...others] = metrics;
  const shared = new Set(
    others.length === 0 ? [] : Object.keys(first ?? {}).filter((name) => others.every((metric) => metric[name] === first?.[name])),
  );
  return metrics.map((metric) => {
    const labels = Object.entries(metric).filter(([name]) => !shared.has(name));
    return labels.length > 0 ? labels.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(' ') : 'value';
  });
}

/** What values measure, behind a number of series. */
export const unitWords: Record<Unit, string> = {
  lines: ', in lines',
  'lines/s': ', in lines per second',
  bytes: ', in bytes',
  'bytes/s': ', in bytes per second',
  s: ', in seconds',
  '': '',
};

/** A value with its unit, as charts and tables write it. */
export function withUnit(value: number, unit: Unit): string {
  const amount = unit.startsWith('bytes') && Number.isFinite(value) ? shortBytes(value) : shortNumber(value);
  if (unit === 's') return `${amount} s`;
  return unit.endsWith('/s') ? `${amount}/s` : amount;
}

/** A series of a chart. */
export interface Series {
  name: string;
  metric: LabelSet;
  values: (number | null)[];
  last: number;
  most: number;
  /** The level that this series alone counts; `unknown` where its labels name none, or one that others have too. */
  level: Level;
}

/** Series on one row of times, in milliseconds, the one with the largest sum first. */
export interface Chart {
  times: number[];
  series: Series[];
  /** Between points. */
  step: number;
}

/**
 * Points where a series has none are null, which is a gap in its line; so are NaN and infinities, which no axis
 * can show.
 */
export function chartOf(matrix: MatrixSeries[], step: number): Chart {
  const at = new Set<number>();
  for (const { values } of matrix) for (const [seconds] of values) at.add(Math.round(seconds * 1000));
  const times = [...at].sort((a, b) => a - b);
  const full = filled(times, step);
  const place = new Map(full.map((time, i) => [time, i]));
  const names = namesOf(matrix.map(({ metric }) => metric));
  const levels = ownLevels(matrix.map(({ metric }) => levelAmong(metric)));
  const series = matrix.map(({ metric, values }, i): Series => {
    const row = new Array<number | null>(full.length).fill(null);
    let [last, most] = [NaN, -Infinity];
    for (const sample of values) {
      last = numberOf(sample);
      if (!Number.isFinite(last)) continue;
      row[place.get(Math.round(sample[0] * 1000)) ?? 0] = last;
      most = Math.max(most, last);
    }
    return { name: names[i] ?? '', metric, values: row, last, most, level: levels[i] ?? 'unknown' };
  });
  const sum = ({ values }: Series): number => values.reduce<number>((all, value) => all + Math.abs(value ?? 0), 0);
  const sums = new Map(series.map((one) => [one, sum(one)]));
  series.sort((a, b) => (sums.get(b) ?? 0) - (sums.get(a) ?? 0));
  return { times: full, series, step };
}

/** A color can stand for a level only where one series has it. */
function ownLevels(levels: Level[]): Level[] {
  return levels.map((level) => (levels.filter((other) => other === level).length === 1 ? level : 'unknown'));
}

/** The places of points whose neighbors are gaps: a line does not show them. */
export function isolated(values: (number | null | undefined)[]): number[] {
  return values.flatMap((value, i) => (value != null && values[i - 1] == null && values[i + 1] == null ? [i] : []));
}

/** Whether an axis of these series has ticks at whole numbers only. */
export function isWhole(series: Series[]): boolean {
  return series.every(({ values }) => values.every((value) => value === null || Number.isInteger(value)));
}

/** A time that no series has is a gap, and no slope across it. */
function filled(times: number[], step: number): number[] {
  const [first, last] = [times[0], times.at(-1)];
  if (first === undefined || last === undefined || step <= 0) return times;
  const count = Math.round((last - first) / step) + 1;
  if (count > 20_000 || times.some((time) => (time - first) % step !== 0)) return times;
  return Array.from({ length: count }, (_, i) => first + i * step);
}
