// Asking: one search at a time, its answer, and the older lines that follow.
import type { MatrixSeries } from '@logfence/client';
import { useEffect, useRef, useState } from 'preact/hooks';

import type { Client, Direction, Failure, Line, Span, View } from '../model';
import { isMetric, remember } from '../query';
import { linesOf, nextPage, past, without } from './paging';
import { spanOf } from './range';

/** No more lines than these are kept in the page. */
export const mostLines = 100_000;

/** What was asked, with its range as it was then. */
export interface Asked {
  query: string;
  span: Span;
  limit: number;
  direction: Direction;
  /** When, in milliseconds since 1970. */
  at: number;
}

export interface LinesAnswer {
  kind: 'lines';
  asked: Asked;
  took: number;
  lines: Line[];
  /** There is nothing further in the range, or no room. */
  atEnd: boolean;
  /** How often more lines had one nanosecond than could be asked for, so that some are missing. */
  crowded: number;
}

export type Answer =
  | LinesAnswer
  | { kind: 'matrix'; asked: Asked; took: number; series: MatrixSeries[] }
  | { kind: 'failed'; asked: Asked; failure: Failure };

export interface Search {
  answer: Answer | undefined;
  /** What is being asked. */
  running: Asked | undefined;
  /** Loading older lines: `busy`, or why it failed. */
  more: { busy: boolean; failure?: Failure };
  run: (view: View) => void;
  cancel: () => void;
  loadMore: () => Promise<void>;
}

/** `most` is how many lines one query may ask for. */
export function useSearch(client: Client, most: number): Search {
  const [answer, setAnswer] = useState<Answer>();
  const [running, setRunning] = useState<Asked>();
  const [more, setMore] = useState<Search['more']>({ busy: false });
  const aborter = useRef<AbortController>();
  const latest = useRef<LinesAnswer>();
  const loading = useRef(false);
  latest.current = answer?.kind === 'lines' ? answer : undefined;

  useEffect(() => () => aborter.current?.abort(), []);

  const cancel = (): void => {
    aborter.current?.abort();
    setRunning(undefined);
  };

  const run = (view: View): void => {
    const span = spanOf(view.from, view.to, Date.now());
    if (!span) return;
    aborter.current?.abort();
    const own = (aborter.current = new AbortController());
    const asked: Asked = {
      query: view.query,
      span,
      limit: Math.min(view.limit, most),
      direction: view.direction,
      at: Date.now(),
    };
    loading.current = false;
    setRunning(asked);
    setMore({ busy: false });
    void ask(client, asked, own.signal).then((outcome) => {
      if (own.signal.aborted) return;
      setRunning(undefined);
      setAnswer(outcome);
      if (outcome.kind !== 'failed') remember(view.query);
    });
  };

  const loadMore = async (): Promise<void> => {
    const before = latest.current;
    const signal = aborter.current?.signal;
    if (!before || before.atEnd || loading.current || !signal) return;
    loading.current = true;
    setMore({ busy: true });
    const outcome = await askMore(client, before, most, signal);
    if (signal.aborted || latest.current?.asked !== before.asked) return;
    loading.current = false;
    if ('code' in outcome) return setMore({ busy: false, failure: outcome });
    setMore({ busy: false });
    setAnswer(outcome);
  };

  return { answer, running, more, run, cancel, loadMore };
}

async function ask(client: Client, asked: Asked, signal: AbortSignal): Promise<Answer> {
  const { query, span, limit, direction } = asked;
  const began = performance.now();
  const params = isMetric(query) ? { query, ...span } : { query, ...span, limit, direction };
  const { data, error } = await client.queryLogs(params, { signal, categorizeLabels: true });
  const took = performance.now() - began;
  if (error) return { kind: 'failed', asked, failure: error };
  if (data.data.resultType === 'matrix') return { kind: 'matrix', asked, took, series: data.data.result };
  const lines = linesOf(data.data.result, direction, 0);
  return { kind: 'lines', asked, took, lines, atEnd: lines.length < limit, crowded: 0 };
}

/** The answer with the next page, which begins where it ends. */
async function askMore(client: Client, before: LinesAnswer, most: number, signal: AbortSignal): Promise<LinesAnswer | Failure> {
  const { asked, lines } = before;
  const { query, direction } = asked;
  const key = (lines.at(-1)?.key ?? -1) + 1;
  let next = nextPage(lines, asked.span, direction, asked.limit, most);
  let crowded = before.crowded;
  for (;;) {
    const { data, error } = await client.queryLogs(
      { query, ...next.span, limit: next.limit, direction },
      { signal, categorizeLabels: true },
    );
    if (error) return error;
    const page = data.data.resultType === 'streams' ? linesOf(data.data.result, direction, key) : [];
    const fresh = without(page, next.held);
    const full = page.length >= next.limit;
    if (fresh.length > 0 || !full) {
      const room = Math.max(0, mostLines - lines.length);
      const all = lines.concat(fresh.slice(0, room).map((line, i) => ({ ...line, key: key + i })));
      return { ...before, lines: all, atEnd: !full || fresh.length >= room, crowded };
    }
    // Nothing but what is there: first ask for as many as may be, then give this nanosecond up.
    const ns = next.held[0]?.ns ?? '0';
    if (next.limit < most) next = { ...next, limit: most };
    else {
      crowded++;
      next = { span: past(ns, asked.span, direction), limit: Math.min(asked.limit, most), held: [] };
    }
  }
}
