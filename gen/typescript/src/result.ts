import { foreign, ofResponse, ofThrown, type Failure } from './failure.js';

/** The outcome of a request: `data` or, where `error` is set, none. */
export type Result<T> =
  | { data: T; error: undefined; response: Response }
  | { data: undefined; error: Failure; response: Response | undefined };

/** What the generated functions return; `response` is missing where there was none, whatever their types say. */
export type GeneratedResponse<T> = Promise<{ data: T | undefined; error: unknown; response: Response | undefined }>;

/**
 * The outcome of a generated function, which is to use the fetch that it is given. It never rejects, and takes
 * only what has the media type that was described for a response: anything else is a page of another server.
 */
export async function resultOf<T>(
  media: string[],
  signal: AbortSignal | undefined,
  fetcher: typeof fetch,
  call: (fetch: typeof fetcher) => GeneratedResponse<T>,
): Promise<Result<T>> {
  let response: Response | undefined;
  const refused = (error: Failure): Result<T> => ({ data: undefined, error, response });
  try {
    const result = await call(async (input, init) => (response = await fetcher(input, init)));
    if (!response) return refused(ofThrown(result.error, signal, 'unreachable'));
    if (!response.ok) return refused(ofResponse(result.error, response));
    // Not only undefined: there are responses without a body.
    if (result.data == null || !media.includes(mediaOf(response))) return refused(foreign(response));
    return { data: result.data, error: undefined, response };
  } catch (thrown) {
    if (response && thrown instanceof SyntaxError) return refused(foreign(response)); // no JSON
    return refused(ofThrown(thrown, signal, response ? 'broken_off' : 'unreachable'));
  }
}

function mediaOf(response: Response): string {
  return (response.headers.get('Content-Type') ?? '').split(';', 1).join().trim().toLowerCase();
}
