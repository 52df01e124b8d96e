/**
 * Labels, fields and their values for completion and the panels, cached for a while.
 *
 * Responses are cached by client, since another token or tenant sees other things, and by the minute that the span is
 * in, so that a page that is open all day requests them again. A failure is an empty list, and is not cached: completion
 * has nothing to offer then, and running the query shows what is wrong.
 */
import type { Field } from '@logfence/client';

import type { Client, Span } from '../model';

export interface Lookup {
  labels(selector: string, signal?: AbortSignal): Promise<string[]>;
  labelValues(name: string, selector: string, signal?: AbortSignal): Promise<string[]>;
  fields(query: string, signal?: AbortSignal): Promise<Field[]>;
  fieldValues(name: string, query: string, signal?: AbortSignal): Promise<string[]>;
}

const caches = new WeakMap<Client, Map<string, unknown>>();
const most = 200;

export function lookup(client: Client, span: () => Span): Lookup {
  const cache = caches.get(client) ?? new Map<string, unknown>();
  caches.set(client, cache);
  const cached = async <T>(key: string[], request: (span: Span) => Promise<T[] | undefined>): Promise<T[]> => {
    const within = span();
    const id = JSON.stringify([minuteOf(within.start), minuteOf(within.end), ...key]);
    const known = cache.get(id);
    if (known) return known as T[]; // put there under the same key, by the same call
    const list = await request(within);
    if (!list) return [];
    if (cache.size >= most) cache.clear();
    cache.set(id, list);
    return list;
  };
  const of = (selector: string): { query?: string } => (selector === '{}' ? {} : { query: selector });
  return {
    labels: (selector, signal) =>
      cached(['labels', selector], async (within) =>
        (await client.listLabels({ ...within, ...of(selector) }, { signal })).data?.data?.sort(byName),
      ),
    labelValues: (name, selector, signal) =>
      cached(['values', name, selector], async (within) =>
        (await client.listLabelValues(name, { ...within, ...of(selector) }, { signal })).data?.data?.sort(byName),
      ),
    fields: (query, signal) =>
      cached(['fields', query], async (within) => {
        const { data } = await client.listFields({ ...within, query }, { signal });
        return data && (data.fields ?? []).sort((a, b) => byName(a.label, b.label));
      }),
    fieldValues: (name, query, signal) =>
      cached(['field', name, query], async (within) => {
        const { data } = await client.listFieldValues(name, { ...within, query }, { signal });
        return data && (data.values ?? []).sort(byName);
      }),
  };
}

function minuteOf(nanoseconds: string): string {
  return nanoseconds.length > 9 ? String(Math.floor(Number(nanoseconds.slice(0, -9)) / 60)) : '0';
}

const collator = new Intl.Collator('en', { numeric: true });
export function byName(a: string, b: string): number {
  return collator.compare(a, b);
}
