import { exportMedia, exportOf, type Export } from './export.js';
import { TokenError } from './failure.js';
import { createClient, urlSearchParamsBodySerializer, type Client } from './gen/client/index.js';
import * as api from './gen/sdk.gen.js';
import type * as t from './gen/types.gen.js';
import { resultOf, type GeneratedResponse, type Result } from './result.js';
import { streamOf, type StreamEvent } from './stream.js';
import { follow, type TailEvent } from './tail.js';
import { sent, type WithDates } from './times.js';

/** What a client has to know. */
export interface LogfenceOptions {
  /** Where logfence is, such as `https://logs.example.com` or `https://portal.example.com/logs`; empty for the page's own origin. */
  baseUrl: string;
  /**
   * The token of requests, or a function that gives one: it is called for each request, so that it can give
   * a new token when the old one expires.
   */
  token: string | (() => string | Promise<string>);
  /** One of the token's tenants, for every request; without it responses have the lines of all of them. */
  tenant?: string | undefined;
  /** One of the caller's grants (see `me()`), for every request; without it those with several get their default, or 403. */
  grant?: string | undefined;
  /** What to use in place of the global `fetch`. */
  fetch?: typeof fetch | undefined;
}

/** What may be said of each request. */
export interface RequestOptions {
  /** Ends the request, or the tail or export that it began. */
  signal?: AbortSignal | undefined;
  /** One of the token's tenants, in place of the client's. */
  tenant?: string | undefined;
  /** One of the caller's grants, in place of the client's. */
  grant?: string | undefined;
}

export interface QueryOptions extends RequestOptions {
  /**
   * Tell structured metadata and what the query's parsers read from the labels of the stream: they come as
   * the third element of each entry. Otherwise they are among the stream's labels.
   */
  categorizeLabels?: boolean | undefined;
}

export interface TailOptions extends RequestOptions {
  /** The `id` of the last event seen, by a client that is gone, to go on from there. */
  lastEventId?: string | undefined;
}

type Params<D extends { query?: unknown }> = WithDates<NonNullable<D['query']>>;

/** A query that is longer than this is sent in a form: URLs have bounds of their own in proxies and servers. */
const longestInURL = 2000;

const json = ['application/json'];
const ndjson = ['application/x-ndjson'];

/**
 * A client of logfence. Its functions are those of the API by their `operationId`. They return
 * `{ data, error }` and never reject. Only what is read after a response has begun, a tail or an export, throws
 * a {@link LogfenceError}.
 */
export interface Logfence {
  /** Log lines, or metrics computed from them, over a time range: `data.data.resultType` says which. */
  queryLogs(params: Params<t.QueryLogsData>, options?: QueryOptions): Promise<Result<t.QueryResponse>>;

  /** A metric query evaluated at one moment. */
  queryInstant(params: Params<t.QueryInstantData>, options?: QueryOptions): Promise<Result<t.InstantQueryResponse>>;

  /** The names of the labels that streams have in the time range. */
  listLabels(params?: Params<t.ListLabelsData>, options?: RequestOptions): Promise<Result<t.LabelsResponse>>;

  /** The values of one label among the streams of the time range. */
  listLabelValues(name: string, params?: Params<t.ListLabelValuesData>, options?: RequestOptions): Promise<Result<t.LabelsResponse>>;

  /** Labels worth showing. */
  listDetectedLabels(params?: Params<t.ListDetectedLabelsData>, options?: RequestOptions): Promise<Result<t.DetectedLabelsResponse>>;

  /** The label sets of streams. */
  listSeries(params?: Params<t.ListSeriesData>, options?: RequestOptions): Promise<Result<t.SeriesResponse>>;

  /** How much the selected streams hold, estimated from Loki's index. */
  getStats(params: Params<t.GetStatsData>, options?: RequestOptions): Promise<Result<t.IndexStats>>;

  /** Bytes by label. */
  getVolume(params: Params<t.GetVolumeData>, options?: RequestOptions): Promise<Result<t.VolumeResponse>>;

  /** Bytes by label and time. */
  getVolumeRange(params: Params<t.GetVolumeRangeData>, options?: RequestOptions): Promise<Result<t.VolumeRangeResponse>>;

  /** Patterns of log lines. */
  listPatterns(params: Params<t.ListPatternsData>, options?: RequestOptions): Promise<Result<t.PatternsResponse>>;

  /** The fields that log lines have. */
  listFields(params: Params<t.ListFieldsData>, options?: RequestOptions): Promise<Result<t.FieldsResponse>>;

  /** The values of one field. */
  listFieldValues(name: string, params: Params<t.ListFieldValuesData>, options?: RequestOptions): Promise<Result<t.FieldValuesResponse>>;

  /** The lines around one line of one stream. */
  getContext(params: Params<t.GetContextData>, options?: RequestOptions): Promise<Result<t.ContextResponse>>;

  /** What becomes of a query, without a request to Loki. */
  explainQuery(body: t.ExplainRequest, options?: RequestOptions): Promise<Result<t.Explanation>>;

  /** The caller, and what it may see. */
  getMe(options?: RequestOptions): Promise<Result<t.Me>>;

  /**
   * Log lines as they arrive, until the signal is aborted or the loop is left. Where the connection breaks,
   * Loki or logfence restarts, or the token expires (and `token` is a function), it goes on by itself without
   * losing or repeating a line, and says so by an event. What cannot go on, or did not begin, throws a
   * {@link LogfenceError}; an abort just ends it.
   */
  tailLogs(params: Params<t.TailLogsData>, options?: TailOptions): AsyncGenerator<TailEvent, void, void>;

  /**
   * A page of log lines, flat and sorted. `data.next` and `data.previous` are cursors: send one as `cursor` with the same query,
   * and without times and direction.
   */
  listLines(params: Params<t.ListLinesData>, options?: RequestOptions): Promise<Result<t.LinesPage>>;

  /**
   * Log lines while they are found: lines in order, progress, gaps, and an end that says whether they are complete. Leaving
   * the loop, or the signal, ends the request, and what it does at Loki. What cannot begin or go on throws a
   * {@link LogfenceError}; with the `id` of the last event as `lastEventId` another stream goes on behind it.
   */
  streamLines(params: Params<t.ListLinesData>, options?: TailOptions): AsyncGenerator<StreamEvent, void, void>;

  /** All log lines of a time range as one file, past the number of lines that one query may return. */
  exportLogs(params: Params<t.ExportLogsData>, options?: RequestOptions): Promise<Result<Export>>;
}

/** Makes a client; it sends no request yet. */
export function createLogfence(options: LogfenceOptions): Logfence {
  const client = createClient({
    baseUrl: options.baseUrl,
    auth: () => tokenOf(options.token),
    cache: 'no-store', // a response grows as lines arrive
    redirect: 'error', // logfence has no redirects; a sign-in page of a proxy's is no response
  });
  const request = <T>(media: string[], o: QueryOptions, call: (base: Base) => GeneratedResponse<T>): Promise<Result<T>> =>
    resultOf(media, o.signal, options.fetch ?? globalThis.fetch, (fetch) =>
      call({
        client,
        fetch,
        headers: headersOf(o, o.tenant ?? options.tenant, o.grant ?? options.grant),
        ...(o.signal && { signal: o.signal }),
      }),
    );
  return {
    queryLogs: (params, o = {}) =>
      request(json, o, (base) =>
        params.query.length > longestInURL
          ? api.queryLogsForm({ ...base, body: sent(params) })
          : api.queryLogs({ ...base, query: sent(params) }),
      ),
    queryInstant: (params, o = {}) =>
      request(json, o, (base) =>
        params.query.length > longestInURL
          ? api.queryInstantForm({ ...base, body: sent(params) })
          : api.queryInstant({ ...base, query: sent(params) }),
      ),
    listLabels: (params = {}, o = {}) => request(json, o, (base) => api.listLabels({ ...base, query: sent(params) })),
    listLabelValues: (name, params = {}, o = {}) =>
      request(json, o, (base) => api.listLabelValues({ ...base, path: { name }, query: sent(params) })),
    listDetectedLabels: (params = {}, o = {}) => request(json, o, (base) => api.listDetectedLabels({ ...base, query: sent(params) })),
    listSeries: (params = {}, o = {}) => request(json, o, (base) => api.listSeries({ ...base, query: sent(params) })),
    getStats: (params, o = {}) => request(json, o, (base) => api.getStats({ ...base, query: sent(params) })),
    getVolume: (params, o = {}) => request(json, o, (base) => api.getVolume({ ...base, query: sent(params) })),
    getVolumeRange: (params, o = {}) => request(json, o, (base) => api.getVolumeRange({ ...base, query: sent(params) })),
    listPatterns: (params, o = {}) => request(json, o, (base) => api.listPatterns({ ...base, query: sent(params) })),
    listFields: (params, o = {}) => request(json, o, (base) => api.listFields({ ...base, query: sent(params) })),
    listFieldValues: (name, params, o = {}) =>
      request(json, o, (base) => api.listFieldValues({ ...base, path: { name }, query: sent(params) })),
    getContext: (params, o = {}) => request(json, o, (base) => api.getContext({ ...base, query: sent(params) })),
    explainQuery: (body, o = {}) => request(json, o, (base) => api.explainQuery({ ...base, body })),
    getMe: (o = {}) => request(json, o, (base) => api.getMe(base)),
    tailLogs: (params, o = {}) =>
      follow(
        (lastEventId, signal) =>
          request(['text/event-stream'], o, ({ headers, ...base }) =>
            // Not the generated tailLogs, which keeps to itself what goes wrong.
            client.get<{ 200: ReadableStream<Uint8Array> }>({
              ...base,
              ...bearer,
              url: '/api/v1/logs/tail',
              query: sent(params),
              headers: { ...headers, ...(lastEventId && { 'Last-Event-ID': lastEventId }) },
              parseAs: 'stream',
              signal,
            }),
          ),
        o.lastEventId ?? '',
        o.signal,
      ),
    listLines: (params, o = {}) =>
      request<t.LinesPage>(json, o, (base) =>
        params.query.length > longestInURL
          ? api.listLinesForm({ ...base, body: sent(params) })
          : api.listLines({ ...base, query: sent(params) }),
      ),
    streamLines: (params, o = {}) =>
      streamOf(
        request(ndjson, o, ({ headers, ...base }) => {
          const call = {
            ...base,
            ...bearer,
            url: '/api/v1/logs/lines',
            headers: { ...headers, Accept: ndjson.join(), ...(o.lastEventId && { 'Last-Event-ID': o.lastEventId }) },
            parseAs: 'stream',
          } as const;
          return params.query.length > longestInURL
            ? client.post<{ 200: ReadableStream<Uint8Array> }>({
                ...call,
                ...urlSearchParamsBodySerializer,
                headers: { ...call.headers, 'Content-Type': 'application/x-www-form-urlencoded' },
                body: sent(params),
              })
            : client.get<{ 200: ReadableStream<Uint8Array> }>({ ...call, query: sent(params) });
        }),
        o.signal,
      ),
    exportLogs: async (params, o = {}) => {
      const result = await request(exportMedia, o, (base) =>
        client.get<{ 200: ReadableStream<Uint8Array<ArrayBuffer>> }>({
          ...base,
          ...bearer,
          url: '/api/v1/logs/export',
          query: (params.format ?? 'ndjson') === 'ndjson' ? { ...sent(params), end_record: true } : sent(params),
          parseAs: 'stream',
        }),
      );
      return result.error ? result : { ...result, data: exportOf(result.data, result.response, params.end_record, o.signal) };
    },
  };
}

/** What each call of a generated function is given. */
interface Base {
  client: Client;
  fetch: typeof fetch;
  headers: { 'X-Logfence-Tenant'?: string; 'X-Logfence-Grant'?: string; 'X-Loki-Response-Encoding-Flags'?: 'categorize-labels' };
  signal?: AbortSignal;
}

function headersOf(o: QueryOptions, tenant: string | undefined, grant: string | undefined): Base['headers'] {
  return {
    ...(tenant !== undefined && { 'X-Logfence-Tenant': tenant }),
    ...(grant !== undefined && { 'X-Logfence-Grant': grant }),
    ...(o.categorizeLabels && { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' }),
  };
}

const bearer = { security: [{ scheme: 'bearer', type: 'http' } as const] };

async function tokenOf(token: LogfenceOptions['token']): Promise<string> {
  if (typeof token === 'string') return token;
  try {
    return await token();
  } catch (cause) {
    throw new TokenError(cause);
  }
}
