import { foreign, LogfenceError, noResponse, ofProblem, ofThrown } from './failure.js';
import type { LinesBatch, LinesEnd, LinesGap, LinesProgress } from './gen/types.gen.js';
import { isLinesBatch, isLinesEnd, isLinesGap, isLinesProgress, isObject, isProblem, parse } from './guards.js';
import { linesOf } from './lines.js';
import type { Result } from './result.js';

/** Lines, in order. A stream that begins with `id` as `lastEventId` goes on behind them. */
export type LinesEvent = { type: 'lines'; id: string } & LinesBatch;

/** How much of the range has been read: at once, and then every second or two. */
export type ProgressEvent = { type: 'progress' } & LinesProgress;

/** A part of the range whose lines are missing; the stream goes on behind it. */
export type GapEvent = { type: 'gap'; id: string } & LinesGap;

/** The last event: whether all lines were there, and where to go on if not. */
export type EndEvent = { type: 'end' } & LinesEnd;

export type StreamEvent = LinesEvent | ProgressEvent | GapEvent | EndEvent;

/** The events of a stream. What ends it before its end throws a {@link LogfenceError}; an abort just ends it. */
export async function* streamOf(
  request: Promise<Result<ReadableStream<Uint8Array>>>,
  signal: AbortSignal | undefined,
): AsyncGenerator<StreamEvent, void, void> {
  const { data, error, response } = await request;
  if (signal?.aborted) return;
  if (error) throw new LogfenceError(error);
  try {
    for await (const text of linesOf(data)) {
      const record = parse(text);
      if (!isObject(record)) throw new LogfenceError(foreign(response));
      if (record.event === 'error' && isProblem(record.data)) throw new LogfenceError(ofProblem(record.data));
      const event = eventOf(record.event, record.id, record.data);
      if (event) yield event;
      if (event?.type === 'end') return;
    }
  } catch (thrown) {
    if (signal?.aborted) return;
    throw thrown instanceof LogfenceError ? thrown : new LogfenceError(ofThrown(thrown, signal, 'broken_off'));
  }
  if (!signal?.aborted) throw new LogfenceError(noResponse('broken_off', undefined));
}

/** An event; undefined for one that is newer than this client. */
function eventOf(name: unknown, id: unknown, data: unknown): StreamEvent | undefined {
  switch (name) {
    case 'lines':
      if (isLinesBatch(data) && typeof id === 'string') return { type: 'lines', id, ...data };
      break;
    case 'gap':
      if (isLinesGap(data) && typeof id === 'string') return { type: 'gap', id, ...data };
      break;
    case 'progress':
      if (isLinesProgress(data)) return { type: 'progress', ...data };
      break;
    case 'end':
      if (isLinesEnd(data)) return { type: 'end', ...data };
      break;
    default:
      return undefined;
  }
  throw new LogfenceError(noResponse('broken_off', undefined));
}
