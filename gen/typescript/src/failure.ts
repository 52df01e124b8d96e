import { statusOfCode } from './gen/codes.gen.js';
import type { Problem } from './gen/types.gen.js';
import { isProblem } from './guards.js';

type StatusOfCode = typeof statusOfCode;

/** A code that this version of the client knows. More may come: see {@link Unrecognized}. */
export type Code = keyof StatusOfCode;

/** The statuses that say "not now": their responses say after how many seconds to try again. */
type Later = 429 | 503;

/** A refusal by logfence, as in RFC 9457, told apart by `code`. */
export type Refusal = {
  [C in Code]: Problem & { code: C; status: StatusOfCode[C] } & (StatusOfCode[C] extends Later ? { retry_after: number } : unknown);
}[Code];

/** A refusal whose code is newer than this client: go by its `status`. */
export type Unrecognized = Problem & { code: 'unrecognized'; original_code: string; retry_after?: number };

/** A response that is not logfence's: a proxy's, or that of another server at the base URL. */
export interface Foreign {
  code: 'not_logfence';
  title: string;
  detail: string;
  /** The HTTP status. */
  status: number;
}

/**
 * There is no response, or not all of it: `aborted` by the caller's signal; `unreachable`: the connection
 * failed, or the browser did not allow it; `broken_off`: it ended in the middle; `token_failed`: the
 * function that gives the token threw.
 */
export interface NoResponse {
  code: 'aborted' | 'unreachable' | 'broken_off' | 'token_failed';
  title: string;
  detail: string;
  status: undefined;
  cause: unknown;
}

/** @deprecated The former name of {@link NoResponse}. */
export type NoAnswer = NoResponse;

/** Whatever can go wrong, told apart by `code`, or by `status`. Each has a `title` and a `detail` for users. */
export type Failure = Refusal | Unrecognized | Foreign | NoResponse;

/** What tails and exports throw, since they are read after the response has begun. */
export class LogfenceError extends Error {
  override readonly name = 'LogfenceError';

  constructor(readonly failure: Failure) {
    super(`${failure.code}: ${failure.detail}`, 'cause' in failure ? { cause: failure.cause } : undefined);
  }
}

/** What the function that gives the token threw. @internal */
export class TokenError extends Error {
  override readonly name = 'TokenError';

  constructor(cause: unknown) {
    super('no token', { cause });
  }
}

const titles: Record<NoResponse['code'], [title: string, detail: string]> = {
  aborted: ['Aborted', 'The request was cancelled before its response was complete.'],
  unreachable: ['No response', 'logfence could not be reached.'],
  broken_off: ['Response broken off', 'The response ended in the middle and is incomplete.'],
  token_failed: ['No token', 'The token function failed.'],
};

export function noResponse(code: NoResponse['code'], cause: unknown): NoResponse {
  const [title, detail] = titles[code];
  return { code, title, detail, status: undefined, cause };
}

/** The failure for what was thrown before or during a response. */
export function ofThrown(thrown: unknown, signal: AbortSignal | undefined, otherwise: 'unreachable' | 'broken_off'): Failure {
  if (thrown instanceof LogfenceError) return thrown.failure;
  if (signal?.aborted) return noResponse('aborted', signal.reason);
  if (thrown instanceof TokenError) return noResponse('token_failed', thrown.cause);
  return noResponse(otherwise, thrown);
}

/** The failure that a response reports. */
export function ofResponse(body: unknown, response: Response): Failure {
  // The body's status is logfence's own; a proxy that changed the other has its reasons, and they are not ours.
  return isProblem(body) ? ofProblem(body, response.headers.get('Retry-After')) : foreign(response);
}

export function ofProblem(given: Problem, retryAfter: string | null = null): Failure {
  const later = given.status === 429 || given.status === 503;
  const problem = { ...given, ...(later && { retry_after: secondsOf(retryAfter) }) };
  if (isKnown(problem)) return problem;
  return { ...problem, code: 'unrecognized', original_code: given.code };
}

function isKnown(p: Problem): p is Refusal {
  return Object.entries(statusOfCode).some(([code, status]) => code === p.code && status === p.status);
}

function secondsOf(retryAfter: string | null): number {
  const seconds = Number(retryAfter ?? '1');
  return Number.isFinite(seconds) && seconds >= 1 ? seconds : 1;
}

export function foreign(response: Response): Foreign {
  const media = response.headers.get('Content-Type') ?? 'no media type';
  return {
    code: 'not_logfence',
    title: 'Not a response of logfence',
    detail: `Another server responded, with status ${response.status} and ${media}. Check the base URL, and proxies in front of logfence.`,
    status: response.status,
  };
}
