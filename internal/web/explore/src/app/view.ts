// The view in the URL: a link shows a colleague the same thing.
import type { View } from '../model';
import { momentIn } from '../results/mark';
import { isZone } from '../zone';
import { prepare } from './draft';
import { momentOf, spanOf } from './range';

/** What is shown where a URL says nothing else: everything that is new. */
export const fallback: View = {
  query: '{}',
  from: 'now-1h',
  to: 'now',
  limit: 500,
  direction: 'backward',
  instant: false,
  zone: 'local',
  wrap: false,
  nanoseconds: false,
  fold: false,
  join: true,
  columns: [],
};

/** More would leave no room for the lines. */
export const mostColumns = 12;

export const limits = [100, 500, 1000, 2000, 5000];

/** What is on or off, by its name in the URL. */
const switches = [
  ['instant', 'instant'],
  ['wrap', 'wrap'],
  ['ns', 'nanoseconds'],
  ['fold', 'fold'],
  ['join', 'join'],
] as const;

/** A view, and a sentence for each part of the URL that could not be read. */
export interface ReadView {
  view: View;
  problems: string[];
}

/** The view that a URL's query names. A part that cannot be read has its default, and is reported. */
export function readView(search: string): ReadView {
  const params = new URLSearchParams(search);
  const view: View = { ...fallback };
  const problems: string[] = [];
  const read = (name: string, used: string, take: (text: string) => boolean): void => {
    const text = params.get(name);
    if (text !== null && !take(text)) problems.push(`${name}=${text.slice(0, 60)} cannot be read; ${used} is used.`);
  };
  read('q', fallback.query, (text) => {
    const prepared = prepare(text);
    if ('query' in prepared) view.query = prepared.query;
    return 'query' in prepared;
  });
  read('from', fallback.from, (text) => momentOf(text, 0) !== undefined && ((view.from = text), true));
  read('to', fallback.to, (text) => momentOf(text, 0) !== undefined && ((view.to = text), true));
  if (!spanOf(view.from, view.to, Date.now())) {
    problems.push(`The range from ${view.from} to ${view.to} is empty; ${fallback.from} to ${fallback.to} is used.`);
    [view.from, view.to] = [fallback.from, fallback.to];
  }
  read('limit', String(fallback.limit), (text) => {
    const limit = Number(text);
    const valid = Number.isInteger(limit) && limit >= 1 && limit <= 100_000;
    if (valid) view.limit = limit;
    return valid;
  });
  const choice = <T extends string>(name: string, values: readonly T[], set: (value: T) => void): void =>
    read(name, `${values[0]}`, (text) => {
      const value = values.find((one) => one === text);
      if (value !== undefined) set(value);
      return value !== undefined;
    });
  choice('dir', ['backward', 'forward'], (direction) => (view.direction = direction));
  read('tz', fallback.zone, (text) => isZone(text) && ((view.zone = text), true));
  for (const [name, part] of switches) choice(name, fallback[part] ? ['1', '0'] : ['0', '1'], (on) => (view[part] = on === '1'));
  read('cols', 'no column', (text) => {
    const columns = [...new Set(text.split(','))].filter(Boolean);
    const valid = columns.length <= mostColumns && columns.every((name) => /^[\p{L}_][\p{L}\p{N}_.-]{0,199}$/u.test(name));
    if (valid) view.columns = columns;
    return valid;
  });
  read('line', 'no line', (text) => momentIn(text) !== undefined && ((view.line = text), true));
  const tenant = params.get('tenant');
  if (tenant) view.tenant = tenant;
  return { view, problems };
}

/** The URL's query for a view. */
export function searchOf(view: View): string {
  const params = new URLSearchParams({ q: view.query, from: view.from, to: view.to });
  if (view.limit !== fallback.limit) params.set('limit', String(view.limit));
  if (view.direction !== fallback.direction) params.set('dir', view.direction);
  if (view.zone !== fallback.zone) params.set('tz', view.zone);
  for (const [name, part] of switches) if (view[part] !== fallback[part]) params.set(name, view[part] ? '1' : '0');
  if (view.line) params.set('line', view.line);
  if (view.columns.length > 0) params.set('cols', view.columns.join(','));
  if (view.tenant) params.set('tenant', view.tenant);
  return `?${params.toString()}`;
}
