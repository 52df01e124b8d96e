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
  const [result, setResult] = useState<SearchResult>();
  const [running, setRunning] = useState<SearchRequest>();
  const [progress, setProgress] = useState<ProgressEvent>();
  const [reading, setReading] = useState<Reading>();
  const [pending, setPending] = useState<Search['pending']>();
  const aborter = useRef<AbortController>();
  const agreed = useRef<string>();
  const latest = useRef<SearchResult>();
  const busy = useRef(false);
  const frame = useRef(0);
  const change = (next: SearchResult): void => {
    cancelAnimationFrame(frame.current);
    frame.current = 0;
    latest.current = next;
    setResult(next);
  };

  /** What was in flight before ends, and its result is of no interest. */
  const begin = (): AbortController => {
    aborter.current?.abort();
    cancelAnimationFrame(frame.current);
    frame.current = 0;
    busy.current = true;
    setProgress(undefined);
    setPending(undefined);
    return (aborter.current = new AbortController());
  };
  const done = (): void => {
    busy.current = false;
    setRunning(undefined);
    setReading(undefined);
  };
  useEffect(() => () => void begin().abort(), []);

  /** Shows lines as they come, once a frame; not before `from` seconds. */
  const growing = (own: AbortController & { seen?: boolean }, from: number): Show => {
    return (part, resultOf) => {
      if (aborter.current !== own) return;
      setProgress(part.progress);
      if (part.lines.length + part.gaps.length === 0 || (part.progress?.seconds ?? 0) < from) return;
      own.seen = true;
      frame.current ||= requestAnimationFrame(() => change(resultOf()));
    };
  };

  const run = (view: View, known = false): void => {
    const span = spanOf(view.from, view.to, Date.now());
    if (!span) return;
    const own: AbortController & { seen?: boolean } = begin();
    const { query, direction, instant, line } = view;
    const request: SearchRequest = { query, span, limit: Math.min(view.limit, limits.max_lines), direction, instant, line, at: Date.now() };
    setRunning(request);
    setReading(undefined);
    void (async () => {
      const estimate = known || agreed.current === keyOf(view) ? undefined : await estimateOf(client, request, own.signal);
      if (aborter.current !== own) return;
      if (own.signal.aborted) return done();
      if (estimate && isExpensive(estimate, limits)) {
        setPending({ estimate, metric: isMetric(query), agree: () => run(view, true) });
        return setRunning(undefined); // the page behind the lines is not read meanwhile
      }
      if (estimate) setRunning({ ...request, estimate });
      agreed.current = keyOf(view);
      const old = latest.current;
      // Lines that are shown do not at once make room for a few of the same.
      const same = old !== undefined && old.kind !== 'failed' && isSameSearch(old.request, request);
      const outcome = await runQuery(client, request, own.signal, growing(own, same ? 1 : 0));
      if (aborter.current !== own) return;
      done();
      if (own.signal.aborted && !own.seen) return; // what was there stays
      change(own.seen ? outcome : beside(outcome, old));
      if (outcome.kind !== 'failed') remember(query);
    })();
  };

  /** Reads what belongs to the lines that are there, one at a time. */
  const readOn = async (what: Reading, read: (before: LinesResult, own: AbortController) => Promise<LinesResult>): Promise<void> => {
    const before = latest.current;
    if (before?.kind !== 'lines' || busy.current) return;
    const own = begin();
    setReading(what);
    const outcome = await read(before, own);
    if (aborter.current !== own) return;
    done();
    change(outcome);
  };

  return {
    result,
    running,
    progress,
    reading,
    pending,
    run,
    cancel: () => {
      aborter.current?.abort();
      if (pending) busy.current = false;
      setPending(undefined);
    },
    loadMore: () => readOn('page', (before, own) => nextLines(client, before, own.signal, growing(own, 0))),
    readGap: (gap) => readOn(gap.key, (before, own) => gapLines(client, before, gap, own.signal)),
  };
}

/** A result of which nothing has been seen: where it has failed, what the same query had before stays beside it. */
function beside(outcome: SearchResult, old: SearchResult | undefined): SearchResult {
  const failure = outcome.kind === 'failed' ? outcome.failure : outcome.kind === 'lines' ? outcome.failure : undefined;
  if (!failure || old?.request.query !== outcome.request.query) return outcome;
  return { kind: 'failed', request: outcome.request, failure, before: old.kind === 'failed' ? old.before : old };
}
