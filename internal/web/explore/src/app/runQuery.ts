// Asking the server for lines or numbers, and for the page after the lines that are there.
import type { MatrixSeries } from '@logfence/client';

import type { Client, Direction, Failure, Line, Span } from '../model';
import { isMetric } from '../query/logql';
import { linesOf, nextPage, past, without } from './paging';

/** No more lines than these are kept in the page. */
export const mostLines = 100_000;

/** What was asked, with its range as it was then. */
export interface Asked {
  query: string;
  span: Span;
  limit: number;
  direction: Direction;
  /** When, in milliseconds since 1970. */
  at: number;
}

export interface LinesAnswer {
  kind: 'lines';
  asked: Asked;
  took: number;
  lines: Line[];
  /** There is nothing further in the range, or no room. */
  atEnd: boolean;
  /** How often more lines had one nanosecond than could be asked for, so that some are missing. */
  crowded: number;
}

export interface MatrixAnswer {
  kind: 'matrix';
  asked: Asked;
  took: number;
  series: MatrixSeries[];
}

export interface FailedAnswer {
  kind: 'failed';
  asked: Asked;
  failure: Failure;
  /** What the same query was answered with before: it stays. */
  before?: LinesAnswer | MatrixAnswer | undefined;
}

export type Answer = LinesAnswer | MatrixAnswer | FailedAnswer;

export async function ask(client: Client, asked: Asked, signal: AbortSignal): Promise<Answer> {
  const { query, span, limit, direction } = asked;
  const began = performance.now();
  const params = isMetric(query) ? { query, ...span } : { query, ...span, limit, direction };
  const { data, error } = await client.queryLogs(params, { signal, categorizeLabels: true });
  const took = performance.now() - began;
  if (error) return { kind: 'failed', asked, failure: error };
  if (data.data.resultType === 'matrix') return { kind: 'matrix', asked, took, series: data.data.result };
  const lines = linesOf(data.data.result, direction, 0);
  return { kind: 'lines', asked, took, lines, atEnd: lines.length < limit, crowded: 0 };
}

/** The answer with the next page, which begins where it ends. */
export async function askMore(client: Client, before: LinesAnswer, most: number, signal: AbortSignal): Promise<LinesAnswer | Failure> {
  const { asked, lines } = before;
  const { query, direction } = asked;
  const key = (lines.at(-1)?.key ?? -1) + 1;
  let next = nextPage(lines, asked.span, direction, asked.limit, most);
  let crowded = before.crowded;
  for (;;) {
    const { data, error } = await client.queryLogs(
      { query, ...next.span, limit: next.limit, direction },
      { signal, categorizeLabels: true },
    );
    if (error) return error;
    const page = data.data.resultType === 'streams' ? linesOf(data.data.result, direction, key) : [];
    const fresh = without(page, next.held);
    const full = page.length >= next.limit;
    if (fresh.length > 0 || !full) {
      const room = Math.max(0, mostLines - lines.length);
      const all = lines.concat(fresh.slice(0, room).map((line, i) => ({ ...line, key: key + i })));
      return { ...before, lines: all, atEnd: !full || fresh.length >= room, crowded };
    }
    // Nothing but what is there: first ask for as many as may be, then give this nanosecond up.
    const ns = next.held[0]?.ns ?? '0';
    if (next.limit < most) next = { ...next, limit: most };
    else {
      crowded++;
      next = { span: past(ns, asked.span, direction), limit: Math.min(asked.limit, most), held: [] };
    }
  }
}
