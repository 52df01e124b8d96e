// What the examples of the README take for granted.
import { createLogfence, type LabelSet } from '@logfence/client';

const env = (name: string): string => process.env[name] ?? '';

export const session = {
  accessToken: (): Promise<string> => Promise.resolve(env('LOGFENCE_TOKEN')),
  signIn: (): void => undefined,
};

export const logfence = createLogfence({ baseUrl: env('LOGFENCE_URL'), token: session.accessToken });

const leave = new AbortController();
export const leaving = leave.signal;

export const lines: string[] = [];
export const mistakes: unknown[][] = [];
export const shown: string[][] = [];

export function addLine(stream: LabelSet, _time: bigint | string, line: string): void {
  if (stream['tenant_id'] !== 'alpha') throw new Error(`a line of ${stream['tenant_id']}`);
  lines.push(line);
}

export const addPoint = (_metric: LabelSet, _seconds: number, _value: number): void => undefined;
export const show = (title: string, detail: string): void => void shown.push([title, detail]);
export const markError = (detail: string, line: number | undefined, column: number | undefined): void =>
  void mistakes.push([detail, line, column]);
export const retryAfter = (_seconds: number): void => undefined;

export function addRow(_id: string, _timestamp: string, line: string): void {
  if (!line.includes('declined')) throw new Error(`a line of another query: ${line}`);
}
export const addGap = (from: unknown, to: unknown, detail: string): void => void shown.push(['gap', `${from} ${to} ${detail}`]);
export const offerMore = (_cursor: string): void => undefined;
export const bar = { value: 0 };
export const query = '{app="checkout"}';
export const { signal } = new AbortController();

// What the examples use of TanStack Query and SWR. An error that a function throws ends the process.
type Context = { signal: AbortSignal };
export const useQuery = <T>(o: { queryKey: unknown[]; queryFn: (context: Context) => Promise<T> }): void => void o.queryFn({ signal });
export function useInfiniteQuery<T, P>(o: {
  queryKey: unknown[];
  queryFn: (context: Context & { pageParam: P }) => Promise<T>;
  initialPageParam: P;
  getNextPageParam: (page: T) => P;
}): void {
  void o.queryFn({ signal, pageParam: o.initialPageParam }).then(o.getNextPageParam);
}
export const useSWR = <T>(_key: unknown[], fetcher: () => Promise<T>): void => void fetcher();

export const input = { value: '{app="checkout" |= "declined"' };
export const cancelButton: { onclick: (() => void) | null } = { onclick: null };

/** Leaves the tail when so many lines have come. */
export function leaveAtLine(count: number): void {
  const push = lines.push.bind(lines);
  lines.push = (...more) => {
    if (lines.length + more.length >= count) leave.abort();
    return push(...more);
  };
}
