// The view in the URL: a link shows a colleague the same thing.
import type { View } from '../model';
import { momentOf, spanOf } from './range';

/** What is shown where a URL says nothing else: everything that is new. */
export const fallback: View = {
  query: '{}',
  from: 'now-1h',
  to: 'now',
  limit: 500,
  direction: 'backward',
  zone: 'local',
  wrap: false,
};

export const limits = [100, 500, 1000, 2000, 5000];

/** The view that a URL's query names. A part that cannot be read has its default. */
export function viewOf(search: string): View {
  const params = new URLSearchParams(search);
  const view: View = { ...fallback };
  const query = params.get('q');
  if (query !== null) view.query = query;
  const [from, to] = [params.get('from'), params.get('to')];
  if (from !== null && momentOf(from, 0) !== undefined) view.from = from;
  if (to !== null && momentOf(to, 0) !== undefined) view.to = to;
  if (!spanOf(view.from, view.to, Date.now())) [view.from, view.to] = [fallback.from, fallback.to];
  const limit = Number(params.get('limit'));
  if (Number.isInteger(limit) && limit >= 1 && limit <= 100_000) view.limit = limit;
  if (params.get('dir') === 'forward') view.direction = 'forward';
  if (params.get('tz') === 'utc') view.zone = 'utc';
  if (params.get('wrap') === '1') view.wrap = true;
  const tenant = params.get('tenant');
  if (tenant) view.tenant = tenant;
  return view;
}

/** The URL's query for a view. */
export function searchOf(view: View): string {
  const params = new URLSearchParams({ q: view.query, from: view.from, to: view.to });
  if (view.limit !== fallback.limit) params.set('limit', String(view.limit));
  if (view.direction !== fallback.direction) params.set('dir', view.direction);
  if (view.zone !== fallback.zone) params.set('tz', view.zone);
  if (view.wrap) params.set('wrap', '1');
  if (view.tenant) params.set('tenant', view.tenant);
  return `?${params.toString()}`;
}
