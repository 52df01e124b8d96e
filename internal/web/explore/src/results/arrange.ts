// Lines as rows: stack traces joined, and equal lines folded. Pure.
import type { Direction, Labels, Line } from '../model';
import { perLine } from './tags';
import { compareNs } from './time';

/** What goes on with a stack trace or with another indented text: a line that begins with a space, and what runtimes write. */
const further =
  /^(?:[ \t]+\S|Caused by: |Suppressed: |Traceback \(most recent|The above exception|During handling of|goroutine \d+ \[|created by )/;
/** What is part of a trace only where one has begun: Python's last line, and Go's functions. */
const within = /^(?:[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Warning)(?::|$)|[\w./*()-]+\([^)]*\)$|exit status \d+$|$)/;

/** A trace is written at once: what comes later is another line. Nanoseconds. */
const longestPause = 1_000_000_000n;
const mostJoined = 500;
const longestText = 200_000;

/** How lines become rows. */
export interface Arrangement {
  join: boolean;
  fold: boolean;
  direction: Direction;
}

/** The rows of these lines. A line that stands for itself alone is the same object; so is the list, where all are. */
export function arranged(lines: Line[], { join, fold, direction }: Arrangement): Line[] {
  const rows = join ? joined(lines, direction) : lines;
  return fold ? folded(rows) : rows;
}

/** A line of one stream that further ones may belong to. */
interface Head {
  at: number;
  last: string;
  parts: string[];
  length: number;
}

function joined(lines: Line[], direction: Direction): Line[] {
  const heads = new Map<string, Head>();
  const rows: (Line | undefined)[] = lines.slice();
  const traces: Head[] = [];
  const step = direction === 'backward' ? -1 : 1;
  for (let i = step > 0 ? 0 : lines.length - 1; i >= 0 && i < lines.length; i += step) {
    const line = lines[i];
    if (!line) continue;
    const stream = streamOf(line.stream);
    const head = heads.get(stream);
    if (head && continues(head, line)) {
      if (head.parts.length === 0) traces.push(head);
      head.parts.push(line.text);
      head.last = line.ns;
      head.length += line.text.length;
      rows[i] = undefined;
    } else {
      heads.set(stream, { at: i, last: line.ns, parts: [], length: line.text.length });
    }
  }
  if (traces.length === 0) return lines;
  for (const { at, parts } of traces) {
    const line = lines[at];
    if (line) rows[at] = { ...line, text: [line.text, ...parts].join('\n'), joined: parts.length + 1 };
  }
  return rows.filter((row) => row !== undefined);
}

function continues({ parts, last, length }: Head, { text, ns }: Line): boolean {
  if (!further.test(text) && (parts.length === 0 || !within.test(text))) return false;
  if (parts.length >= mostJoined || length + text.length > longestText) return false;
  return BigInt(ns) - BigInt(last) <= longestPause;
}

function folded(lines: Line[]): Line[] {
  const rows: Line[] = [];
  let [first, count] = [0, 0];
  const close = (end: number): void => {
    const [line, last] = [lines[first], lines[end - 1]];
    if (line && last) rows.push(count > 1 ? { ...line, equal: { count, until: last.ns } } : line);
  };
  lines.forEach((line, i) => {
    const before = lines[i - 1];
    if (before && before.text === line.text && streamOf(before.stream) === streamOf(line.stream)) return void count++;
    close(i);
    [first, count] = [i, 1];
  });
  close(lines.length);
  return rows.length === lines.length ? lines : rows;
}

const known = new WeakMap<Labels, string>();

/** A stream's identity without what varies from line to line: each page of a result has objects of its own. */
function streamOf(stream: Labels): string {
  let id = known.get(stream);
  if (id === undefined) {
    id = JSON.stringify(
      Object.entries(stream)
        .filter(([name]) => !perLine.has(name))
        .sort(),
    );
    known.set(stream, id);
  }
  return id;
}

/** The first and the last moment of a row. */
export function momentsOf({ ns, equal }: Line): [first: string, last: string] {
  const other = equal?.until ?? ns;
  return compareNs(ns, other) <= 0 ? [ns, other] : [other, ns];
}
