// Times as they are chosen, shown and put into URLs; typed.ts reads those that users type. Nanoseconds are BigInt: a number cannot hold them.
import type { Span, Zone } from '../model';
import { clockAt } from '../zone';

const second = 1_000_000_000n;
const units: Record<string, bigint> = {
  s: second,
  m: 60n * second,
  h: 3600n * second,
  d: 86_400n * second,
  w: 7n * 86_400n * second,
};
const names: Record<string, string> = { s: 'second', m: 'minute', h: 'hour', d: 'day', w: 'week' };

/** The ranges to choose from, each by its beginning; they end now. */
export const relative = ['5m', '15m', '30m', '1h', '3h', '6h', '12h', '24h', '2d', '7d', '30d'].map((ago) => `now-${ago}`);

const agoPattern = /^now(?:-(\d{1,6})([smhdw]))?$/;
const isoPattern = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

export function isRelative(text: string): boolean {
  return agoPattern.test(text);
}

/** The moment that a text of a URL names, in nanoseconds since 1970; undefined if it names none. */
export function momentOf(text: string, now: number): bigint | undefined {
  const ago = agoPattern.exec(text);
  if (ago) return BigInt(Math.round(now)) * 1_000_000n - BigInt(ago[1] ?? 0) * (units[ago[2] ?? 's'] ?? 0n);
  const iso = isoPattern.exec(text);
  if (!iso) return undefined;
  const [, y, mo, d, h, mi, s, fraction = '', zone = 'Z'] = iso;
  const milliseconds = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}${zone}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return BigInt(milliseconds) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}

/** From and to at a moment; undefined if they are no range. */
export function spanOf(from: string, to: string, now: number): Span | undefined {
  const start = momentOf(from, now);
  const end = momentOf(to, now);
  if (start === undefined || end === undefined || start >= end) return undefined;
  return { start: String(start), end: String(end) };
}

/** The step of a metric query's points over a span, in seconds: about 250 points, as Loki has it by itself. */
export function stepOf({ start, end }: Span): number {
  return Math.max(1, Number((BigInt(end) - BigInt(start)) / (250n * second)));
}

/** A moment for a URL. */
export function isoOf(ns: bigint | string): string {
  const at = BigInt(ns);
  const fraction = String(at % second)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const whole = new Date(Number(at / second) * 1000).toISOString().slice(0, 19);
  return `${whole}${fraction && `.${fraction}`}Z`;
}

/** A text of a URL as it is shown, to be typed over. */
export function shown(text: string, zone: Zone): string {
  const ns = isRelative(text) ? undefined : momentOf(text, 0);
  if (ns === undefined) return text;
  const two = (n: number): string => String(n).padStart(2, '0');
  const fraction = String(ns % second)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const [y, mo, d, h, mi, s] = clockAt(Number(ns / 1_000_000n), zone);
  return `${y}-${two(mo + 1)}-${two(d)} ${two(h)}:${two(mi)}:${two(s)}${fraction && `.${fraction}`}`;
}

/** A range in words. */
export function described(from: string, to: string, zone: Zone): string {
  const ago = agoPattern.exec(from);
  if (ago?.[1] && to === 'now') {
    const n = Number(ago[1]);
    const unit = names[ago[2] ?? ''] ?? '';
    return n === 1 ? `Last ${unit}` : `Last ${n} ${unit}s`;
  }
  const [a, b] = [shown(from, zone), shown(to, zone)].map((text) => text.replace(/(:\d\d)\.\d+$/, '$1'));
  const [day = '', time = ''] = b?.split(' ') ?? [];
  return `${a} – ${time && a?.startsWith(`${day} `) ? time : b}`;
}

/** The range of the same length before (-1) or after (1), or twice as long around it (0), as absolute times. */
export function moved(span: Span, by: -1 | 0 | 1): { from: string; to: string } {
  const [start, end] = [BigInt(span.start), BigInt(span.end)];
  const length = end - start;
  const [a, b] = by === 0 ? [start - length / 2n, end + length / 2n] : [start + length * BigInt(by), end + length * BigInt(by)];
  return { from: isoOf(a), to: isoOf(b) };
}
