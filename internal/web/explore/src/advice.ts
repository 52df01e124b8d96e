// What a user can do about a failure.
import type { Failure } from './model';

const askForAccess = 'Ask your administrator for access.';
const findByID = 'The request ID helps your administrator find the cause.';
const reduce = 'Choose a shorter time range, or add labels to the selector.';
const shorten = 'Shorten the query, or split it into several.';
const afterTheWait = 'Run the query again when the wait is over.';
const othersSearch = `Other users of your tenant are searching too. ${afterTheWait}`;
const signIn = 'Sign in again: your results stay on this page, and the query then runs by itself.';
const serverFault = 'This is a fault of the server. Try again in a few minutes. If it persists, send your administrator the request ID.';
// The page sends no such request, unless it is older or newer than the server.
const otherVersion = 'The server may have been upgraded since this page was loaded. Reload the page.';

/** By code, so that the compiler reports a code without advice. Empty where the detail says enough. */
const advice: Record<Failure['code'], string | ((failure: Failure) => string)> = {
  cursor_invalid: 'What you may read has changed since these lines were loaded. Run the query again.',
  kind_wrong: 'Log queries, such as {app="api"}, return lines; metric queries, such as rate({app="api"}[5m]), return numbers.',
  loki_refused: 'Change the query as the reason says. If the reason is a setting of Loki, ask your administrator.',
  parameter_invalid: 'Check the time range, and the tenant at the top.',
  query_invalid: ({ detail }) =>
    regexpError.test(detail)
      ? 'To find . + * ? ( ) [ ] { } | ^ $ themselves, put a backslash before each of them, or use |= to find a text.'
      : 'The error is marked in the query.',
  query_unsupported: 'Write the query without this part.',
  unauthorized: signIn,
  access_changed: 'Run the query again: it then covers what you may read now.',
  grant_ambiguous: 'Reload the page, and choose a grant.',
  grant_not_yours: 'Reload the page, and choose a grant.',
  groups_left_out: findByID,
  insufficient_scope: askForAccess,
  no_tenant: findByID,
  origin_forbidden: otherVersion,
  tenant_not_yours: 'Choose another tenant at the top.',
  too_many_tenants: findByID,
  not_found: otherVersion,
  method_not_allowed: otherVersion,
  not_acceptable: otherVersion,
  body_too_large: shorten,
  media_type_unsupported: otherVersion,
  answer_too_large: 'Choose a shorter time range or a lower limit, or add filters.',
  query_failed: 'Change the query as the reason says: without a change it fails again.',
  query_reads_too_much: `${reduce} Filters after the selector change nothing: Loki reads the lines first.`,
  query_too_complex: shorten,
  query_too_long: shorten,
  query_too_wide: 'Choose a shorter time range.',
  too_dense: 'Add labels or filters to the query.',
  too_many_lines: 'Choose a lower limit; older lines load as you reach the end of the list.',
  too_many_points: 'Choose a shorter time range.',
  upgrade_required: otherVersion,
  rate_limited: afterTheWait,
  too_many_exports: 'Wait until another export of your tenant has ended.',
  too_many_queries: othersSearch,
  too_many_streams: othersSearch,
  too_many_tails: 'Stop a live tail in another tab or window, or use automatic refresh.',
  internal: serverFault,
  not_enabled: 'Everything else works without it.',
  loki_denied: `Your own access is not the reason: signing in again does not help. ${findByID}`,
  loki_failed: serverFault,
  loki_unreachable: serverFault,
  websocket_blocked: 'Queries still work: stop the live tail, and use automatic refresh until your administrator has changed this.',
  audit_unavailable: serverFault,
  keys_unavailable: serverFault,
  loki_unavailable: serverFault,
  overloaded: afterTheWait,
  loki_timeout: reduce,
  aborted: '',
  broken_off: 'Run the query again.',
  token_failed: signIn,
  unreachable: () =>
    navigator.onLine
      ? 'Check your connection or VPN, and run the query again.'
      : 'You are offline. The query runs again when you are back online.',
  not_logfence: 'A proxy may require its own sign-in. Reload the page, or contact your administrator.',
  unrecognized: ({ status }) => (status === 429 || status === 503 ? afterTheWait : ''),
};

/** A sentence or two to add to the failure's own detail; empty where nothing is to be added. */
export function adviceOf(failure: Failure): string {
  const given = advice[failure.code];
  return typeof given === 'string' ? given : given(failure);
}

const regexpError = /error parsing regexp/;

/** Whether a request failed for want of a token that is accepted. */
export function needsSignIn({ code }: Failure): boolean {
  return code === 'unauthorized' || code === 'token_failed';
}

/** The failure as users are to see it, where its own words are for those who write a client. */
export function explained(failure: Failure, expires: number | undefined, now: number): { title: string; detail: string } {
  switch (failure.code) {
    case 'unauthorized':
      if (expires === undefined || now < expires) return failure;
      return { title: 'Your session has expired', detail: `It ended at ${new Date(expires).toLocaleTimeString('en-GB')}.` };
    case 'token_failed':
      return { title: 'Your session could not be renewed', detail: 'The identity provider did not give this page a new token.' };
    case 'not_logfence':
      return { title: 'Not a response of logfence', detail: `Another server responded, with status ${failure.status}.` };
    default:
      return failure;
  }
}

/** How many seconds to wait before a retry; 0 where a retry would change nothing. */
export function waitOf(failure: Failure): number {
  return 'retry_after' in failure && failure.retry_after !== undefined ? failure.retry_after : 0;
}

/** Failures that only an administrator can end. */
const lasting: readonly Failure['code'][] = ['loki_denied', 'not_enabled', 'websocket_blocked'];

/** Whether a retry may succeed. */
export function mayPass({ code, status }: Failure): boolean {
  return !lasting.includes(code) && (status === undefined || status === 429 || status >= 500);
}
