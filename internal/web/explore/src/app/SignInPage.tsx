import { useState } from 'preact/hooks';

import type { Failure } from '../model';
import { FailureBox } from './FailureBox';
import type { SignIn } from './settings';

export interface SignInPageProps {
  settings: SignIn | undefined;
  /** Why nobody is signed in, if that is not as usual. */
  problem?: string | undefined;
  failure?: Failure | undefined;
  busy: boolean;
  onProvider: () => void;
  onToken: (token: string) => void;
}

/** Nobody is signed in. */
export function SignInPage({ settings, problem, failure, busy, onProvider, onToken }: SignInPageProps) {
  return (
    <main class="a-signin">
      <h1>logfence</h1>
      <p>Read your own logs.</p>
      {problem && (
        <p class="a-problem" role="alert">
          {problem}
        </p>
      )}
      {failure && <FailureBox failure={failure} />}
      {settings ? (
        <button type="button" class="a-primary a-wide" disabled={busy} onClick={onProvider}>
          {busy ? 'Signing in…' : 'Sign in'}
        </button>
      ) : (
        <TokenForm busy={busy} onToken={onToken} />
      )}
      {settings && <p class="a-muted a-small-text">Identity provider: {settings.issuer}</p>}
    </main>
  );
}

/** A field for a token: it is kept in memory alone. */
export function TokenForm({ busy, onToken }: { busy: boolean; onToken: (token: string) => void }) {
  const [token, setToken] = useState('');
  return (
    <form
      class="a-token"
      onSubmit={(e) => {
        e.preventDefault();
        onToken(token.trim().replace(/^Bearer\s+/i, ''));
      }}
    >
      <label>
        Access token
        <textarea
          rows={4}
          required
          autocomplete="off"
          spellcheck={false}
          value={token}
          placeholder="eyJ…"
          onInput={(e) => setToken(e.currentTarget.value)}
        />
      </label>
      <p class="a-muted a-small-text">The token is kept only in this page's memory, until you close or reload the page.</p>
      <button type="submit" class="a-primary a-wide" disabled={busy || token.trim() === ''}>
        {busy ? 'Signing in…' : 'Sign in'}
      </button>
    </form>
  );
}
