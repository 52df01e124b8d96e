import type { Term } from '../model';

/** A part of a text, in UTF-16 units. */
export type Range = readonly [from: number, to: number];

/** How much of a line is searched, and how many places are marked. */
const longest = 10_000;
const longestForPatterns = 2000;
const mostMarks = 200;

/**
 * Where terms are found in a text, sorted and without overlap. A query's author chose the pattern and a stranger
 * the text, so neither may hang the page: see {@link simplePattern}.
 */
export function marker(terms: Term[]): (text: string) => Range[] {
  const searches: ((text: string, found: Range[]) => void)[] = [];
  for (const term of terms) {
    if (term.text === '') continue;
    if (!term.regexp) searches.push(literal(term));
    else {
      const pattern = simplePattern(term.text, term.caseless);
      if (pattern) searches.push((text, found) => matches(pattern, text.slice(0, longestForPatterns), found));
    }
  }
  return (text) => {
    const found: Range[] = [];
    for (const search of searches) search(text, found);
    return merged(found);
  };
}

function literal({ text: wanted, caseless }: Term): (text: string, found: Range[]) => void {
  if (caseless) {
    const pattern = new RegExp(wanted.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'), 'gi');
    return (text, found) => matches(pattern, text.slice(0, longest), found);
  }
  return (text, found) => {
    const part = text.length > longest ? text.slice(0, longest) : text;
    for (let at = part.indexOf(wanted); at >= 0 && found.length < mostMarks; at = part.indexOf(wanted, at + wanted.length)) {
      found.push([at, at + wanted.length]);
    }
  };
}

function matches(pattern: RegExp, text: string, found: Range[]): void {
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match && found.length < mostMarks; match = pattern.exec(text)) {
    if (match[0] === '') pattern.lastIndex++;
    else found.push([match.index, match.index + match[0].length]);
  }
}

function merged(ranges: Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const all: Range[] = [];
  for (const range of sorted) {
    const last = all.at(-1);
    if (last && range[0] <= last[1]) all[all.length - 1] = [last[0], Math.max(last[1], range[1])];
    else all.push(range);
  }
  return all;
}

/** How often an unbounded repetition may repeat, by how many a pattern has: their product is a place's cost. */
const repetitions = [0, 200, 30];

// One atom of RE2's syntax that JavaScript reads alike: an escape, a class, a dot, or a character that is itself.
const atom = /\\[dDwWsSbBnrtf.+*?()|[\]{}^$\\/"'=:;,<>@#%&!~`_ -]|\[\^?(?:\\[dDwWsSnrt.\]\\^[-]|[^\]\\[])+\]|[^\\^$.|?*+()[\]{}]|\.|[\^$]/y;
const repetition = /([*+?]|\{(\d{1,3})(,(\d{1,3})?)?\})\??/y;
const group = /\((?:\?:|\?P?<\w+>)?|\)\??|\|/y;

/**
 * The same pattern for JavaScript, if it is simple enough for an engine that goes back: only single atoms are
 * repeated, two of them at most without a bound, and those are given one. Undefined for all else, which is then
 * not marked; Loki, whose engine is linear, has found the line all the same. Groups capture only on demand.
 */
export function simplePattern(source: string, caseless: boolean, captures = false): RegExp | undefined {
  const flags = /^\(\?i\)/.exec(source)?.[0] ?? '';
  const rest = source.slice(flags.length);
  if (rest.length > 500) return undefined;
  const unbounded = countUnbounded(rest);
  const most = repetitions[unbounded];
  if (most === undefined && unbounded > 0) return undefined;
  const written = rewritten(rest, most ?? 0, captures);
  if (written === undefined) return undefined;
  try {
    return new RegExp(written, caseless || flags ? 'gi' : 'g');
  } catch {
    return undefined; // unbalanced, or of a syntax that only looks alike
  }
}

function countUnbounded(source: string): number {
  // Escaped ones and those in a class are counted as well: too many is the safe side.
  return source.match(/[*+]|\{\d+,/g)?.length ?? 0;
}

function rewritten(source: string, most: number, captures: boolean): string | undefined {
  let written = '';
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const found = pattern.exec(source);
    at += found?.[0].length ?? 0;
    return found;
  };
  while (at < source.length) {
    const grouping = take(group);
    if (grouping) {
      const opens = grouping[0].startsWith('(');
      written += opens ? (captures && grouping[0] !== '(?:' ? '(' : '(?:') : grouping[0];
      continue;
    }
    const one = take(atom);
    if (!one) return undefined; // what repeats a group, or is not known
    const repeated = take(repetition);
    if (repeated && take(repetition)) return undefined;
    written += one[0] + (repeated ? bounded(repeated, most) : '');
  }
  return written;
}

function bounded([whole, kind = '', least, comma, upper]: RegExpExecArray, most: number): string {
  const lazy = whole.length > kind.length ? '?' : '';
  if (kind === '*') return `{0,${most}}${lazy}`;
  if (kind === '+') return `{1,${most}}${lazy}`;
  if (kind === '?') return whole;
  if (comma === undefined || least === undefined) return whole;
  const low = Math.min(Number(least), most);
  return `{${low},${Math.max(low, Math.min(Number(upper ?? most), most))}}${lazy}`;
}
