/** A token, and what goes with it. It is kept in memory: reloading the page loses it. */
export interface Session {
  /** The user's name, where the provider has given it. */
  name?: string | undefined;
  /** The token of the next request, renewed where that is possible. */
  token: () => Promise<string>;
  /** Whether a new token can be had when this one expires. */
  renews: () => boolean;
  /** Signs out at the provider by leaving this page; false if there is nothing to leave for. */
  leave: () => boolean;
}

/** A session of a token that a user pasted. */
export function pasted(token: string): Session {
  return { token: () => Promise.resolve(token), renews: () => false, leave: () => false };
}

/** A user was signed in by the provider in this tab: it may still have a session. */
const mark = 'logfence.was-signed-in';

export const wasSignedIn = {
  get: (): boolean => sessionStorage.getItem(mark) !== null,
  set: (was: boolean): void => (was ? sessionStorage.setItem(mark, '1') : sessionStorage.removeItem(mark)),
};

/** Signs out the other tabs of this browser. */
const channel = new BroadcastChannel('logfence.sign-out');

export function signOutElsewhere(): void {
  channel.postMessage('');
}

/** Calls back when another tab signs out. Returns how to stop. */
export function onSignOutElsewhere(signedOut: () => void): () => void {
  channel.addEventListener('message', signedOut);
  return () => channel.removeEventListener('message', signedOut);
}
