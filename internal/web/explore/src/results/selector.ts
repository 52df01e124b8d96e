import type { Labels } from '../model';

/** The selector of one stream, without the label by which Loki itself splits streams. */
export function selectorOf(stream: Labels): string {
  const matchers = Object.entries(stream)
    .filter(([name]) => name !== '__stream_shard__')
    .map(([name, value]) => `${name}=${quoted(value)}`);
  return `{${matchers.join(', ')}}`;
}

/** A string of LogQL, whose escapes are Go's: JSON's are among them but for a slash, and half a character. */
export function quoted(value: string): string {
  return JSON.stringify(value.replace(/[\ud800-\udfff]/gu, '\ufffd'));
}
