import type { Labels, Line } from '../model';
import { fieldsOf } from './fields';
import { isNotice, type Item } from './items';

/** A label whose value each row shows, since it tells rows apart. */
export interface Tag {
  name: string;
  /** Of the longest value, in characters: the texts of all rows begin at one place. */
  width: number;
}

/** More would leave little room for the lines. */
const mostTags = 3;
const widest = 20;

/** What differs from line to line of one source: levels, and the label by which Loki itself splits streams. */
export const perLine: ReadonlySet<string> = new Set([
  'level',
  'detected_level',
  'lvl',
  'severity',
  'severity_text',
  'loglevel',
  'log_level',
  '__stream_shard__',
]);

/** What a row shows by itself, and what Loki adds. */
const left = new Set([...perLine, 'service_name']);

/**
 * The labels that tell the streams of these lines apart: that of the tenant first, then those with the fewest values.
 * A label that splits the streams as an earlier one does is left out.
 */
export function tagsOf(items: readonly Item[], tenants: readonly string[]): Tag[] {
  const streams = [...new Set(items.flatMap((item) => (isNotice(item) ? [] : [item.stream])))];
  const names = new Set(streams.flatMap((stream) => Object.keys(stream)));
  const isTenant = (values: string[]): boolean => tenants.length > 1 && values.every((value) => tenants.includes(value));
  const labels = [...names]
    .filter((name) => !left.has(name))
    .map((name) => ({ name, values: streams.map((stream) => stream[name] ?? '') }))
    .map(({ name, values }) => ({ name, values, distinct: [...new Set(values)] }))
    .filter(({ distinct }) => distinct.length > 1)
    .sort(
      (a, b) =>
        Number(isTenant(b.distinct)) - Number(isTenant(a.distinct)) || a.distinct.length - b.distinct.length || (a.name < b.name ? -1 : 1),
    );
  const seen = new Set<string>();
  return labels
    .filter(({ values, distinct }) => {
      const split = values.map((value) => distinct.indexOf(value)).join();
      return !seen.has(split) && seen.add(split);
    })
    .slice(0, mostTags)
    .map(({ name, distinct }) => ({ name, width: Math.min(widest, Math.max(...distinct.map((value) => value.length))) }));
}

/** Labels of which nearly each stream has a value of its own, such as that of a request. */
export function varyingIn(items: readonly Item[]): ReadonlySet<string> {
  const streams = [...new Set(items.flatMap((item) => (isNotice(item) ? [] : [item.stream])))];
  const values = new Map<string, Set<string>>();
  for (const stream of streams) {
    for (const [name, value] of Object.entries(stream)) values.set(name, (values.get(name) ?? new Set()).add(value));
  }
  const varying = [...values].filter(([, { size }]) => size >= 20 && size > streams.length / 2).map(([name]) => name);
  return new Set([...perLine, ...varying]);
}

/** The label's or field's value of a line, empty where it has none. */
export function tagValue(line: Line, { name }: Tag): string {
  return own(line.stream, name) ?? own(line.metadata, name) ?? own(line.parsed, name) ?? fieldsIn(line).get(name) ?? '';
}

function own(labels: Labels, name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined;
}

const read = new WeakMap<Line, Map<string, string>>();

/** The fields that a line's text has, each by its first value. */
function fieldsIn(line: Line): Map<string, string> {
  let fields = read.get(line);
  if (!fields) {
    fields = new Map(
      fieldsOf(line.text)
        ?.fields.reverse()
        .map(({ name, value }) => [name, value]),
    );
    read.set(line, fields);
  }
  return fields;
}

/** How many lines are looked at for the names and widths of columns. */
const sampled = 200;
const widestColumn = 32;

/** Columns of these names, as wide as the values of the first lines need. */
export function columnsOf(lines: readonly Item[], names: readonly string[]): Tag[] {
  const some = lines.slice(0, sampled).flatMap((item) => (isNotice(item) ? [] : [item]));
  return names.map((name) => {
    const lengths = some.map((line) => tagValue(line, { name, width: 0 }).length);
    return { name, width: Math.min(widestColumn, Math.max(name.length, 4, ...lengths)) };
  });
}

/** The labels and fields of the first lines, those of the streams first. */
export function namesIn(lines: readonly Line[]): string[] {
  const some = lines.slice(0, sampled);
  const sorted = (names: string[]): string[] => [...new Set(names)].sort();
  const of = (sets: (line: Line) => Labels): string[] => sorted(some.flatMap((line) => Object.keys(sets(line))));
  const fields = sorted(some.flatMap((line) => [...fieldsIn(line).keys()]));
  return [
    ...new Set([
      ...of(({ stream }) => stream),
      ...of(({ metadata }) => metadata),
      ...of(({ parsed }) => parsed),
      ...fields.slice(0, mostFields),
    ]),
  ].filter((name) => name !== '__stream_shard__');
}

const mostFields = 200;
