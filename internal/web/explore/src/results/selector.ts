import type { Labels } from '../model';

/** The selector of all streams that have these labels in common with one. */
export function selectorOf(stream: Labels, names: ReadonlySet<string>): string {
  const matchers = Object.entries(stream)
    .filter(([name]) => names.has(name))
    .map(([name, value]) => `${name}=${quoted(value)}`);
  return `{${matchers.join(', ')}}`;
}

/** A string of LogQL, whose escapes are Go's: JSON's are among them but for a slash, and half a character. */
export function quoted(value: string): string {
  return JSON.stringify(value.replace(/[\ud800-\udfff]/gu, '\ufffd'));
}
