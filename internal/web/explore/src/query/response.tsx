/** What panels ask the server: loading, failed or there. */
import { useEffect, useState } from 'preact/hooks';

import type { Failure } from '../model';

export type Answer<T> = { state: 'loading' } | { state: 'failed'; failure: Failure; again: () => void } | { state: 'ready'; data: T };

type Result<T> = { data: T; error: undefined } | { data: undefined; error: Failure };

/**
 * Asks, once for each key, and gives up asking when the key changes. `wait` is for keys that change while somebody
 * writes. An answer to another key is never shown.
 */
export function useAnswer<T>(key: readonly unknown[], ask: (signal: AbortSignal) => Promise<Result<T>>, wait = 0): Answer<T> {
  const [turn, setTurn] = useState(0);
  const [got, setGot] = useState<{ key: readonly unknown[]; result: Result<T> }>();
  const asked = [...key, turn];
  useEffect(() => {
    const aborter = new AbortController();
    const start = (): void => {
      void ask(aborter.signal).then((result) => {
        if (!aborter.signal.aborted) setGot({ key: asked, result });
      });
    };
    const timer = wait > 0 ? setTimeout(start, wait) : start();
    return () => {
      clearTimeout(timer ?? undefined);
      aborter.abort();
    };
  }, asked);
  if (!got || got.key.length !== asked.length || got.key.some((part, i) => part !== asked[i])) {
    return { state: 'loading' };
  }
  const { error, data } = got.result;
  return error ? { state: 'failed', failure: error, again: () => setTurn(turn + 1) } : { state: 'ready', data };
}

export function Loading({ what }: { what: string }) {
  return (
    <p class="q-note" role="status">
      Loading {what} …
    </p>
  );
}

/** A failure, and how to try again. */
export function Failed({ failure, again }: { failure: Failure; again: () => void }) {
  return (
    <div class="q-failed" role="alert">
      <strong>{failure.title}</strong>
      <div>{failure.detail}</div>
      <button type="button" class="q-button" onClick={again}>
        Try again
      </button>
    </div>
  );
}

/** How many of a list are shown: whoever looks for one of the rest has to search. */
export function More({ shown, of, what }: { shown: number; of: number; what: string }) {
  if (shown >= of) return null;
  return (
    <p class="q-note">
      {(of - shown).toLocaleString('en')} more {what}: search to find them.
    </p>
  );
}
