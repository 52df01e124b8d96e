import type { Logfence } from '@logfence/client';

import type { Zone } from './zone';

export type { Failure } from '@logfence/client';

/** Sends all requests; the token and the tenant are in it. */
export type Client = Logfence;

/** From start (inclusive) to end (exclusive): nanoseconds since 1970, as decimal strings. */
export interface Span {
  start: string;
  end: string;
}

export type Labels = Record<string, string>;

export interface Line {
  /** When, in nanoseconds since 1970: more than a number can hold. */
  ns: string;
  stream: Labels;
  metadata: Labels;
  /** What the query's own parsers read from the line. */
  parsed: Labels;
  text: string;
  /** How many lines this row stands for: lines of a stack trace, or equal lines up to another moment. */
  joined?: number;
  equal?: { count: number; until: string };
  /** Unique, and increasing in the order of arrival. */
  key: number;
}

/** A part of a range whose lines are missing among those that are shown. */
export interface Gap {
  /** In its place among those of the lines. */
  key: number;
  /** How many lines are before it. */
  at: number;
  span: Span;
  /** Why. */
  detail: string;
  /** Where reading it goes on, when a part of it was read. */
  cursor?: string | undefined;
}

export type Direction = 'backward' | 'forward';
export type { Zone } from './zone';

/** What is looked at: all of it is in the URL. */
export interface View {
  query: string;
  /** Relative, such as `now-1h`, or an absolute time in ISO 8601. */
  from: string;
  to: string;
  limit: number;
  direction: Direction;
  /** A metric query is evaluated at the end of the range alone. */
  instant: boolean;
  /** The line that a link is about, as mark.ts names it. */
  line?: string;
  zone: Zone;
  tenant?: string;
  wrap: boolean;
  /** Times with all nine digits of the second. */
  nanoseconds: boolean;
  /** Equal lines that follow one another are one row with their count. */
  fold: boolean;
  /** The lines of a stack trace are one row. */
  join: boolean;
  /** Labels and fields that rows show in columns; the labels that differ where there are none. */
  columns: string[];
}

/** In the query, from 1, as problems tell it. */
export interface Place {
  line: number;
  column: number;
}
export interface Mistake {
  place: Place;
  text: string;
}

/** A part of a query that lines were searched for. */
export interface Term {
  text: string;
  regexp: boolean;
  caseless: boolean;
}

/**
 * Where a label or field of a line comes from: the labels of its stream, its structured metadata, what the query's
 * own parsers read, or what the page found in the text, which a query has to parse first.
 */
export type Origin = 'stream' | 'metadata' | 'parsed' | 'json' | 'logfmt';

/** Narrows the query to lines with this label or field (or, negated, without it); see addFilter. */
export type OnFilter = (name: string, value: string, negate: boolean, origin?: Origin) => void;
