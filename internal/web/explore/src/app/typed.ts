// Times as users type them: `15m`, `last 2 hours`, `yesterday`, `14:00`, `now/d`, epochs, dates. Pure.
import type { Zone } from '../model';
import { clockAt, momentAt, type Clock } from '../zone';
import { isoOf, isRelative, momentOf } from './range';

const units: Record<string, string> = {
  s: 's',
  sec: 's',
  second: 's',
  m: 'm',
  min: 'm',
  minute: 'm',
  h: 'h',
  hr: 'h',
  hour: 'h',
  d: 'd',
  day: 'd',
  w: 'w',
  week: 'w',
};
const agoPattern = /^(?:last\s+|past\s+|-\s*)?(\d{1,6})?\s*([a-z]+?)s?(?:\s+ago)?$/;
const clockPattern = /^(\d\d?):(\d\d)(?::(\d\d))?$/;
const datePattern = /^(\d{4})-(\d\d?)-(\d\d?)(?:[ T](\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?$/;
/** Digits of an epoch, and how many nanoseconds its unit has. */
const epochs: Record<number, bigint> = { 10: 1_000_000_000n, 13: 1_000_000n, 16: 1000n, 19: 1n };

/**
 * A time that a user typed, as it is put into a URL; undefined if it cannot be read. A day is its beginning or, as the
 * end of a range, its end. A time of day is the last one that has been.
 */
export function typed(text: string, zone: Zone, now: number, end = false): string | undefined {
  const given = text.trim();
  const word = given.toLowerCase();
  if (isRelative(word)) return word;
  const epoch = /^\d+$/.test(given) ? epochs[given.length] : undefined;
  if (epoch !== undefined) return isoOf(BigInt(given) * epoch);
  if (momentOf(given, now) !== undefined) return given;
  const day = { 'now/d': 0, today: 0, yesterday: -1 }[word];
  if (day !== undefined) return dayAt(now, zone, word !== 'now/d' && end ? day + 1 : day);
  const ago = agoPattern.exec(word);
  const unit = units[ago?.[2] ?? ''];
  if (unit && (ago?.[1] || word.startsWith('last') || word.startsWith('past'))) return `now-${ago?.[1] ?? 1}${unit}`;
  const clock = clockPattern.exec(given);
  return clock ? lastAt(clock, zone, now) : dateOf(given, zone);
}

function lastAt([, h = '', mi = '', s = '0']: RegExpExecArray, zone: Zone, now: number): string | undefined {
  if (Number(h) > 23 || Number(mi) > 59 || Number(s) > 59) return undefined;
  const at = (days: number): number => momentAt(partsOf(now, zone, days, [Number(h), Number(mi), Number(s)]), zone);
  return isoOf(BigInt(at(0) > now ? at(-1) : at(0)) * 1_000_000n);
}

function dayAt(now: number, zone: Zone, days: number): string {
  return isoOf(BigInt(momentAt(partsOf(now, zone, days, [0, 0, 0]), zone)) * 1_000_000n);
}

function partsOf(now: number, zone: Zone, days: number, time: [number, number, number]): Clock {
  const [year, month, day] = clockAt(now, zone);
  return [year, month, day + days, ...time];
}

function dateOf(text: string, zone: Zone): string | undefined {
  const found = datePattern.exec(text);
  if (!found) return undefined;
  const [y, mo, d, h = 0, mi = 0, s = 0] = found.slice(1, 7).map((part) => (part === undefined ? undefined : Number(part)));
  if (y === undefined || mo === undefined || d === undefined || h > 23 || mi > 59 || s > 59) return undefined;
  const at = momentAt([y, mo - 1, d, h, mi, s], zone);
  const [, month, day] = clockAt(at, zone);
  if (month !== mo - 1 || day !== d) return undefined; // the 30th of February
  return isoOf(BigInt(at) * 1_000_000n + BigInt((found[7] ?? '').padEnd(9, '0')));
}
