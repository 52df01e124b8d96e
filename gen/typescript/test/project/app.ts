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
