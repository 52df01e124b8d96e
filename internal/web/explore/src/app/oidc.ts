// Sign-in by authorization code with PKCE (RFC 7636). Tokens are in memory alone; only what is needed to come back
// from the provider is kept in the tab's sessionStorage, until it has been used.
import * as oauth from 'oauth4webapi';

import type { Session } from './session';
import type { SignIn } from './settings';

const kept = 'logfence.sign-in';

interface Kept {
  state: string;
  nonce: string;
  verifier: string;
  /** The page's own query, to return to. */
  search: string;
  silent: boolean;
}

/** Why sign-in failed, for the user. */
export class SignInError extends Error {
  override readonly name = 'SignInError';
}

/** Where the provider sends users back to: this page. */
const redirectUri = (): string => location.origin + location.pathname;

/** Goes to the provider. Silent sign-in shows no form: the provider has a session, or returns an error. */
export async function leave(settings: SignIn, search: string, silent: boolean): Promise<void> {
  const { server } = await provider(settings);
  if (!server.authorization_endpoint) throw new SignInError('The identity provider has no authorization endpoint.');
  const keep: Kept = {
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    verifier: oauth.generateRandomCodeVerifier(),
    search,
    silent,
  };
  const url = new URL(server.authorization_endpoint);
  const params: Record<string, string> = {
    ...Object.fromEntries(settings.parameters.map((p) => [p.slice(0, p.indexOf('=')), p.slice(p.indexOf('=') + 1)])),
    client_id: settings.clientId,
    redirect_uri: redirectUri(),
    response_type: 'code',
    scope: settings.scopes,
    state: keep.state,
    nonce: keep.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(keep.verifier),
    code_challenge_method: 'S256',
    ...(silent && { prompt: 'none' }),
  };
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
  sessionStorage.setItem(kept, JSON.stringify(keep));
  location.assign(url);
}

/** The outcome of a return from the provider. */
export interface Return {
  session?: Session;
  problem?: string;
  /** The page's query before it was left. */
  search: string;
}

/** Whether the provider has sent the user back with this URL. */
export function isReturn(url: URL): boolean {
  return url.searchParams.has('state') && (url.searchParams.has('code') || url.searchParams.has('error'));
}

/** Exchanges the code in the URL. The stored state is good for one try. */
export async function arrive(settings: SignIn, url: URL): Promise<Return> {
  const keep = takeKept();
  if (!keep) return { search: '', problem: 'This sign-in was not started in this tab, or has already been completed. Sign in again.' };
  try {
    const { server, client, insecure } = await provider(settings);
    const params = oauth.validateAuthResponse(server, client, url, keep.state);
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      oauth.None(),
      params,
      redirectUri(),
      keep.verifier,
      insecure,
    );
    const openid = settings.scopes.split(' ').includes('openid');
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, {
      expectedNonce: openid ? keep.nonce : oauth.expectNoNonce,
      requireIdToken: openid,
    });
    return { search: keep.search, session: sessionOf(settings, server, client, tokens, insecure) };
  } catch (error) {
    // A silent sign-in without a session at the provider is no problem to report.
    if (keep.silent && error instanceof oauth.AuthorizationResponseError) return { search: keep.search };
    return { search: keep.search, problem: told(error) };
  }
}

function takeKept(): Kept | undefined {
  const text = sessionStorage.getItem(kept);
  sessionStorage.removeItem(kept);
  return text === null ? undefined : (JSON.parse(text) as Kept); // our own, of this tab
}

async function provider(settings: SignIn) {
  const issuer = new URL(settings.issuer);
  // Plain HTTP is for the loopback interface; the server refuses it otherwise unless it is told.
  const insecure = { [oauth.allowInsecureRequests]: issuer.protocol === 'http:' };
  try {
    const response = await oauth.discoveryRequest(issuer, insecure);
    const server = await oauth.processDiscoveryResponse(issuer, response);
    return { server, client: { client_id: settings.clientId } satisfies oauth.Client, insecure };
  } catch (error) {
    throw new SignInError(`The identity provider at ${settings.issuer} could not be reached: ${told(error)}`);
  }
}

function sessionOf(
  settings: SignIn,
  server: oauth.AuthorizationServer,
  client: oauth.Client,
  first: oauth.TokenEndpointResponse,
  insecure: Record<symbol, boolean>,
): Session {
  let tokens = first;
  let idToken = first.id_token;
  let expires = expiryOf(settings, first);
  const sent = (): string => (settings.sendsIdToken && idToken) || tokens.access_token;
  let refreshing: Promise<string> | undefined;
  const refresh = async (refreshToken: string): Promise<string> => {
    const response = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), refreshToken, insecure);
    const next = await oauth.processRefreshTokenResponse(server, client, response);
    tokens = { ...next, refresh_token: next.refresh_token ?? refreshToken };
    idToken = next.id_token ?? idToken;
    expires = expiryOf(settings, next);
    return sent();
  };
  const claims = oauth.getValidatedIdTokenClaims(first);
  const name = [claims?.['name'], claims?.['preferred_username'], claims?.['email']].find((n) => typeof n === 'string');
  return {
    name,
    token: async () => {
      if (!tokens.refresh_token || Date.now() < expires - 30_000) return sent();
      refreshing ??= refresh(tokens.refresh_token).finally(() => (refreshing = undefined));
      return await refreshing;
    },
    renews: () => tokens.refresh_token !== undefined,
    leave: () => {
      if (!server.end_session_endpoint) return false;
      const url = new URL(server.end_session_endpoint);
      url.searchParams.set('client_id', settings.clientId);
      url.searchParams.set('post_logout_redirect_uri', redirectUri());
      if (idToken) url.searchParams.set('id_token_hint', idToken);
      location.assign(url);
      return true;
    },
  };
}

function expiryOf(settings: SignIn, response: oauth.TokenEndpointResponse): number {
  const { expires_in } = response;
  const exp = settings.sendsIdToken ? oauth.getValidatedIdTokenClaims(response)?.exp : undefined;
  if (exp !== undefined) return exp * 1000;
  return expires_in === undefined ? Infinity : Date.now() + expires_in * 1000;
}

/** An error for the user: the provider's own description, if it gave one. */
export function told(error: unknown): string {
  if (error instanceof oauth.AuthorizationResponseError || error instanceof oauth.ResponseBodyError) {
    return `${error.error_description ?? 'The provider refused.'} (${error.error})`;
  }
  if (error instanceof TypeError) return 'no response. It may be down, or may not allow requests from this page (CORS).';
  return error instanceof Error ? error.message : String(error);
}
