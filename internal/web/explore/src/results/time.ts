import type { Span, Zone } from '../model';
import { clockAt, offsetAt } from '../zone';

/**
 * Moments are nanoseconds since 1970 in decimal, as Loki writes them: a number would lose the last three
 * digits, and with them which of two lines came first.
 */
export type Nanoseconds = string;

const perMillisecond = 1_000_000n;

/** Negative if `a` is before `b`, positive if after. */
export function compareNs(a: Nanoseconds, b: Nanoseconds): number {
  if (a.length !== b.length || a.startsWith('-') || b.startsWith('-')) {
    const [x, y] = [BigInt(a), BigInt(b)];
    return x < y ? -1 : x > y ? 1 : 0;
  }
  return a < b ? -1 : a > b ? 1 : 0; // of one length, text sorts as numbers do
}

/** Whole milliseconds, rounded down: what a Date takes. */
export function msOf(ns: Nanoseconds): number {
  const n = BigInt(ns);
  const ms = n / perMillisecond;
  return Number(n % perMillisecond < 0n ? ms - 1n : ms);
}

export function nsOfMs(ms: number): Nanoseconds {
  return String(BigInt(Math.round(ms)) * perMillisecond);
}

export function addNs(ns: Nanoseconds, more: bigint): Nanoseconds {
  return String(BigInt(ns) + more);
}

/** The nanoseconds of a time as RFC 3339 has it in UTC, with up to nine digits of a second. */
export function nsOf(rfc3339: string): Nanoseconds {
  const match = /^(.{19})(?:\.(\d{1,9}))?Z$/.exec(rfc3339);
  const ms = Date.parse(`${match?.[1] ?? ''}Z`);
  if (!match || Number.isNaN(ms)) throw new RangeError(`not a time in UTC: ${rfc3339}`);
  return String(BigInt(ms) * perMillisecond + BigInt((match[2] ?? '').padEnd(9, '0')));
}

/** RFC 3339 in UTC with all nine digits. */
export function rfc3339(ns: Nanoseconds): string {
  return `${new Date(msOf(ns)).toISOString().slice(0, 19)}.${fraction(ns)}Z`;
}

/** How many milliseconds a span covers. */
export function lengthOf(span: Span): number {
  return Math.max(0, Number((BigInt(span.end) - BigInt(span.start)) / perMillisecond));
}

/** The part of a span from one fraction of it to another; fractions below 0 and above 1 widen it. */
export function partOf(span: Span, from: number, to: number): Span {
  const start = BigInt(span.start);
  const length = BigInt(span.end) - start;
  const at = (f: number): bigint => start + (length * BigInt(Math.round(f * 1e6))) / 1_000_000n;
  return { start: String(at(from)), end: String(at(to)) };
}

/** Nine digits of the second. */
function fraction(ns: Nanoseconds): string {
  const n = BigInt(ns) % 1_000_000_000n;
  return String(n < 0n ? n + 1_000_000_000n : n).padStart(9, '0');
}

interface Parts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

function partsOf(ms: number, zone: Zone): Parts {
  const [year, month, day, hour, minute, second] = clockAt(ms, zone);
  return { year, month: month + 1, day, hour, minute, second };
}

const two = (n: number): string => String(n).padStart(2, '0');

const dateOf = (p: Parts): string => `${p.year}-${two(p.month)}-${two(p.day)}`;
const clockOf = (p: Parts): string => `${two(p.hour)}:${two(p.minute)}:${two(p.second)}`;

/** A line's time as lists show it, `11-23 15:04:05.123`: with milliseconds or, on demand, nanoseconds. */
export function stamp(ns: Nanoseconds, zone: Zone, digits: 3 | 9): string {
  const p = partsOf(msOf(ns), zone);
  return `${two(p.month)}-${two(p.day)} ${clockOf(p)}.${fraction(ns).slice(0, digits)}`;
}

/** The whole of a time, and where it holds: `2026-11-23 15:04:05.123456789 +01:00`. */
export function fullStamp(ns: Nanoseconds, zone: Zone): string {
  const ms = msOf(ns);
  const p = partsOf(ms, zone);
  return `${dateOf(p)} ${clockOf(p)}.${fraction(ns)} ${offsetOf(ms, zone)}`;
}

/** A moment without more digits than a step of that many milliseconds needs. */
export function coarseStamp(ms: number, zone: Zone, step: number): string {
  const p = partsOf(ms, zone);
  if (step >= 86_400_000) return dateOf(p);
  const clock = clockOf(p);
  if (step >= 60_000) return `${dateOf(p)} ${clock.slice(0, 5)}`;
  return step >= 1000 ? `${dateOf(p)} ${clock}` : `${dateOf(p)} ${clock}.${String(ms % 1000).padStart(3, '0')}`;
}

export function offsetOf(ms: number, zone: Zone): string {
  const minutes = Math.round(offsetAt(ms, zone) / 60_000);
  if (minutes === 0) return 'UTC';
  const abs = Math.abs(minutes);
  return `${minutes < 0 ? '−' : '+'}${two(Math.floor(abs / 60))}:${two(abs % 60)}`;
}

/** For an axis: the time, and at the first mark of a day its date, behind a break. */
export function tick(ms: number, previous: number | undefined, zone: Zone, step: number, between = '\n'): string {
  const p = partsOf(ms, zone);
  const date = `${two(p.month)}-${two(p.day)}`;
  if (step >= 86_400_000) return date;
  const clock = step >= 60_000 ? clockOf(p).slice(0, 5) : clockOf(p);
  const before = previous === undefined ? undefined : partsOf(previous, zone);
  return before?.day === p.day && before.month === p.month ? clock : `${clock}${between}${date}`;
}

/** A length of time for users: `3 h 20 min`. */
export function spoken(ms: number): string {
  const units: [number, string][] = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1000, 's'],
    [1, 'ms'],
  ];
  const first = units.findIndex(([size]) => ms >= size);
  if (first < 0) return '0 s';
  const [size, unit] = units[first] ?? [1, 'ms'];
  const whole = Math.floor(ms / size);
  const [smaller, name] = units[first + 1] ?? [1, ''];
  const rest = Math.floor((ms % size) / smaller);
  return rest > 0 && name !== 'ms' ? `${whole} ${unit} ${rest} ${name}` : `${whole} ${unit}`;
}
