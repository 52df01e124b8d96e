// What a user can do about a failure.
import type { Failure } from '../model';

/** A sentence or two to add to the failure's own detail; empty where nothing is to be added. */
export function adviceOf(failure: Failure): string {
  switch (failure.code) {
    case 'query_invalid':
      return regexpError.test(failure.detail)
        ? 'To find . + * ? ( ) [ ] { } | ^ $ themselves, put a backslash before each of them, or use |= to find a text.'
        : 'The error is marked in the query.';
    case 'unauthorized':
      return 'Sign in again: this page keeps its results, and the query then runs by itself.';
    case 'no_tenant':
    case 'insufficient_scope':
      return 'Ask your administrator for access.';
    case 'tenant_not_yours':
      return 'Choose another tenant at the top.';
    case 'grant_ambiguous':
    case 'grant_not_yours':
      return 'Reload the page, and choose a grant.';
    case 'access_changed':
      return 'Run the query again.';
    case 'groups_left_out':
    case 'too_many_tenants':
      return 'Ask your administrator for access.';
    case 'query_too_wide':
      return 'Choose a shorter time range.';
    case 'query_reads_too_much':
      return 'Choose a shorter time range, or add labels to the selector. Filters behind the selector change nothing: Loki reads the lines first.';
    case 'too_many_streams':
      return 'Others of your tenant are searching too. Run the query again when the wait is over.';
    case 'too_many_lines':
      return 'Choose a lower limit; older lines load as you reach the end of the list.';
    case 'too_dense':
    case 'too_many_points':
      return 'Choose a shorter time range, or a longer step.';
    case 'answer_too_large':
      return 'Choose a shorter time range or a lower limit, or add filters.';
    case 'query_too_long':
    case 'query_too_complex':
      return 'Shorten the query, or split it into several.';
    case 'loki_timeout':
      return 'Choose a shorter time range, or add labels to the selector.';
    case 'loki_unreachable':
    case 'loki_unavailable':
    case 'loki_failed':
    case 'keys_unavailable':
    case 'audit_unavailable':
    case 'internal':
      return 'This is a fault of the server. Try again in a few minutes. If it persists, send your administrator the request ID.';
    case 'unreachable':
      return navigator.onLine
        ? 'Check your connection or VPN, and run the query again.'
        : 'You are offline. The query runs again when you are back online.';
    case 'broken_off':
      return 'Run the query again.';
    case 'not_logfence':
      return 'A proxy may require its own sign-in. Reload the page, or contact your administrator.';
    default:
      return failure.status === 429 || failure.status === 503 ? 'Run the query again when the wait is over.' : '';
  }
}

const regexpError = /error parsing regexp/;

/** Whether a request failed for want of a token that is accepted. */
export function needsSignIn({ code }: Failure): boolean {
  return code === 'unauthorized' || code === 'token_failed';
}

/** The failure as users are to see it: a token that has expired is called expired. */
export function explained(failure: Failure, expires: number | undefined, now: number): { title: string; detail: string } {
  if (failure.code !== 'unauthorized' || expires === undefined || now < expires) return failure;
  return { title: 'Your session has expired', detail: `It ended at ${new Date(expires).toLocaleTimeString('en-GB')}.` };
}

/** How many seconds to wait before a retry; 0 where a retry would change nothing. */
export function waitOf(failure: Failure): number {
  return 'retry_after' in failure && failure.retry_after !== undefined ? failure.retry_after : 0;
}

/** Whether a retry may succeed. */
export function mayPass(failure: Failure): boolean {
  return failure.status === undefined || failure.status === 429 || failure.status >= 500;
}
