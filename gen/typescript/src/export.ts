import { LogfenceError, noResponse, ofProblem, ofThrown } from './failure.js';
import type { LogLine } from './gen/types.gen.js';
import { isLogLine, isObject, isProblem, parse } from './guards.js';
import { linesOf } from './lines.js';

/** An export on its way. */
export interface Export {
  /** The name that logfence gives the file; a general one where the browser does not show it to this page. */
  fileName: string;
  /** The media type. */
  contentType: string;
  /**
   * The file's bytes. An export that fails, or whose end is missing, errors the stream with a
   * {@link LogfenceError}: it never looks complete.
   */
  body: ReadableStream<Uint8Array<ArrayBuffer>>;
}

export const exportMedia = ['application/x-ndjson', 'text/csv', 'text/plain'];

const newline = 10;

export function exportOf(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  response: Response,
  keepEnd: boolean | undefined,
  signal: AbortSignal | undefined,
): Export {
  const contentType = response.headers.get('Content-Type') ?? '';
  const disposition = response.headers.get('Content-Disposition') ?? '';
  return {
    fileName: /filename="([^"/\\]+)"/.exec(disposition)?.[1] ?? generalName(contentType),
    contentType,
    body: contentType.startsWith('application/x-ndjson') ? whole(body, signal, new LastLine(keepEnd ?? false)) : whole(body, signal),
  };
}

function generalName(contentType: string): string {
  if (contentType.startsWith('text/csv')) return 'logs.csv';
  return contentType.startsWith('text/plain') ? 'logs.txt' : 'logs.ndjson';
}

/** The same bytes, with failures that say what they are. */
function whole(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  signal: AbortSignal | undefined,
  last?: LastLine,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(to) {
      try {
        // Until there is something: a pull that enqueues nothing is not followed by another.
        for (;;) {
          const { done, value } = await reader.read();
          const bytes = done ? last?.end() : last ? last.take(value) : value;
          if (bytes?.length) to.enqueue(bytes);
          if (done) to.close();
          if (done || bytes?.length) return;
        }
      } catch (thrown) {
        to.error(new LogfenceError(ofThrown(thrown, signal, 'broken_off')));
        await reader.cancel(thrown).catch(() => undefined);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/**
 * Holds the last line of NDJSON back: there an export says that it is complete, or that it has failed. Without either it
 * was cut off, also where a proxy has hidden that.
 */
class LastLine {
  readonly #keep: boolean;
  #held: Uint8Array<ArrayBuffer> = new Uint8Array();
  #lines = 0; // before the one that is held

  /** @param keep whether the caller requested the record of the end, and gets it. */
  constructor(keep: boolean) {
    this.#keep = keep;
  }

  take(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const all = joined(this.#held, bytes);
    // The line feed before the last line; the one at the very end is the last line's own.
    const before = all.length < 2 ? -1 : all.lastIndexOf(newline, all.length - 2);
    this.#held = all.slice(before + 1);
    const complete = all.subarray(0, before + 1);
    for (const byte of complete) if (byte === newline) this.#lines++;
    return complete;
  }

  end(): Uint8Array<ArrayBuffer> {
    const held = this.#held;
    const record = held[held.length - 1] === newline ? parse(new TextDecoder().decode(held)) : undefined;
    if (endOf(record) === this.#lines) return this.#keep ? held : new Uint8Array();
    throw new LogfenceError(isObject(record) && isProblem(record.error) ? ofProblem(record.error) : noResponse('broken_off', undefined));
  }
}

/** The number of lines in the record of the end. */
function endOf(record: unknown): unknown {
  return isObject(record) && isObject(record.end) ? record.end.lines : undefined;
}

function joined(a: Uint8Array<ArrayBuffer>, b: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** The lines of an export in NDJSON, one after the other, however many there are. */
export async function* readLines(e: Pick<Export, 'body'>): AsyncGenerator<LogLine, void, void> {
  for await (const text of linesOf(e.body)) {
    const line = parse(text);
    if (endOf(line) !== undefined) return;
    if (!isLogLine(line)) throw new LogfenceError(noResponse('broken_off', undefined));
    yield line;
  }
}
