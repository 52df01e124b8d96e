/**
 * Strings and regular expressions as LogQL writes them: Go's quoting and RE2's metacharacters.
 *
 * Guarantee: `unquote(quote(text))` is the text, for every text that is valid Unicode, and `quoteMeta(text)`
 * matches that text and nothing else.
 */

/** What could be mistaken for something else when it is read: controls, and what turns the reading direction. */
const unreadable = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;
const unreadables = new RegExp(unreadable, 'g');
const loneSurrogates = /\p{Surrogate}/gu;

/** A string literal of this text; a raw one where that saves the reader backslashes. */
export function quote(given: string): string {
  const text = given.replace(loneSurrogates, '\ufffd');
  if (/["\\]/.test(text) && !text.includes('`') && !unreadable.test(text)) return `\`${text}\``;
  const escaped = text.replace(/["\\]/g, '\\$&').replace(unreadables, escape);
  return `"${escaped}"`;
}

function escape(character: string): string {
  const short = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
  return short ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

const escapes: Record<string, string> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
};
const piece = /\\(?:x([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([abfnrtv\\"]))|([^\\"\n]+)/gy;

/** The text of a string literal; undefined if it is none. */
export function unquote(literal: string): string | undefined {
  const quoted = literal.slice(1, -1);
  if (literal.length < 2 || literal[0] !== literal.at(-1)) return undefined;
  if (literal[0] === '`') return quoted.includes('`') ? undefined : quoted.replaceAll('\r', '');
  if (literal[0] !== '"') return undefined;
  const bytes: number[] = [];
  const encoder = new TextEncoder();
  let read = 0;
  for (const [all, hex, octal, u4, u8, short, plain] of quoted.matchAll(piece)) {
    read += all.length;
    const point = parseInt(u4 ?? u8 ?? '0', 16);
    if (point > 0x10ffff) return undefined;
    if (hex) bytes.push(parseInt(hex, 16));
    else if (octal) bytes.push(parseInt(octal, 8));
    else bytes.push(...encoder.encode(plain ?? (short ? escapes[short] : String.fromCodePoint(point))));
  }
  return read === quoted.length ? new TextDecoder('utf-8', { ignoreBOM: true }).decode(new Uint8Array(bytes)) : undefined;
}

/** A regular expression that matches this text alone. */
export function quoteMeta(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
}

/** The one text that a regular expression matches; undefined where it could match others as well. */
export function literalOf(regexp: string): string | undefined {
  const plain = regexp.replace(/\\[^\p{L}\p{N}]/gu, '');
  if (/[\\.+*?()|[\]{}^$]/.test(plain)) return undefined;
  return regexp.replace(/\\([^\p{L}\p{N}])/gu, '$1');
}

/** The texts that an alternation of texts matches, such as `a|b\.c`; undefined where it is no such thing. */
export function alternativesOf(regexp: string): string[] | undefined {
  const texts = splitAlternatives(regexp).map(literalOf);
  return texts.every((text) => text !== undefined) ? texts : undefined;
}

/** The parts of a regular expression between its `|`, wherever these stand. */
export function splitAlternatives(regexp: string): string[] {
  const parts = [''];
  for (const [token] of regexp.matchAll(/\\.|[^\\]|\\$/gsu)) {
    if (token === '|') parts.push('');
    else parts.push(`${parts.pop() ?? ''}${token}`);
  }
  return parts;
}
