// One search at a time, its result, and the older lines that follow.
import { useEffect, useRef, useState } from 'preact/hooks';

import type { Client, Failure, View } from '../model';
import { remember } from '../query';
import { runQuery, loadNextPage, type SearchResult, type SearchRequest, type FailedResult, type LinesResult } from './runQuery';
import { spanOf } from './range';

export interface Search {
  result: SearchResult | undefined;
  /** The request in flight. */
  running: SearchRequest | undefined;
  /** Loading older lines: `busy`, or why it failed. */
  more: { busy: boolean; failure?: Failure };
  run: (view: View) => void;
  cancel: () => void;
  loadMore: () => Promise<void>;
}

/** `most` is how many lines one query may request. */
export function useSearch(client: Client, most: number): Search {
  const [result, setResult] = useState<SearchResult>();
  const [running, setRunning] = useState<SearchRequest>();
  const [more, setMore] = useState<Search['more']>({ busy: false });
  const aborter = useRef<AbortController>();
  const latest = useRef<LinesResult>();
  const loading = useRef(false);
  latest.current = result?.kind === 'lines' ? result : undefined;

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
    const request: SearchRequest = {
      query: view.query,
      span,
      limit: Math.min(view.limit, most),
      direction: view.direction,
      instant: view.instant,
      line: view.line,
      at: Date.now(),
    };
    loading.current = false;
    setRunning(request);
    setMore({ busy: false });
    void runQuery(client, request, own.signal).then((outcome) => {
      if (own.signal.aborted) return;
      setRunning(undefined);
      setResult((old) => (outcome.kind === 'failed' ? { ...outcome, before: lastGood(old, request.query) } : outcome));
      if (outcome.kind !== 'failed') remember(view.query);
    });
  };

  const loadMore = async (): Promise<void> => {
    const before = latest.current;
    const signal = aborter.current?.signal;
    if (!before || before.atEnd || loading.current || !signal) return;
    loading.current = true;
    setMore({ busy: true });
    const outcome = await loadNextPage(client, before, most, signal);
    if (signal.aborted || latest.current?.request !== before.request) return;
    loading.current = false;
    if ('code' in outcome) return setMore({ busy: false, failure: outcome });
    setMore({ busy: false });
    setResult(outcome);
  };

  return { result, running, more, run, cancel, loadMore };
}

function lastGood(result: SearchResult | undefined, query: string): FailedResult['before'] {
  if (result?.request.query !== query) return undefined;
  return result.kind === 'failed' ? result.before : result;
}
