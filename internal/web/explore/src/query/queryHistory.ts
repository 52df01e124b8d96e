/**
 * The queries that were run, kept in this browser: the text alone, never a result.
 *
 * Queries show what a user was looking for, and browsers are shared. They are therefore deleted on signing out,
 * pinned ones included, and when another user signs in (`claimHistory`). They are not kept apart by tenant: a user
 * of several runs the same queries in each.
 */
const stored = 'logfence.history';
const owned = 'logfence.history.owner';
/** Time ranges that were typed, the last first: each its beginning and its end, as a URL has them. */
const ranges = 'logfence.ranges';
const mostRanges = 5;
const most = 100;
/** Longer ones are not kept: storage is small, and nobody finds them again. */
const longest = 4096;

export interface HistoryEntry {
  query: string;
  pinned: boolean;
}

/** Puts a query first; a pinned one stays pinned. */
export function remember(query: string): void {
  const text = query.trim();
  if (text === '' || text.length > longest) return;
  const kept = load();
  write([{ query: text, pinned: kept.some((old) => old.query === text && old.pinned) }, ...without(kept, text)]);
}

/** Forgets everything: for signing out. */
export function forgetHistory(): void {
  put(stored, undefined);
  put(ranges, undefined);
  put(owned, undefined);
}

/** Says whose history this is from now on; another's is forgotten. */
export function claimHistory(owner: string): void {
  const before = get(owned);
  if (before !== null && before !== owner) forgetHistory();
  put(owned, owner);
}

/** The queries, the last first. */
export function recentQueries(): string[] {
  return load().map(({ query }) => query);
}

/** The queries, pinned ones first and else the last first. */
export function read(): HistoryEntry[] {
  const kept = load();
  return [...kept.filter(({ pinned }) => pinned), ...kept.filter(({ pinned }) => !pinned)];
}

export function pin(query: string, pinned: boolean): void {
  write(load().map((entry) => (entry.query === query ? { query, pinned } : entry)));
}

export function forget(query: string): void {
  write(without(load(), query));
}

/** Forgets what is not pinned. */
export function clear(): void {
  write(load().filter(({ pinned }) => pinned));
}

function without(kept: HistoryEntry[], query: string): HistoryEntry[] {
  return kept.filter((old) => old.query !== query);
}

function write(kept: HistoryEntry[]): void {
  let room = most - kept.filter(({ pinned }) => pinned).length;
  const bounded = kept.filter(({ pinned }) => pinned || room-- > 0);
  put(stored, JSON.stringify(bounded));
}

/** Storage may be full or forbidden: the page does without. */
function put(key: string, text: string | undefined): void {
  try {
    if (text === undefined) localStorage.removeItem(key);
    else localStorage.setItem(key, text);
  } catch {
    return;
  }
}

function get(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function load(): HistoryEntry[] {
  try {
    const kept: unknown = JSON.parse(get(stored) ?? '[]');
    return Array.isArray(kept) ? kept.flatMap((entry) => (isHistoryEntry(entry) ? [entry] : [])) : [];
  } catch {
    return [];
  }
}

function isHistoryEntry(entry: unknown): entry is HistoryEntry {
  if (typeof entry !== 'object' || entry === null) return false;
  return 'query' in entry && typeof entry.query === 'string' && 'pinned' in entry && typeof entry.pinned === 'boolean';
}

export function rememberRange(from: string, to: string): void {
  const others = recentRanges().filter(([a, b]) => a !== from || b !== to);
  put(ranges, JSON.stringify([[from, to], ...others].slice(0, mostRanges)));
}

/** The ranges that were typed, the last first. */
export function recentRanges(): [from: string, to: string][] {
  try {
    const kept: unknown = JSON.parse(get(ranges) ?? '[]');
    return Array.isArray(kept) ? kept.flatMap((one) => (isRange(one) ? [one] : [])) : [];
  } catch {
    return [];
  }
}

function isRange(one: unknown): one is [string, string] {
  return Array.isArray(one) && one.length === 2 && one.every((part) => typeof part === 'string');
}
