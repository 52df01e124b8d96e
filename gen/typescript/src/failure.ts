import { statusOfCode } from './gen/codes.gen.js';
import type { Problem } from './gen/types.gen.js';
import { isProblem } from './guards.js';

type StatusOfCode = typeof statusOfCode;

/** A code that this version of the client knows. More may come: see {@link Unrecognized}. */
export type Code = keyof StatusOfCode;

/** The statuses that say "not now": their answers say after how many seconds to try again. */
type Later = 429 | 503;

/** A refusal by logfence, as in RFC 9457, told apart by `code`. */
export type Refusal = {
  [C in Code]: Problem & { code: C; status: StatusOfCode[C] } & (StatusOfCode[C] extends Later ? { retry_after: number } : unknown);
}[Code];

/** A refusal whose code is newer than this client: go by its `status`. */
export type Unrecognized = Problem & { code: 'unrecognized'; original_code: string; retry_after?: number };

/** An answer that logfence did not give: a proxy's, or that of whatever is at the base URL. */
export interface Foreign {
  code: 'not_logfence';
  title: string;
  detail: string;
  /** The HTTP status. */
  status: number;
}

/**
 * There is no answer, or not all of it: `aborted` by the caller's signal; `unreachable`: the connection
 * failed, or the browser did not allow it; `broken_off`: it ended in the middle; `token_failed`: the
 * function that gives the token threw.
 */
export interface NoAnswer {
  code: 'aborted' | 'unreachable' | 'broken_off' | 'token_failed';
  title: string;
  detail: string;
  status: undefined;
  cause: unknown;
}

/** Whatever can go wrong, told apart by `code`, or by `status`. Each has a `title` and a `detail` for people. */
export type Failure = Refusal | Unrecognized | Foreign | NoAnswer;

/** What tails and exports throw, since they are read after they have been answered. */
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

const titles: Record<NoAnswer['code'], [title: string, detail: string]> = {
  aborted: ['Aborted', 'The request was given up before it was answered.'],
  unreachable: ['No answer', 'logfence could not be reached.'],
  broken_off: ['Answer broken off', 'The answer ended in the middle. What has come is not all.'],
  token_failed: ['No token', 'No token could be had to ask with.'],
};

export function noAnswer(code: NoAnswer['code'], cause: unknown): NoAnswer {
  const [title, detail] = titles[code];
  return { code, title, detail, status: undefined, cause };
}

/** What was thrown before or while an answer came. */
export function ofThrown(thrown: unknown, signal: AbortSignal | undefined, otherwise: 'unreachable' | 'broken_off'): Failure {
  if (thrown instanceof LogfenceError) return thrown.failure;
  if (signal?.aborted) return noAnswer('aborted', signal.reason);
  if (thrown instanceof TokenError) return noAnswer('token_failed', thrown.cause);
  return noAnswer(otherwise, thrown);
}

/** What an answer says that is no success. */
export function ofAnswer(body: unknown, response: Response): Failure {
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
    title: 'Not an answer of logfence',
    detail: `Something else answered, with status ${response.status} and ${media}. Look at the base URL, and at proxies on the way.`,
    status: response.status,
  };
}
