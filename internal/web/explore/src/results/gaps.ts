// Gaps among rows: parts of the range whose lines are missing. Pure.
import type { Gap, Line, Zone } from '../model';
import { arranged, type Arrangement } from './arrange';
import type { Item, Notice } from './items';
import { coarseStamp, msOf, stamp } from './time';

/** The rows of these lines, with a notice in each gap. No row reaches across one. */
export function withGaps(lines: Line[], gaps: readonly Gap[], arrangement: Arrangement, noticeOf: (gap: Gap) => Notice): Item[] {
  if (gaps.length === 0) return arranged(lines, arrangement);
  let items: Item[] = [];
  let from = 0;
  for (const gap of gaps) {
    items = items.concat(arranged(lines.slice(from, gap.at), arrangement), noticeOf(gap));
    from = gap.at;
  }
  return items.concat(arranged(lines.slice(from), arrangement));
}

/** Which lines are missing, and why. */
export function gapText({ span, detail }: Gap, zone: Zone): string {
  const [from, to] = [msOf(span.start), msOf(span.end)];
  if (to - from < 1000) return `Lines of ${stamp(span.start, zone, 9)} are missing: ${detail}`;
  const [first, last] = [coarseStamp(from, zone, 1000), coarseStamp(to, zone, 1000)];
  return `Lines from ${first} to ${first.slice(0, 10) === last.slice(0, 10) ? last.slice(11) : last} are missing: ${detail}`;
}
