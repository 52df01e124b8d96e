// One search at a time, its result while it grows, and what is read behind it or in its gaps.
import type { Me, ProgressEvent, ReadEstimate } from '@logfence/client';
import { useEffect, useRef, useState } from 'preact/hooks';

import type { Client, Gap, View } from '../model';
import { isMetric, remember } from '../query';
import { estimateOf, isExpensive, keyOf } from './estimate';
import { gapLines, isSameSearch, nextLines, runQuery } from './runQuery';
import type { LinesResult, SearchRequest, SearchResult, Show } from './runQuery';
import { spanOf } from './range';

/** What is read beside a search: the page behind its lines, or one of their gaps, by its key. */
export type Reading = 'page' | number;

export interface Search {
  result: SearchResult | undefined;
  /** The request in flight. */
  running: SearchRequest | undefined;
  /** How far the request in flight is, or what is read beside it. */
  progress: ProgressEvent | undefined;
  reading: Reading | undefined;
  /** A search that waits for the user's consent, since it is expensive. */
  pending: { estimate: ReadEstimate; metric: boolean; agree: () => void } | undefined;
  /** Runs a view. One that the user has `agreed` to, or that is run again, is not estimated. */
  run: (view: View, agreed?: boolean) => void;
  cancel: () => void;
  /** Reads the page behind the lines, or the rest of one. */
  loadMore: () => Promise<void>;
  readGap: (gap: Gap) => Promise<void>;
}

export function useSearch(client: Client, limits: Me['limits']): Search {
  const flight = useFlight();
  const agreed = useRef<string>();

  const run = (view: View, known = false): void => {
    const span = spanOf(view.from, view.to, Date.now());
    if (!span) return;
    const own = flight.begin();
    const { query, direction, instant, line } = view;
    const request: SearchRequest = { query, span, limit: Math.min(view.limit, limits.max_lines), direction, instant, line, at: Date.now() };
    flight.setRunning(request);
    flight.setReading(undefined);
    void search(own, view, request, known);
  };

  const search = async (own: Own, view: View, request: SearchRequest, known: boolean): Promise<void> => {
    const estimate = known || agreed.current === keyOf(view) ? undefined : await estimateOf(client, request, own.signal);
    if (!flight.isCurrent(own)) return;
    if (own.signal.aborted) return flight.done();
    if (estimate && isExpensive(estimate, limits)) {
      flight.setPending({ estimate, metric: isMetric(request.query), agree: () => run(view, true) });
      return flight.setRunning(undefined); // the page behind the lines is not read meanwhile
    }
    if (estimate) flight.setRunning({ ...request, estimate });
    agreed.current = keyOf(view);
    const old = flight.latest();
    // Lines that are shown do not at once make room for a few of the same.
    const same = old !== undefined && old.kind !== 'failed' && isSameSearch(old.request, request);
    const outcome = await runQuery(client, request, own.signal, flight.growing(own, same ? 1 : 0));
    if (!flight.isCurrent(own)) return;
    flight.done();
    if (own.signal.aborted && !own.seen) return; // what was there stays
    flight.change(own.seen ? outcome : beside(outcome, old));
    if (outcome.kind !== 'failed') remember(request.query);
  };

  /** Reads what belongs to the lines that are there, one at a time. */
  const readOn = async (what: Reading, read: (before: LinesResult, own: Own) => Promise<LinesResult>): Promise<void> => {
    const before = flight.latest();
    if (before?.kind !== 'lines' || flight.isBusy()) return;
    const own = flight.begin();
    flight.setReading(what);
    const outcome = await read(before, own);
    if (!flight.isCurrent(own)) return;
    flight.done();
    flight.change(outcome);
  };

  return {
    ...flight.state,
    run,
    cancel: flight.cancel,
    loadMore: () => readOn('page', (before, own) => nextLines(client, before, own.signal, flight.growing(own, 0))),
    readGap: (gap) => readOn(gap.key, (before, own) => gapLines(client, before, gap, own.signal)),
  };
}

/** What is in flight, and whether a part of its result has been shown. */
type Own = AbortController & { seen?: boolean };

/** One thing in flight at a time, and the result that is shown. */
function useFlight() {
  const [result, setResult] = useState<SearchResult>();
  const [running, setRunning] = useState<SearchRequest>();
  const [progress, setProgress] = useState<ProgressEvent>();
  const [reading, setReading] = useState<Reading>();
  const [pending, setPending] = useState<Search['pending']>();
  const current = useRef<Own>();
  const latest = useRef<SearchResult>();
  const busy = useRef(false);
  const frame = useRef(0);
  const cancelFrame = (): void => {
    cancelAnimationFrame(frame.current);
    frame.current = 0;
  };
  const isCurrent = (own: Own): boolean => current.current === own;
  const change = (next: SearchResult): void => {
    cancelFrame();
    latest.current = next;
    setResult(next);
  };

  /** What was in flight before ends, and its result is of no interest. */
  const begin = (): Own => {
    current.current?.abort();
    cancelFrame();
    busy.current = true;
    setProgress(undefined);
    setPending(undefined);
    return (current.current = new AbortController());
  };
  const done = (): void => {
    busy.current = false;
    setRunning(undefined);
    setReading(undefined);
  };
  const cancel = (): void => {
    current.current?.abort();
    if (pending) busy.current = false;
    setPending(undefined);
  };
  useEffect(() => () => void begin().abort(), []);

  /** Shows lines as they come, once a frame; not before `from` seconds. */
  const growing = (own: Own, from: number): Show => {
    return (part, resultOf) => {
      if (!isCurrent(own)) return;
      setProgress(part.progress);
      if (part.lines.length + part.gaps.length === 0 || (part.progress?.seconds ?? 0) < from) return;
      own.seen = true;
      frame.current ||= requestAnimationFrame(() => change(resultOf()));
    };
  };

  const state = { result, running, progress, reading, pending };
  const set = { setRunning, setReading, setPending };
  return { state, ...set, latest: () => latest.current, isBusy: () => busy.current, isCurrent, begin, done, cancel, change, growing };
}

/** A result of which nothing has been seen: where it has failed, what the same query had before stays beside it. */
function beside(outcome: SearchResult, old: SearchResult | undefined): SearchResult {
  const failure = outcome.kind === 'failed' ? outcome.failure : outcome.kind === 'lines' ? outcome.failure : undefined;
  if (!failure || old?.request.query !== outcome.request.query) return outcome;
  return { kind: 'failed', request: outcome.request, failure, before: old.kind === 'failed' ? old.before : old };
}
