type Time = 'start' | 'end' | 'time' | 'timestamp';

/** Parameters whose times may be a `Date`, which is sent with its milliseconds. */
export type WithDates<P> = { [K in keyof P]: K extends Time ? P[K] | Date : P[K] };

/** The parameters as they are sent. */
export function sent<P extends object>(params: WithDates<P>): P;
export function sent(params: object): object {
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, value instanceof Date ? value.toISOString() : value]));
}
