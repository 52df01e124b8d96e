/** Settings that the server writes into the page: the identity provider and the client. Without them a user pastes a token. */
export interface SignIn {
  issuer: string;
  clientId: string;
  scopes: string;
  /** Each is name=value. */
  parameters: string[];
  /** Whether the ID token is sent, in place of the access token. */
  sendsIdToken: boolean;
}

export function signInSettings(): SignIn | undefined {
  const told: unknown = JSON.parse(document.querySelector<HTMLMetaElement>('meta[name=logfence]')?.content ?? '{}');
  if (typeof told !== 'object' || told === null) return undefined;
  const text = (name: string): string => {
    const value: unknown = Reflect.get(told, name);
    return typeof value === 'string' ? value : '';
  };
  const parameters: unknown = Reflect.get(told, 'parameters');
  if (!text('client_id')) return undefined;
  return {
    issuer: text('issuer'),
    clientId: text('client_id'),
    scopes: text('scopes'),
    parameters: Array.isArray(parameters) ? parameters.filter((p) => typeof p === 'string') : [],
    sendsIdToken: text('token') === 'id',
  };
}
