import type { ListedLine, Stream } from '@logfence/client';
import type { Direction, Labels, Line } from '../model';
import { compareNs, nsOf } from './time';

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

/** Sets of labels, each as one object however many lines have it: streams are told apart by that. */
export class LabelSets {
  readonly #known = new Map<string, Labels>();

  of(labels: Labels): Labels {
    const text = JSON.stringify(labels);
    const known = this.#known.get(text);
    if (!known) this.#known.set(text, labels);
    return known ?? labels;
  }
}

/** A line as the API lists it. Its key is 0 until it has its place. */
export function lineOf({ timestamp, line, labels, metadata, parsed }: ListedLine, sets: LabelSets): Line {
  const metadataOrNone = Object.keys(metadata).length > 0 ? metadata : none;
  return { ns: nsOf(timestamp), stream: sets.of(labels), metadata: metadataOrNone, parsed: parsed ?? none, text: line, key: 0 };
}
