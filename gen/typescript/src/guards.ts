// What comes over the network is unknown until it has been looked at.
import type {
  LinesBatch,
  LinesEnd,
  LinesGap,
  LinesProgress,
  LogLine,
  Problem,
  Stream,
  TailDropped,
  TailEnd,
  TailEntries,
  TailInterrupted,
  TailMode,
  TailResumed,
} from './gen/types.gen.js';

type Fields = { readonly [name: string]: unknown };

export function isObject(v: unknown): v is Fields {
  return typeof v === 'object' && v !== null && !Array.isArray(v);
}

const isText = (v: unknown): v is string => typeof v === 'string';
const isNumber = (v: unknown): v is number => typeof v === 'number';
const isTextIfAny = (v: unknown): v is string | undefined => v === undefined || isText(v);
const isNumberIfAny = (v: unknown): v is number | undefined => v === undefined || isNumber(v);

export function isProblem(v: unknown): v is Problem {
  return (
    isObject(v) &&
    [v.type, v.title, v.detail, v.code, v.request_id].every(isText) &&
    isNumber(v.status) &&
    [v.parameter, v.hint].every(isTextIfAny) &&
    [v.line, v.column].every(isNumberIfAny)
  );
}

function isLabelSet(v: unknown): v is { [name: string]: string } {
  return isObject(v) && Object.values(v).every(isText);
}

const isLabelSetIfAny = (v: unknown): boolean => v === undefined || isLabelSet(v);

export function isLogLine(v: unknown): v is LogLine {
  return (
    isObject(v) &&
    isText(v.timestamp) &&
    isText(v.line) &&
    isLabelSet(v.labels) &&
    isLabelSetIfAny(v.structured_metadata) &&
    isLabelSetIfAny(v.parsed)
  );
}

function isListedLine(v: unknown): boolean {
  return (
    isObject(v) && [v.timestamp, v.line, v.id].every(isText) && isLabelSet(v.labels) && isLabelSet(v.metadata) && isLabelSetIfAny(v.parsed)
  );
}

export function isLinesBatch(v: unknown): v is LinesBatch {
  return isObject(v) && Array.isArray(v.lines) && v.lines.every(isListedLine);
}

export function isLinesProgress(v: unknown): v is LinesProgress {
  return isObject(v) && [v.done, v.lines, v.bytes, v.seconds].every(isNumber);
}

export function isLinesGap(v: unknown): v is LinesGap {
  return isObject(v) && [v.from, v.to, v.code, v.detail].every(isText);
}

export function isLinesEnd(v: unknown): v is LinesEnd {
  return isObject(v) && typeof v.complete === 'boolean' && isText(v.reason) && isTextIfAny(v.next);
}

function isEntry(v: unknown): boolean {
  if (!Array.isArray(v) || v.length < 2 || v.length > 3) return false;
  const [time, line, labels]: unknown[] = v;
  return (
    isText(time) &&
    isText(line) &&
    (labels === undefined || (isObject(labels) && isLabelSetIfAny(labels.structuredMetadata) && isLabelSetIfAny(labels.parsed)))
  );
}

function isStream(v: unknown): v is Stream {
  return isObject(v) && isLabelSet(v.stream) && Array.isArray(v.values) && v.values.every(isEntry);
}

export function isTailEntries(v: unknown): v is TailEntries {
  return isObject(v) && Array.isArray(v.streams) && v.streams.every(isStream);
}

export function isTailDropped(v: unknown): v is TailDropped {
  return isObject(v) && [v.count, v.slow_reader, v.loki].every(isNumber);
}

export function isTailEnd(v: unknown): v is TailEnd {
  return isObject(v) && isText(v.reason) && isText(v.detail);
}

export function isTailInterrupted(v: unknown): v is TailInterrupted {
  return isObject(v) && [v.since, v.next_try, v.detail].every(isText);
}

export function isTailResumed(v: unknown): v is TailResumed {
  return isObject(v) && [v.since, v.from, v.detail].every(isText) && isNumber(v.lines);
}

export function isTailMode(v: unknown): v is TailMode {
  return isObject(v) && (v.mode === 'tail' || v.mode === 'poll') && isText(v.detail);
}

/** Parses JSON into nothing known. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
