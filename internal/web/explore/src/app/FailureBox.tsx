import { useEffect, useRef, useState } from 'preact/hooks';

import { adviceOf, explained, mayPass, needsSignIn, waitOf } from '../advice';
import type { Failure } from '../model';

export interface FailureBoxProps {
  failure: Failure;
  onRetry?: (() => void) | undefined;
  /** What the button for a retry says. */
  again?: string;
  /** Signs in again, where that is what helps. */
  onSignIn?: (() => void) | undefined;
  /** When the session ends, in milliseconds since 1970. */
  expires?: number | undefined;
}

/** What went wrong, and what to do. */
export function FailureBox({ failure, onRetry, again = 'Run again', onSignIn, expires }: FailureBoxProps) {
  const left = useCountdown(failure);
  const online = useOnline(() => failure.code === 'unreachable' && onRetry?.());
  const expired = needsSignIn(failure);
  const [{ title, detail }] = useState(() => explained(failure, expires, Date.now()));
  // On the page where a user signs in there are no results that stay.
  const advice = expired && !onSignIn ? '' : adviceOf(failure);
  return (
    <section class="a-failure" role="alert" aria-label="Error">
      <h2>{title}</h2>
      <p>{detail}</p>
      {'hint' in failure && failure.hint && <p class="a-hint">{failure.hint}</p>}
      {advice && <p>{advice}</p>}
      <p class="a-actions">
        {expired && onSignIn && (
          <button type="button" class="a-primary" onClick={onSignIn}>
            Sign in again
          </button>
        )}
        {onRetry && mayPass(failure) && (
          <button type="button" class={expired ? '' : 'a-primary'} disabled={left > 0 || !online} onClick={onRetry}>
            {left > 0 ? `${again} in ${left} s` : again}
          </button>
        )}
        {'type' in failure && (
          <a href={failure.type} target="_blank" rel="noreferrer">
            About this error
          </a>
        )}
      </p>
      {'request_id' in failure && failure.request_id && <RequestId id={failure.request_id} />}
    </section>
  );
}

function RequestId({ id }: { id: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <p class="a-request">
      Request ID <code>{id}</code>{' '}
      <button type="button" class="a-small" onClick={() => void navigator.clipboard?.writeText(id).then(() => setCopied(true))}>
        {copied ? 'Copied' : 'Copy'}
      </button>
    </p>
  );
}

/** The seconds that are left to wait. */
function useCountdown(failure: Failure): number {
  const [left, setLeft] = useState(waitOf(failure));
  useEffect(() => {
    const until = Date.now() + waitOf(failure) * 1000;
    setLeft(waitOf(failure));
    const timer = setInterval(() => {
      const rest = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      setLeft(rest);
      if (rest === 0) clearInterval(timer);
    }, 250);
    return () => clearInterval(timer);
  }, [failure]);
  return left;
}

/** Whether the browser is online; calls back when it is so again. */
function useOnline(back: () => void): boolean {
  const [online, setOnline] = useState(navigator.onLine);
  const latest = useRef(back);
  latest.current = back;
  useEffect(() => {
    const changed = (): void => {
      setOnline(navigator.onLine);
      if (navigator.onLine) latest.current();
    };
    addEventListener('online', changed);
    addEventListener('offline', changed);
    return () => {
      removeEventListener('online', changed);
      removeEventListener('offline', changed);
    };
  }, []);
  return online;
}
