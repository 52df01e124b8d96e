// Requests for lines or numbers, and for the page after the lines that are there.
import type { MatrixSeries, VectorSeries } from '@logfence/client';

import type { Client, Direction, Failure, Line, Span } from '../model';
import { isMetric } from '../query/logql';
import { momentIn } from '../results/mark';
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
  /** A metric query is evaluated at the end of the span alone. */
  instant: boolean;
  /** The line that is to be among the lines, as mark.ts names it. */
  line?: string | undefined;
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

export interface VectorResult {
  kind: 'vector';
  request: SearchRequest;
  took: number;
  series: VectorSeries[];
}

export interface FailedResult {
  kind: 'failed';
  request: SearchRequest;
  failure: Failure;
  /** The result that the same query had before: it stays. */
  before?: Exclude<SearchResult, FailedResult> | undefined;
}

export type SearchResult = LinesResult | MatrixResult | VectorResult | FailedResult;

export async function runQuery(client: Client, request: SearchRequest, signal: AbortSignal): Promise<SearchResult> {
  const began = performance.now();
  if (!isMetric(request.query)) return await linesIn(client, request, began, signal);
  if (request.instant) return await valuesAt(client, request, began, signal);
  const { query, span } = request;
  const step = stepOf(span);
  const { data, error } = await client.queryLogs({ query, ...span, step: `${step}s` }, { signal });
  if (error) return { kind: 'failed', request, failure: error };
  const series = data.data.resultType === 'matrix' ? data.data.result : [];
  return { kind: 'matrix', request, took: performance.now() - began, series, step: step * 1000 };
}

async function linesIn(client: Client, given: SearchRequest, began: number, signal: AbortSignal): Promise<SearchResult> {
  const request = await aroundLine(client, given, signal);
  const { query, span, limit, direction } = request;
  const { data, error } = await client.queryLogs({ query, ...span, limit, direction }, { signal, categorizeLabels: true });
  const took = performance.now() - began;
  if (error) return { kind: 'failed', request, failure: error };
  if (data.data.resultType === 'matrix') return { kind: 'matrix', request, took, series: data.data.result, step: 1000 };
  const lines = linesOf(data.data.result, direction, 0);
  return { kind: 'lines', request, took, lines, atEnd: lines.length < limit, crowded: 0 };
}

async function valuesAt(client: Client, request: SearchRequest, began: number, signal: AbortSignal): Promise<SearchResult> {
  const { data, error } = await client.queryInstant({ query: request.query, time: request.span.end }, { signal });
  if (error) return { kind: 'failed', request, failure: error };
  const { resultType, result } = data.data;
  const series = resultType === 'vector' ? result : resultType === 'scalar' ? [{ metric: {}, value: result }] : [];
  return { kind: 'vector', request, took: performance.now() - began, series };
}

/**
 * The request with its span cut, so that the line which a link is about is on its first page: the range of a link has
 * some minutes, and those after the line may have more lines than a page.
 */
async function aroundLine(client: Client, request: SearchRequest, signal: AbortSignal): Promise<SearchRequest> {
  const ns = request.line && momentIn(request.line);
  if (!ns || request.direction !== 'backward') return request;
  const limit = Math.max(1, Math.floor(request.limit / 2));
  const params = { query: request.query, start: ns, end: request.span.end, limit, direction: 'forward' as const };
  const { data } = await client.queryLogs(params, { signal });
  if (data?.data.resultType !== 'streams') return request; // the request itself then says what is wrong
  const after = linesOf(data.data.result, 'forward', 0);
  const last = after.at(-1);
  if (after.length < limit || !last) return request;
  return { ...request, span: { ...request.span, end: String(BigInt(last.ns) + 1n) } };
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
