import type { Labels, Line } from '../model';
import type { Item } from './items';
import { isNotice } from './items';

/** A label whose value each row shows, since it tells rows apart. */
export interface Tag {
  name: string;
  /** Of the longest value, in characters: the texts of all rows begin at one place. */
  width: number;
}

/** More would leave little room for the lines. */
const mostTags = 3;
const widest = 20;

/** What a row shows by itself, what Loki adds, and what differs from line to line. */
const left = new Set(['level', 'detected_level', 'lvl', 'severity', 'loglevel', 'log_level', '__stream_shard__', 'service_name']);

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

/** The values of a line's tags, by name. */
export function tagValue(line: Line, { name }: Tag): string {
  const labels: Labels = line.stream;
  return labels[name] ?? '';
}
