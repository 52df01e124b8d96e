import type { Export, ExportFormat } from '@logfence/client';

/** Where an export is written: it is there as a whole, or not at all. */
export interface Sink {
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Makes the file what was written. */
  close(): Promise<void>;
  /** Leaves nothing behind. */
  abort(): Promise<void>;
}

export interface Progress {
  bytes: number;
  lines: number;
}

/** How much a browser holds in memory that cannot write to disk as it reads. */
export const mostHeld = 512 * 2 ** 20;

export class TooLarge extends Error {
  constructor() {
    super(`more than ${mostHeld / 2 ** 20} MiB`);
  }
}

/** Counts the lines of an export while it passes by. */
export class LineCount {
  lines = 0;
  readonly #quotes: boolean;
  #quoted = false;

  constructor(format: ExportFormat) {
    this.#quotes = format === 'csv';
    // The first row names the columns.
    if (format === 'csv') this.lines = -1;
  }

  take(bytes: Uint8Array): void {
    if (!this.#quotes) {
      for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) this.lines++;
      return;
    }
    for (const byte of bytes) {
      if (byte === 34) this.#quoted = !this.#quoted;
      else if (byte === 10 && !this.#quoted) this.lines++;
    }
  }
}

/** Writes an export, and closes the sink only when all of it has come: what broke off never looks whole. */
export async function write(
  from: Pick<Export, 'body'>,
  to: Sink,
  format: ExportFormat,
  onProgress: (now: Progress) => void,
): Promise<Progress> {
  const count = new LineCount(format);
  const reader = from.body.getReader();
  let bytes = 0;
  const now = (): Progress => ({ bytes, lines: Math.max(0, count.lines) });
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      await to.write(value);
      bytes += value.length;
      count.take(value);
      onProgress(now());
    }
    await to.close();
    return now();
  } catch (thrown) {
    await to.abort().catch(() => undefined);
    await reader.cancel(thrown).catch(() => undefined);
    throw thrown;
  }
}

/** Holds a file in memory, up to a bound, and gives it to the browser when it is whole. */
export function held(contentType: string, save: (file: Blob) => void): Sink {
  let parts: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  return {
    write: async (part) => {
      bytes += part.length;
      if (bytes > mostHeld) throw new TooLarge();
      parts.push(part);
    },
    close: async () => save(new Blob(parts, { type: contentType })),
    abort: async () => {
      parts = [];
    },
  };
}

export function download(name: string): (file: Blob) => void {
  return (file) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(file);
    link.download = name;
    link.click();
    // The browser reads it after this turn; it is freed when it surely has.
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  };
}

/** What not all browsers have: a file that is written while it is read. */
interface FileHandle {
  createWritable(): Promise<{
    write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
    close(): Promise<void>;
    abort(): Promise<void>;
  }>;
}
declare global {
  interface Window {
    showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileHandle>;
  }
}

/** Lets the user choose a file to write to; undefined where the browser cannot, `cancelled` where the user declines. */
export async function picked(suggestedName: string): Promise<Sink | 'cancelled' | undefined> {
  if (!window.showSaveFilePicker) return undefined;
  try {
    const handle = await window.showSaveFilePicker({ suggestedName });
    return await handle.createWritable(); // it writes to the side, and is the file when it is closed
  } catch (thrown) {
    if (thrown instanceof DOMException && thrown.name === 'AbortError') return 'cancelled';
    return undefined;
  }
}

export const endings: Record<ExportFormat, string> = { ndjson: 'ndjson', csv: 'csv', text: 'txt' };
