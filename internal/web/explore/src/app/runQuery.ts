// Requests for lines or numbers, for the page behind the lines that are there, and for a gap between them.
import type { MatrixSeries, ReadEstimate, VectorSeries } from '@logfence/client';

import type { Client, Direction, Failure, Gap, Span } from '../model';
import { isMetric } from '../query/logql';
import { momentIn } from '../results/mark';
import { Keys, LabelSets } from '../results/store';
import { nsOf } from '../results/time';
import { stepOf } from './range';
import { appended, filled, lastKey, newIn, readPart, type Listed, type Part } from './reading';

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
  /** What the query reads, as Loki's index has it; missing where it is not known. */
  estimate?: ReadEstimate | undefined;
  /** When, in milliseconds since 1970. */
  at: number;
}

export interface LinesResult extends Listed, Part {
  kind: 'lines';
  request: SearchRequest;
  /** How long the first page took, in milliseconds. */
  took: number;
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

/** Runs a query, and shows lines while they come. */
export async function runQuery(client: Client, request: SearchRequest, signal: AbortSignal, show: Show): Promise<SearchResult> {
  if (!isMetric(request.query)) return await firstLines(client, request, signal, show);
  return await (request.instant ? valuesAt : valuesOver)(client, request, signal);
}

async function valuesOver(client: Client, request: SearchRequest, signal: AbortSignal): Promise<SearchResult> {
  const began = performance.now();
  const { query, span } = request;
  const step = stepOf(span);
  const { data, error } = await client.queryLogs({ query, ...span, step: `${step}s` }, { signal });
  if (error) return { kind: 'failed', request, failure: error };
  const series = data.data.resultType === 'matrix' ? data.data.result : [];
  return { kind: 'matrix', request, took: performance.now() - began, series, step: step * 1000 };
}

async function valuesAt(client: Client, request: SearchRequest, signal: AbortSignal): Promise<SearchResult> {
  const began = performance.now();
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
  const { data } = await client.listLines(params, { signal });
  const last = data?.lines.at(-1);
  if (!last || !data?.next) return request; // where it failed, the request itself then says what is wrong
  return { ...request, span: { ...request.span, end: String(BigInt(nsOf(last.timestamp)) + 1n) } };
}

/** Takes what there is so far, after each event; the result is made where it is wanted. */
export type Show = (part: Part, result: () => LinesResult) => void;

async function firstLines(client: Client, given: SearchRequest, signal: AbortSignal, show: Show): Promise<SearchResult> {
  const began = performance.now();
  const request = await aroundLine(client, given, signal);
  const { query, span, limit, direction } = request;
  const sets = new LabelSets();
  const resultOf = (part: Part): LinesResult => ({
    ...resultAfter({ lines: [], gaps: [], sets }, part),
    request,
    took: performance.now() - began,
  });
  const params = { query, ...span, limit, direction };
  const part = await readPart(client, params, { keys: new Keys(), sets }, signal, (soFar) => show(soFar, () => resultOf(soFar)));
  if (part.failure?.code === 'kind_wrong') return await valuesOver(client, request, signal);
  if (part.failure && part.next === undefined) return { kind: 'failed', request, failure: part.failure };
  return resultOf(part);
}

/** The result with the next page, which begins behind it. */
export async function nextLines(client: Client, before: LinesResult, signal: AbortSignal, show: Show): Promise<LinesResult> {
  const { query, limit } = before.request;
  const places = { keys: new Keys(lastKey(before)), sets: before.sets };
  const resultOf = (part: Part): LinesResult => ({ ...before, ...resultAfter(before, part) });
  const params = { query, cursor: before.next, limit: Math.min(limit, mostLines - before.lines.length) };
  return resultOf(await readPart(client, params, places, signal, (soFar) => show(soFar, () => resultOf(soFar))));
}

type Grown = Omit<LinesResult, 'request' | 'took'>;

/** What is there with the part that follows; `next` stays where the part has none to go on from. */
function resultAfter(before: Listed & { next?: string | undefined }, part: Part): Grown {
  const listed = appended(before, part);
  const end = part.end === 'limit' && listed.lines.length >= mostLines ? 'full' : part.end;
  const next = end === 'complete' ? undefined : (part.next ?? before.next);
  return { kind: 'lines', ...part, ...listed, sets: before.sets, end, next };
}

/** The result with what of a gap can be read now. */
export async function gapLines(client: Client, before: LinesResult, gap: Gap, signal: AbortSignal): Promise<LinesResult> {
  const { query, direction, limit: page } = before.request;
  const limit = Math.max(1, Math.min(page, mostLines - before.lines.length));
  const params = gap.cursor ? { query, cursor: gap.cursor, limit } : { query, ...gap.span, direction, limit };
  const places = { keys: new Keys(), sets: before.sets };
  const part = await readPart(client, params, places, signal, () => undefined, newIn(before, gap));
  return { ...before, ...filled(before, gap, part, direction) };
}

/** Whether two requests are for the same lines, at another moment. */
export function isSameSearch(a: SearchRequest, b: SearchRequest): boolean {
  const length = ({ span }: SearchRequest): bigint => BigInt(span.end) - BigInt(span.start);
  return a.query === b.query && a.direction === b.direction && length(a) === length(b);
}
