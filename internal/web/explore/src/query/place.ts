/** Where an error is in a query, and its text for users. Pure. */
import type { Place } from '../model';

/** A stretch of a text, in JavaScript's own counting: `to` is behind its last unit. */
export interface Stretch {
  from: number;
  to: number;
}

/**
 * The token that begins at a place, which counts lines and characters from 1 as Loki's lexer does: a character is a
 * code point, however many units or bytes it takes. A place behind the end is the end: its last character, so that
 * there is something to underline.
 */
export function stretchAt(text: string, { line, column }: Place): Stretch {
  let start = 0;
  for (let n = 1; n < line; n++) {
    const end = text.indexOf('\n', start);
    if (end < 0) break;
    start = end + 1;
  }
  const rest = text.slice(start).split('\n', 1).join('');
  const before = [...rest].slice(0, column - 1).join('');
  const from = start + before.length;
  const token = /^(?:"(?:[^"\\]|\\.)*"?|`[^`]*`?|[\p{L}_][\p{L}\p{N}_]*|[\d.]+\w*|\S)/u.exec(rest.slice(before.length));
  if (token) return { from, to: from + token[0].length };
  const last = /(\S)\s*$/u.exec(text.slice(0, from));
  if (!last) return { from: Math.min(from, text.length), to: text.length };
  const at = last.index;
  return { from: at, to: at + (last[1]?.length ?? 0) };
}

const names: Record<string, string> = {
  IDENTIFIER: 'a name',
  STRING: 'a text in quotes',
  NUMBER: 'a number',
  DURATION: 'a duration such as 5m',
  RANGE: 'a range such as [5m]',
  BYTES: 'a size such as 10KB',
  $end: 'the end of the query',
  EOF: 'the end of the query',
};

/** A mistake in words: Loki's parser speaks of its own tokens. */
export function inWords(message: string): string {
  const unexpected = /^syntax error: unexpected (.+?)(?:, expecting (.+))?$/.exec(message);
  if (unexpected) {
    const [, found = '', expected] = unexpected;
    const wanted = expected?.split(/ or /).map(named).join(' or ');
    if (found === '$end') return `The query ends too early${wanted ? `: ${wanted} is missing` : ''}.`;
    return `${capital(named(found))} does not fit here${wanted ? `; expected is ${wanted}` : ''}.`;
  }
  if (message === 'literal not terminated') return 'This text has no closing quote.';
  return `${capital(message.replace(/^syntax error: /, '').replace(/\.$/, ''))}.`;
}

function named(token: string): string {
  return names[token] ?? `“${token}”`;
}

function capital(text: string): string {
  return text.replace(/^\p{Ll}/u, (letter) => letter.toUpperCase());
}
