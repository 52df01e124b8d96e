/** The state of a panel's request: loading, failed or ready. */
import { useEffect, useState } from 'preact/hooks';

import type { Failure } from '../model';

export type ResponseState<T> =
  | { state: 'loading' }
  | { state: 'failed'; failure: Failure; again: () => void }
  | { state: 'ready'; data: T };

type Result<T> = { data: T; error: undefined } | { data: undefined; error: Failure };

/**
 * Sends one request for each key, and cancels it when the key changes. `wait` is for keys that change while a user
 * types. The response to another key is never shown.
 */
export function useResponse<T>(key: readonly unknown[], request: (signal: AbortSignal) => Promise<Result<T>>, wait = 0): ResponseState<T> {
  const [turn, setTurn] = useState(0);
  const [got, setGot] = useState<{ key: readonly unknown[]; result: Result<T> }>();
  const currentKey = [...key, turn];
  useEffect(() => {
    const aborter = new AbortController();
    const start = (): void => {
      void request(aborter.signal).then((result) => {
        if (!aborter.signal.aborted) setGot({ key: currentKey, result });
      });
    };
    const timer = wait > 0 ? setTimeout(start, wait) : start();
    return () => {
      clearTimeout(timer ?? undefined);
      aborter.abort();
    };
  }, currentKey);
  if (!got || got.key.length !== currentKey.length || got.key.some((part, i) => part !== currentKey[i])) {
    return { state: 'loading' };
  }
  const { error, data } = got.result;
  return error ? { state: 'failed', failure: error, again: () => setTurn(turn + 1) } : { state: 'ready', data };
}

export function Loading({ what }: { what: string }) {
  return (
    <p class="q-note" role="status">
      Loading {what}…
    </p>
  );
}

/** A failure, and how to try again. */
export function Failed({ failure, again }: { failure: Failure; again: () => void }) {
  return (
    <div class="q-failed" role="alert">
      <strong>{failure.title}</strong>
      <div>{failure.detail}</div>
      {'hint' in failure && failure.hint && <div>{failure.hint}</div>}
      <button type="button" class="q-button" onClick={again}>
        Try again
      </button>
    </div>
  );
}

/** How many of a list are not shown: a search finds them. */
export function More({ shown, of, what }: { shown: number; of: number; what: string }) {
  if (shown >= of) return null;
  return (
    <p class="q-note">
      {(of - shown).toLocaleString('en')} more {what}: search to find them.
    </p>
  );
}
