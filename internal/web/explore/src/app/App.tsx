import { createLogfence, type Me } from '@logfence/client';
import { useEffect, useRef, useState } from 'preact/hooks';

import type { Client, Failure } from '../model';
import { claimHistory, forgetHistory } from '../query';
import { basePath } from './base';
import { Dialog } from './Dialog';
import { Explore } from './Explore';
import { FailureBox } from './FailureBox';
import { chosenGrant, GrantPage } from './Grants';
import { onSignOutElsewhere, pasted, signOutElsewhere, wasSignedIn, type Session } from './session';
import { signInSettings } from './settings';
import { SignInPage, TokenForm } from './SignInPage';

/** A user who is signed in. */
interface Signed {
  session: Session;
  me: Me;
}

/** Whether a user is signed in. */
type State =
  | { at: 'starting' }
  | { at: 'choosing'; session: Session; names: readonly string[] }
  | { at: 'out'; problem?: string | undefined; failure?: Failure }
  | { at: 'in'; signed: Signed };

const settings = signInSettings();

export function App() {
  const [state, setState] = useState<State>({ at: 'starting' });
  const [busy, setBusy] = useState(false);
  const [signIns, setSignIns] = useState(0);
  // Signing in again, over the results that are shown: why it failed so far.
  const [again, setAgain] = useState<{ problem?: string; failure?: Failure }>();
  // The client is kept as long as the page: results stay when a user signs in again.
  const session = useRef<Session>();
  const connect = (tenant?: string): Client =>
    createLogfence({
      baseUrl: basePath,
      tenant,
      grant: chosenGrant.get(),
      token: () => session.current?.token() ?? Promise.reject(new Error('signed out')),
    });

  /** Uses a session if the server accepts its token. */
  const enter = async (next: Session): Promise<Failure | undefined> => {
    setBusy(true);
    const meOf = (grant: string | undefined) => createLogfence({ baseUrl: basePath, grant, token: next.token }).getMe();
    let response = await meOf(chosenGrant.get());
    if (response.error?.code === 'grant_not_yours') {
      chosenGrant.set(undefined); // it has been taken away, or another user has chosen it
      response = await meOf(undefined);
    }
    setBusy(false);
    const { data: me, error } = response;
    if (error?.code === 'grant_ambiguous') {
      setState({ at: 'choosing', session: next, names: error.grants ?? [] });
      return undefined;
    }
    if (error) return error;
    session.current = next;
    claimHistory(userOf(me));
    setState({ at: 'in', signed: { session: next, me } });
    setAgain(undefined);
    setSignIns((n) => n + 1);
    return undefined;
  };

  useEffect(() => {
    void (async () => {
      const { session, problem } = await begin();
      const failure = session && (await enter(session));
      wasSignedIn.set(session !== undefined && failure === undefined);
      if (!session || failure) setState({ at: 'out', problem, ...(failure && { failure }) });
    })();
    // A user who returns from the provider by Back finds the page as it was: about to leave.
    const shown = (): void => setBusy(false);
    addEventListener('pageshow', shown);
    return () => removeEventListener('pageshow', shown);
  }, []);

  /** Goes to the provider, with the view to come back to. */
  const toProvider = (): void => {
    if (!settings) return setAgain({});
    setBusy(true);
    void import('./oidc').then(async ({ leave, told }) => {
      try {
        await leave(settings, location.search, false);
      } catch (error) {
        const problem = told(error);
        setBusy(false);
        if (session.current) setAgain({ problem });
        else setState({ at: 'out', problem });
      }
    });
  };

  const forget = (problem: string): Session | undefined => {
    const leaving = session.current;
    session.current = undefined;
    wasSignedIn.set(false);
    chosenGrant.set(undefined);
    forgetHistory();
    setAgain(undefined);
    setState({ at: 'out', problem });
    return leaving;
  };
  const signOut = (): void => {
    signOutElsewhere();
    forget('You are signed out.')?.leave();
  };
  useEffect(() => onSignOutElsewhere(() => session.current && forget('You have signed out in another tab.')), []);

  const choose = (name: string, next: Session): void => {
    chosenGrant.set(name);
    void enter(next).then((failure) => failure && setState({ at: 'out', failure }));
  };

  const takeToken = (token: string): void => {
    void enter(pasted(token)).then((failure) => {
      if (!failure) return;
      if (session.current) setAgain({ failure });
      else setState({ at: 'out', failure });
    });
  };

  if (state.at === 'starting') return <p class="a-starting">Signing in…</p>;
  if (state.at === 'choosing') {
    const { session: next, names } = state;
    return <GrantPage names={names} busy={busy} onGrant={(name) => choose(name, next)} />;
  }
  if (state.at === 'out') {
    const { problem, failure } = state;
    return <SignInPage settings={settings} problem={problem} failure={failure} busy={busy} onProvider={toProvider} onToken={takeToken} />;
  }
  return (
    <>
      <Explore
        key={`${userOf(state.signed.me)} ${state.signed.me.tenants.join(' ')} ${grantOf(state.signed.me)}`} // no user sees the results of another
        connect={connect}
        me={state.signed.me}
        session={state.signed.session}
        signIns={signIns}
        onGrant={(name) => choose(name, state.signed.session)}
        onSignIn={toProvider}
        onSignOut={signOut}
      />
      {again && (
        <Dialog title="Sign in again" onClose={() => setAgain(undefined)}>
          {again.problem && (
            <p class="a-problem" role="alert">
              {again.problem}
            </p>
          )}
          {again.failure && <FailureBox failure={again.failure} />}
          {settings ? (
            <button type="button" class="a-primary a-wide" disabled={busy} onClick={toProvider}>
              Try again
            </button>
          ) : (
            <TokenForm busy={busy} onToken={takeToken} />
          )}
        </Dialog>
      )}
    </>
  );
}

function userOf({ issuer, subject }: Me): string {
  return JSON.stringify([issuer, subject ?? '']);
}

/** The grant that is used; empty where there are none. */
function grantOf({ grants }: Me): string {
  return grants?.find((grant) => grant.chosen)?.names[0] ?? '';
}

/** Completes a return from the provider, or tries a silent sign-in. */
async function begin(): Promise<{ session?: Session; problem?: string | undefined }> {
  if (!settings) return {};
  const { arrive, isReturn, leave } = await import('./oidc');
  const url = new URL(location.href);
  if (isReturn(url)) {
    const back = await arrive(settings, url);
    // The code must not stay in the URL, nor in the history.
    history.replaceState(null, '', location.pathname + back.search);
    return back;
  }
  if (!wasSignedIn.get()) return {};
  wasSignedIn.set(false); // once: a provider that has no session would be tried without end
  try {
    await leave(settings, location.search, true);
    await new Promise(() => undefined); // the page is being left
  } catch {
    // Then the user signs in by hand.
  }
  return {};
}
