// Lines out of responses, and the next page after the lines that are there.
import type { QueryData } from '@logfence/client';

import type { Direction, Line, Span } from '../model';
import { Keys, linesOf as inOrder } from '../results/store';

type Streams = Extract<QueryData, { resultType: 'streams' }>['result'];

/** The lines of a response in the order in which they are shown; `key` goes on from the one given. */
export function linesOf(streams: Streams, direction: Direction, key: number): Line[] {
  return inOrder(streams, direction, new Keys(key - 1));
}

/** The request for what comes after the lines. */
export interface Next {
  span: Span;
  limit: number;
  /** The last lines, all of one nanosecond: they come again, and are left out. */
  held: Line[];
}

/**
 * The next page begins with the nanosecond at which the last ended, since that may have had more lines than there
 * was room for. So those that are there already are requested again.
 */
export function nextPage(lines: Line[], range: Span, direction: Direction, limit: number, most: number): Next {
  const last = lines.at(-1);
  if (!last) return { span: range, limit: Math.min(limit, most), held: [] };
  let first = lines.length - 1;
  while (first > 0 && lines[first - 1]?.ns === last.ns) first--;
  const held = lines.slice(first);
  const span = direction === 'backward' ? { ...range, end: String(BigInt(last.ns) + 1n) } : { ...range, start: last.ns };
  return { span, limit: Math.min(limit + held.length, most), held };
}

/** The page without the lines that are held. Twins, the same in everything, are as many as they are. */
export function without(page: Line[], held: Line[]): Line[] {
  const left = new Map<string, number>();
  for (const line of held) left.set(identity(line), (left.get(identity(line)) ?? 0) + 1);
  const ns = held[0]?.ns;
  return page.filter((line) => {
    if (line.ns !== ns) return true;
    const n = left.get(identity(line)) ?? 0;
    if (n === 0) return true;
    left.set(identity(line), n - 1);
    return false;
  });
}

function identity({ stream, metadata, text }: Line): string {
  return JSON.stringify([Object.entries(stream).sort(), Object.entries(metadata).sort(), text]);
}

/**
 * The span after a page that brought nothing new though it was full: more lines have one nanosecond than can be
 * requested at once, and the rest of them cannot be reached.
 */
export function past(ns: string, range: Span, direction: Direction): Span {
  return direction === 'backward' ? { ...range, end: ns } : { ...range, start: String(BigInt(ns) + 1n) };
}
