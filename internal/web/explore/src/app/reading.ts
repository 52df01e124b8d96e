// Lines as a stream of them comes, and the gaps between them. Every part of a range is read in this way: its first page,
// the pages behind it, and a gap once more.
import { LogfenceError, type ProgressEvent } from '@logfence/client';

import type { Client, Direction, Failure, Gap, Line } from '../model';
import { Keys, lineOf, type LabelSets } from '../results/store';
import { nsOf } from '../results/time';

/**
 * How a reading has ended. `limit`: there may be more lines behind the last one; `full`: so there may, and the page holds
 * no more; `stopped`: by the user. Only `complete` is the end of the range, and it may have gaps.
 */
export type End = 'reading' | 'complete' | 'limit' | 'full' | 'stopped' | 'failed';

/** What has been read so far. It grows while it is read. */
export interface Part {
  lines: Line[];
  gaps: Gap[];
  end: End;
  /** The cursor from which the reading can go on; undefined where nothing follows, or nothing was read. */
  next: string | undefined;
  failure: Failure | undefined;
  progress: ProgressEvent | undefined;
}

type Params = Parameters<Client['streamLines']>[0];

/** Reads a part of a range until it ends, fails or is stopped by the signal; calls back after each event. */
export async function readPart(
  client: Client,
  params: Params,
  { keys, sets }: { keys: Keys; sets: LabelSets },
  signal: AbortSignal,
  on: (part: Part) => void,
  isNew: (line: Line) => boolean = () => true,
): Promise<Part> {
  const part: Part = { lines: [], gaps: [], end: 'reading', next: undefined, failure: undefined, progress: undefined };
  try {
    for await (const event of client.streamLines(params, { signal })) {
      if (event.type === 'lines') {
        for (const listed of event.lines) {
          const line = lineOf(listed, sets);
          if (isNew(line)) part.lines.push({ ...line, key: keys.next() });
        }
        part.next = event.id;
      } else if (event.type === 'gap') {
        const span = { start: nsOf(event.from), end: nsOf(event.to) };
        part.gaps.push({ key: keys.next(), at: part.lines.length, span, detail: event.detail });
        part.next = event.id;
      } else if (event.type === 'progress') {
        part.progress = event;
      } else {
        // An end that a later server may have is one of a part of the range, as long as it is not said to be complete.
        part.end = event.complete || event.reason === 'gaps' ? 'complete' : event.reason === 'limit' ? 'limit' : 'stopped';
        part.next = event.next;
      }
      on(part);
    }
  } catch (thrown) {
    if (!(thrown instanceof LogfenceError)) throw thrown;
    part.end = 'failed';
    part.failure = thrown.failure;
  }
  if (part.end === 'reading') part.end = 'stopped';
  return part;
}

/** Lines and gaps, in their places. */
export interface Listed {
  lines: Line[];
  gaps: Gap[];
  sets: LabelSets;
}

export function lastKey({ lines, gaps }: Listed): number {
  return Math.max(lines.at(-1)?.key ?? 0, gaps.at(-1)?.key ?? 0);
}

/** The part behind what is there. */
export function appended(before: Listed, { lines, gaps }: Part): Pick<Listed, 'lines' | 'gaps'> {
  const shifted = gaps.map((gap) => ({ ...gap, at: gap.at + before.lines.length }));
  return { lines: before.lines.concat(lines), gaps: before.gaps.concat(shifted) };
}

/** The part in the place of a gap that was read once more. What could not be read, again, stays a gap. */
export function filled(before: Listed, gap: Gap, part: Part, direction: Direction): Listed {
  const gaps = part.end === 'complete' ? part.gaps : [...part.gaps, restOf(gap, part, direction)];
  const [first, last] = [before.lines.slice(0, gap.at), before.lines.slice(gap.at)];
  const others = before.gaps.filter(({ key }) => key !== gap.key);
  return numbered(
    first.concat(part.lines, last),
    [
      ...others.filter(({ key }) => key < gap.key),
      ...gaps.map((one) => ({ ...one, at: one.at + gap.at })),
      ...others.filter(({ key }) => key > gap.key).map((one) => ({ ...one, at: one.at + part.lines.length })),
    ],
    before.sets,
  );
}

/** What is left of a gap. */
function restOf(gap: Gap, { lines, end, next, failure }: Part, direction: Direction): Gap {
  const last = lines.at(-1);
  const span = { ...gap.span };
  if (last && direction === 'forward') span.start = last.ns;
  else if (last) span.end = String(BigInt(last.ns) + 1n);
  const why = end === 'limit' ? 'There are more lines than fit into a page.' : 'Loading was stopped.';
  return { ...gap, at: lines.length, span, detail: failure?.detail ?? why, cursor: next ?? gap.cursor };
}

/** Lines and gaps with new keys: there is no room between the old ones. */
function numbered(lines: Line[], gaps: Gap[], sets: LabelSets): Listed {
  const keys = new Keys();
  const left = gaps.slice();
  const placed: Gap[] = [];
  const place = (at: number): void => {
    for (let next = left[0]; next && next.at <= at; next = left[0]) placed.push({ ...next, key: keys.next() }), left.shift();
  };
  const all = lines.map((line, i) => {
    place(i);
    return { ...line, key: keys.next() };
  });
  place(lines.length);
  return { lines: all, gaps: placed, sets };
}

/**
 * What of a gap is new: a gap may begin within a nanosecond whose first lines are there. Twins, the same in everything,
 * are as many as they are.
 */
export function newIn({ lines }: Listed, { at, span }: Gap): (line: Line) => boolean {
  const within = ({ ns }: Line): boolean => BigInt(ns) >= BigInt(span.start) && BigInt(ns) < BigInt(span.end);
  const held = new Map<string, number>();
  const hold = (line: Line | undefined): boolean => {
    if (!line || !within(line)) return false;
    held.set(identity(line), (held.get(identity(line)) ?? 0) + 1);
    return true;
  };
  for (let i = at - 1; hold(lines[i]); ) i--;
  for (let i = at; hold(lines[i]); ) i++;
  return (line) => {
    const n = held.get(identity(line)) ?? 0;
    if (n > 0) held.set(identity(line), n - 1);
    return n === 0;
  };
}

function identity({ ns, stream, metadata, text }: Line): string {
  return JSON.stringify([ns, Object.entries(stream).sort(), Object.entries(metadata).sort(), text]);
}
