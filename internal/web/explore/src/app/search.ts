// One search at a time, its answer, and the older lines that follow.
import { useEffect, useRef, useState } from 'preact/hooks';

import type { Client, Failure, View } from '../model';
import { remember } from '../query';
import { ask, askMore, type Answer, type Asked, type FailedAnswer, type LinesAnswer } from './ask';
import { spanOf } from './range';

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
      setAnswer((old) => (outcome.kind === 'failed' ? { ...outcome, before: lastGood(old, asked.query) } : outcome));
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

function lastGood(answer: Answer | undefined, query: string): FailedAnswer['before'] {
  if (answer?.asked.query !== query) return undefined;
  return answer.kind === 'failed' ? answer.before : answer;
}
