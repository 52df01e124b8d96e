// The name of a line in a link: its moment, and a sum of its text, since a nanosecond may have several lines. Pure.
import type { Line } from '../model';

const form = /^(-?\d{1,19})\.([0-9a-f]{8})$/;

export function nameOf({ ns, text }: Pick<Line, 'ns' | 'text'>): string {
  return `${ns}.${sumOf(text)}`;
}

/** The moment in a line's name; undefined for a text that is none. */
export function momentIn(name: string): string | undefined {
  return form.exec(name)?.[1];
}

/** FNV-1a of the text's first row: further ones may be those of a stack trace, which are joined or not. */
function sumOf(text: string): string {
  let sum = 0x811c9dc5;
  for (const character of text.split('\n', 1)[0]?.slice(0, 10_000) ?? '') {
    sum = Math.imul(sum ^ (character.codePointAt(0) ?? 0), 0x01000193);
  }
  return (sum >>> 0).toString(16).padStart(8, '0');
}
