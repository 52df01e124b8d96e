import { eventsOf, type ServerSentEvent } from './events.js';
import { foreign, LogfenceError, noResponse, ofThrown, type Failure } from './failure.js';
import type { TailDropped, TailEnd, TailEntries, TailInterrupted, TailMode, TailResumed } from './gen/types.gen.js';
import { isTailDropped, isTailEnd, isTailEntries, isTailInterrupted, isTailMode, isTailResumed, parse } from './guards.js';
import type { Result } from './result.js';

/** Lines, in the order they are to be shown. A client that resumes with `id` continues after them. */
export type EntriesEvent = { type: 'entries'; id: string } & TailEntries;

/** How many lines were left out before the next ones. */
export type DroppedEvent = { type: 'dropped' } & TailDropped;

/**
 * The tail was interrupted, and goes on by itself after `retry_in` milliseconds, without losing or repeating
 * a line. The reason is that of a `TailEnd`, or the code of a {@link Failure}. With `since`, logfence itself is
 * reached and receives nothing from Loki since then: a {@link ResumedEvent} follows when it does.
 */
export type InterruptedEvent = { type: 'interrupted'; retry_in: number; since?: string } & TailEnd;

/** logfence has taken the request again after an {@link InterruptedEvent} without `since`: the tail goes on, quiet or not. */
export interface ReconnectedEvent {
  type: 'reconnected';
}

/** Loki is back: the lines that were missed have been sent. */
export type ResumedEvent = { type: 'resumed' } & TailResumed;

/** How logfence reads new lines: as they arrive, or by a query every few seconds. */
export type ModeEvent = { type: 'mode' } & TailMode;

export type TailEvent = EntriesEvent | DroppedEvent | InterruptedEvent | ReconnectedEvent | ResumedEvent | ModeEvent;

/** Requests the events after an id; the request lasts until the signal is aborted. */
export type OpenTail = (lastEventId: string, signal: AbortSignal) => Promise<Result<ReadableStream<Uint8Array>>>;

/**
 * How long nothing may come, in milliseconds, before the connection is taken for dead: logfence says
 * something every 15 seconds.
 */
const silence = 45_000;

const longestPause = 30_000;

/** Reasons to come back at once: the other side is well. */
const atOnce = new Set(['token_expired', 'server_shutdown']);

/** Follows lines over as many connections as it takes, until the signal is aborted. */
export async function* follow(open: OpenTail, lastEventId: string, signal: AbortSignal | undefined): AsyncGenerator<TailEvent, void, void> {
  const at: Position = { id: lastEventId, accepted: false, away: false, retry: 1000, inVain: 0 };
  while (!signal?.aborted) {
    const end = yield* connection(open, at, signal);
    if (end === undefined) return;
    if (!('reason' in end) && (!at.accepted || !passes(end))) throw new LogfenceError(end);
    const { reason, detail } = 'reason' in end ? end : { reason: end.code, detail: end.detail };
    const retry_in = Math.round(pauseAfter(end, at));
    at.inVain++;
    at.away = true;
    yield { type: 'interrupted', reason, detail, retry_in };
    await pause(retry_in, signal);
  }
}

/** How far a tail has come. */
interface Position {
  id: string;
  /** Whether logfence has taken the request once: then what goes wrong may pass. */
  accepted: boolean;
  /** Whether the caller was told that the tail is interrupted, and not yet that it goes on. */
  away: boolean;
  /** For how many milliseconds to wait before coming back, as logfence has it. */
  retry: number;
  /** How many connections in a row have brought nothing. */
  inVain: number;
}

/** One connection, from its beginning to why it ended; undefined if the caller ended it. */
async function* connection(
  open: OpenTail,
  at: Position,
  signal: AbortSignal | undefined,
): AsyncGenerator<TailEvent, TailEnd | Failure | undefined, void> {
  const own = new AbortController();
  const forward = (): void => own.abort(signal?.reason);
  signal?.addEventListener('abort', forward, { once: true });
  try {
    const { data, error, response } = await withTimeout(own, open(at.id, own.signal));
    if (signal?.aborted) return undefined;
    if (error) return error;
    at.accepted = true;
    if (at.away) yield { type: 'reconnected' };
    at.away = false;
    let end: TailEnd | undefined;
    for await (const event of heard(data, own)) {
      if (event.id !== '') at.id = event.id;
      at.retry = event.retry ?? at.retry;
      const told = read(event);
      switch (told?.type) {
        case 'unreadable':
          return foreign(response);
        case 'end':
          end = told;
          break;
        case 'entries':
        case 'dropped':
        case 'interrupted':
        case 'resumed':
        case 'mode':
          at.inVain = 0;
          yield told;
          break;
        case undefined: // a heartbeat, or an event of a later version's
      }
      if (signal?.aborted) return undefined;
    }
    return end ? { reason: end.reason, detail: end.detail } : noResponse('broken_off', undefined);
  } catch (thrown) {
    if (signal?.aborted) return undefined;
    return ofThrown(thrown, undefined, 'broken_off');
  } finally {
    signal?.removeEventListener('abort', forward);
    own.abort(); // the caller may have left the loop
  }
}

/** The events of a connection, which is given up when nothing is heard of it. */
async function* heard(body: ReadableStream<Uint8Array>, own: AbortController): AsyncGenerator<ServerSentEvent, void, void> {
  const events = eventsOf(body);
  try {
    for (;;) {
      // Only while we wait for it: the caller may take any time for an event.
      const { done, value } = await withTimeout(own, events.next());
      if (done) return;
      yield value;
    }
  } finally {
    await events.return();
  }
}

/** Waits, but not without end: a dead connection reports nothing. */
async function withTimeout<T>(own: AbortController, what: Promise<T>): Promise<T> {
  const timer = setTimeout(() => own.abort(new Error(`nothing was heard for ${silence / 1000} s`)), silence);
  try {
    return await what;
  } finally {
    clearTimeout(timer);
  }
}

type Told = TailEvent | ({ type: 'end' } & TailEnd) | { type: 'unreadable' };

function read({ event, data, id }: ServerSentEvent): Told | undefined {
  const value = data === '' ? undefined : parse(data);
  switch (event) {
    case 'entries':
      return isTailEntries(value) ? { type: 'entries', id, streams: value.streams } : { type: 'unreadable' };
    case 'dropped':
      return isTailDropped(value) ? { ...value, type: 'dropped' } : { type: 'unreadable' };
    case 'interrupted':
      return isTailInterrupted(value) ? interruption(value) : { type: 'unreadable' };
    case 'resumed':
      return isTailResumed(value) ? { ...value, type: 'resumed' } : { type: 'unreadable' };
    case 'mode':
      return isTailMode(value) ? { ...value, type: 'mode' } : { type: 'unreadable' };
    case 'end':
      return isTailEnd(value) ? { ...value, type: 'end' } : { type: 'unreadable' };
    default:
      return undefined;
  }
}

function interruption({ since, next_try, detail }: TailInterrupted): InterruptedEvent {
  const retry_in = Math.max(0, Date.parse(next_try) - Date.now()) || 0;
  return { type: 'interrupted', reason: 'loki_interrupted', detail, retry_in, since };
}

/** Whether to try again may help. */
function passes(f: Failure): boolean {
  if (f.status === undefined) return f.code !== 'aborted';
  return f.status === 429 || f.status >= 500;
}

/** Longer each time, and not for all clients alike: the end of a server is the end of all its tails. */
function pauseAfter(end: TailEnd | Failure, at: Position): number {
  if ('reason' in end && atOnce.has(end.reason) && at.inVain === 0) return 100 * Math.random();
  const least = 'retry_after' in end ? 1000 * (end.retry_after ?? 0) : 0;
  const longest = Math.min(longestPause, at.retry * 2 ** Math.min(at.inVain, 10));
  return least + longest * (0.5 + Math.random() / 2);
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    if (signal?.aborted) end();
    else signal?.addEventListener('abort', end);
  });
}
