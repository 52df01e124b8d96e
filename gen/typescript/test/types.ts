// What the compiler promises to those who use the package. Nothing here runs.
import type { Code, Failure, LogLine, Logfence, Refusal, Result, Stream, TailEvent, VectorSeries } from '@logfence/client';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <_ extends true>(): void => undefined;

export async function answersAreNarrowed(logfence: Logfence): Promise<void> {
  const { data, error } = await logfence.queryLogs({ query: '{}' });
  if (error) {
    same<Same<typeof data, undefined>>();
    same<Same<typeof error, Failure>>();
    return;
  }
  same<Same<typeof error, undefined>>();
  if (data.data.resultType === 'streams') {
    same<Same<(typeof data.data.result)[number], Stream>>();
    for (const [nanoseconds, line, labels] of data.data.result.flatMap(({ values }) => values)) {
      same<Same<typeof nanoseconds, string>>();
      same<Same<typeof line, string>>();
      same<Same<NonNullable<typeof labels>['parsed'], { [name: string]: string } | undefined>>();
    }
    // @ts-expect-error: streams have no metric
    void data.data.result[0]?.metric;
  } else {
    same<Same<typeof data.data.resultType, 'matrix'>>();
    const [seconds, value] = data.data.result[0]?.values[0] ?? [];
    same<Same<typeof seconds, number | undefined>>();
    same<Same<typeof value, string | undefined>>();
  }
  // @ts-expect-error: a query over a time range is no vector
  void (data.data.resultType === 'vector');

  const instant = (await logfence.queryInstant({ query: '1' })).data?.data;
  if (instant?.resultType === 'vector') same<Same<(typeof instant.result)[number], VectorSeries>>();
  const labels = await logfence.listLabels();
  same<Same<NonNullable<typeof labels.data>['data'], string[]>>();
}

export async function requestsAreChecked(logfence: Logfence): Promise<void> {
  // @ts-expect-error: a query is required
  await logfence.queryLogs({});
  // @ts-expect-error: and nothing is taken that has no meaning
  await logfence.queryLogs({ query: '{}', from: 'yesterday' });
  // @ts-expect-error: a direction is one of two
  await logfence.queryLogs({ query: '{}', direction: 'sideways' });
  // @ts-expect-error: a limit is a number
  await logfence.queryLogs({ query: '{}', limit: '100' });
  // @ts-expect-error: a format is one of three
  await logfence.exportLogs({ query: '{}', format: 'xml' });
  // @ts-expect-error: only queries have labels to categorize
  await logfence.listLabels({}, { categorizeLabels: true });
}

export function failuresAreTold(error: Failure): string {
  same<Same<Failure['title'], string>>();
  same<Same<Failure['detail'], string>>();
  switch (error.code) {
    case 'query_invalid':
      same<Same<typeof error.status, 400>>();
      return `${error.line}:${error.column}`;
    case 'rate_limited':
      same<Same<typeof error.retry_after, number>>();
      return `again in ${error.retry_after} s`;
    case 'not_found':
      // @ts-expect-error: what is not found now is not found in a second
      return error.retry_after;
    case 'aborted':
      same<Same<typeof error.cause, unknown>>();
      return 'aborted';
    case 'unrecognized':
      return error.original_code;
    // @ts-expect-error: there is no such code
    case 'query_unvalid':
      return '';
    default:
      return error.title;
  }
}

export function failuresAreToldByStatus(error: Failure): void {
  if (error.status === 403)
    same<
      Same<
        Extract<typeof error, Refusal>['code'],
        | 'access_changed'
        | 'grant_ambiguous'
        | 'grant_not_yours'
        | 'groups_left_out'
        | 'insufficient_scope'
        | 'no_tenant'
        | 'origin_forbidden'
        | 'tenant_not_yours'
        | 'too_many_tenants'
      >
    >();
  if (error.status === undefined) same<Same<typeof error.code, 'aborted' | 'unreachable' | 'broken_off' | 'token_failed'>>();
}

/** All are told: the compiler says when a code is missing. */
export function everyFailureIsTold(error: Failure): Code | string {
  if ('request_id' in error) return error.code;
  if (error.code === 'not_logfence') return String(error.status);
  switch (error.code) {
    case 'aborted':
    case 'unreachable':
    case 'broken_off':
    case 'token_failed':
      return error.code;
    default:
      return error satisfies never;
  }
}

export function eventsAreTold(event: TailEvent): void {
  switch (event.type) {
    case 'entries':
      same<Same<typeof event.streams, Stream[]>>();
      return;
    case 'dropped':
      same<Same<typeof event.count, number>>();
      return;
    case 'interrupted':
      same<Same<typeof event.retry_in, number>>();
      same<Same<typeof event.since, string | undefined>>();
      return;
    case 'reconnected':
      return;
    case 'resumed':
      same<Same<typeof event.lines, number>>();
      return;
    case 'mode':
      same<Same<typeof event.mode, 'tail' | 'poll'>>();
      return;
    default:
      event satisfies never;
  }
}

export function resultsAreOneOrTheOther(result: Result<LogLine>): LogLine | Failure {
  return result.error ?? result.data;
}
