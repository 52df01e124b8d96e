// What to do about what went wrong.
import type { Failure } from '../model';

/** A sentence or two that go on where the failure's own detail ends; empty where that says it all. */
export function adviceOf(failure: Failure): string {
  switch (failure.code) {
    case 'query_invalid':
      return 'The place is marked in the query.';
    case 'unauthorized':
      return 'Your session has ended, or the token is not one that is taken here. Sign in again; what you see stays.';
    case 'no_tenant':
    case 'insufficient_scope':
      return 'Whoever manages your account can change that.';
    case 'tenant_not_yours':
      return 'Choose another tenant at the top.';
    case 'query_too_wide':
      return 'Choose a shorter time range.';
    case 'too_many_lines':
      return 'Choose a lower limit; older lines load as you reach the end of the list.';
    case 'too_dense':
    case 'too_many_points':
      return 'Choose a shorter time range, or a longer step.';
    case 'answer_too_large':
      return 'Ask for less: a shorter time range, a lower limit, or more filters.';
    case 'query_too_long':
    case 'query_too_complex':
      return 'Take parts out of the query, or ask in several.';
    case 'loki_timeout':
      return 'Ask for less: a shorter time range, or more labels in the selector.';
    case 'loki_unreachable':
    case 'loki_unavailable':
    case 'loki_failed':
    case 'keys_unavailable':
    case 'audit_unavailable':
    case 'internal':
      return 'This is on our side. Try again in a while; if it stays, tell your administrator the request id.';
    case 'unreachable':
      return navigator.onLine
        ? 'Check the connection (a VPN, perhaps), and run it again.'
        : 'You are offline. It can be run again as soon as you are back.';
    case 'broken_off':
      return 'Run it again.';
    case 'not_logfence':
      return 'A proxy on the way may have its own sign-in; reload the page, or tell your administrator.';
    default:
      return failure.status === 429 || failure.status === 503 ? 'It can be run again when the time is up.' : '';
  }
}

/** For how many seconds to wait before asking again; 0 where that would change nothing. */
export function waitOf(failure: Failure): number {
  return 'retry_after' in failure && failure.retry_after !== undefined ? failure.retry_after : 0;
}

/** Whether the same, asked again, may well be answered. */
export function mayPass(failure: Failure): boolean {
  return failure.status === undefined || failure.status === 429 || failure.status >= 500;
}
