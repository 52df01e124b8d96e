/** A token, and what goes with it. It lives in memory: whoever reloads the page comes back without. */
export interface Session {
  /** The person's name, where the provider told it. */
  name?: string | undefined;
  /** The token to ask with, a new one where it can be had. */
  token: () => Promise<string>;
  /** Whether a new token can be had when this one expires. */
  renews: () => boolean;
  /** Signs out at the provider by leaving this page; false if there is nothing to leave for. */
  leave: () => boolean;
}

/** A session of a token that somebody pasted. */
export function pasted(token: string): Session {
  return { token: () => Promise.resolve(token), renews: () => false, leave: () => false };
}

/** In this tab somebody was signed in by the provider: it may know them still. */
const mark = 'logfence.was-signed-in';

export const wasSignedIn = {
  get: (): boolean => sessionStorage.getItem(mark) !== null,
  set: (was: boolean): void => (was ? sessionStorage.setItem(mark, '1') : sessionStorage.removeItem(mark)),
};
