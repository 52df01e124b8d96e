import type { Stream } from '@logfence/client';
import type { Direction, Labels, Line } from '../model';
import { compareNs } from './time';

const none: Labels = {};

/** Gives lines their keys, one after the other, from the one after last. */
export class Keys {
  #last: number;

  constructor(last = 0) {
    this.#last = last;
  }

  next(): number {
    return ++this.#last;
  }
}

/**
 * The lines of a response's streams, in one order of time. Lines of one nanosecond stay as they are within
 * their stream, and streams as they are in the response.
 */
export function linesOf(streams: Stream[], direction: Direction, keys: Keys): Line[] {
  const lines: Line[] = [];
  for (const { stream, values } of streams) {
    for (const [ns, text, further] of values) {
      lines.push({
        ns,
        stream,
        metadata: further?.structuredMetadata ?? none,
        parsed: further?.parsed ?? none,
        text,
        key: 0,
      });
    }
  }
  const sign = direction === 'backward' ? -1 : 1;
  lines.sort((a, b) => sign * compareNs(a.ns, b.ns)); // stable, as the language has it
  for (const line of lines) line.key = keys.next();
  return lines;
}
