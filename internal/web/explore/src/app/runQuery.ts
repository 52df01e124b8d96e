// Requests for lines or numbers, and for the page after the lines that are there.
import type { MatrixSeries } from '@logfence/client';

import type { Client, Direction, Failure, Line, Span } from '../model';
import { isMetric } from '../query/logql';
import { linesOf, nextPage, past, without } from './paging';
import { stepOf } from './range';

/** No more lines than these are kept in the page. */
export const mostLines = 100_000;

/** A query that was run, with its range as it was then. */
export interface SearchRequest {
  query: string;
  span: Span;
  limit: number;
  direction: Direction;
  /** When, in milliseconds since 1970. */
  at: number;
}

export interface LinesResult {
  kind: 'lines';
  request: SearchRequest;
  took: number;
  lines: Line[];
  /** There is nothing further in the range, or no room. */
  atEnd: boolean;
  /** How many nanoseconds had more lines than one request returns, so that some are missing. */
  crowded: number;
}

export interface MatrixResult {
  kind: 'matrix';
  request: SearchRequest;
  took: number;
  series: MatrixSeries[];
  /** Between points, in milliseconds. */
  step: number;
}

export interface FailedResult {
  kind: 'failed';
  request: SearchRequest;
  failure: Failure;
  /** The result that the same query had before: it stays. */
  before?: LinesResult | MatrixResult | undefined;
}

export type SearchResult = LinesResult | MatrixResult | FailedResult;

export async function runQuery(client: Client, request: SearchRequest, signal: AbortSignal): Promise<SearchResult> {
  const { query, span, limit, direction } = request;
  const began = performance.now();
  const step = stepOf(span);
  const params = isMetric(query) ? { query, ...span, step: `${step}s` } : { query, ...span, limit, direction };
  const { data, error } = await client.queryLogs(params, { signal, categorizeLabels: true });
  const took = performance.now() - began;
  if (error) return { kind: 'failed', request, failure: error };
  if (data.data.resultType === 'matrix') return { kind: 'matrix', request, took, series: data.data.result, step: step * 1000 };
  const lines = linesOf(data.data.result, direction, 0);
  return { kind: 'lines', request, took, lines, atEnd: lines.length < limit, crowded: 0 };
}

/** The result with the next page, which begins where it ends. */
export async function loadNextPage(client: Client, before: LinesResult, most: number, signal: AbortSignal): Promise<LinesResult | Failure> {
  const { request, lines } = before;
  const { query, direction } = request;
  const key = (lines.at(-1)?.key ?? -1) + 1;
  let next = nextPage(lines, request.span, direction, request.limit, most);
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
    // Only lines that are there already: first request as many as allowed, then skip this nanosecond.
    const ns = next.held[0]?.ns ?? '0';
    if (next.limit < most) next = { ...next, limit: most };
    else {
      crowded++;
      next = { span: past(ns, request.span, direction), limit: Math.min(request.limit, most), held: [] };
    }
  }
}
