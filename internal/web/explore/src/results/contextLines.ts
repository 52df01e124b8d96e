import type { ContextResponse, LogLine } from '@logfence/client';

import type { Labels, Line } from '../model';
import { compareNs, nsOf } from './time';

/** Lines around one of them, the oldest first. */
export interface Around {
  lines: Line[];
  /** Whether there are none beyond these, as far as is looked. */
  first: boolean;
  last: boolean;
}

const none: Labels = {};

/**
 * What is held with more of it. The lines at the edge are taken anew: lines of one nanosecond may have been
 * held in part. A response that was truncated does not show that there are no more lines.
 */
export function joined(held: Around | undefined, more: ContextResponse, before: number, after: number): Around {
  const [old, at, fresh] = [more.before.map(lineOf), more.at.map(lineOf), more.after.map(lineOf)];
  const edge = at[0]?.ns;
  const lines = (held?.lines ?? []).filter(
    ({ ns }) => edge === undefined || (ns !== edge && (before === 0 ? compareNs(ns, edge) < 0 : compareNs(ns, edge) > 0)),
  );
  const all = before === 0 ? [...lines, ...at, ...fresh] : [...old, ...at, ...(held ? lines : fresh)];
  return {
    lines: all.map((line, key) => ({ ...line, key: key - all.length })),
    first: before > 0 ? old.length < before && !more.truncated : (held?.first ?? false),
    last: after > 0 ? fresh.length < after && !more.truncated : (held?.last ?? false),
  };
}

function lineOf(line: LogLine): Line {
  return {
    ns: nsOf(line.timestamp),
    stream: line.labels,
    metadata: line.structured_metadata ?? none,
    parsed: line.parsed ?? none,
    text: line.line,
    key: 0,
  };
}
