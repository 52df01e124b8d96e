/**
 * A piece of a line's text as it is to be shown. Escape sequences that color become classes; whatever else is
 * invisible or moves text about becomes a visible sign, so that a line can hide nothing of itself.
 */
export interface Piece {
  /** What to show. */
  text: string;
  /** Where in the line's own text it begins, and how long it is there: signs are longer than what they stand for. */
  at: number;
  length: number;
  /** Class names, such as `r-ansi-red r-ansi-bold`; empty for plain text. */
  style: string;
  /** What a sign stands for, in words. Absent for text. */
  sign?: string;
}

interface Style {
  color: string;
  background: string;
  flags: Set<string>;
}

const colors = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];

// What does not show, or shows elsewhere than where it stands: controls, directions, widths of nothing, fillers,
// and the tags of plane 14. The escape begins a sequence. Joiners are looked at by themselves below.
const hidden =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|\ud82f[\udca0-\udca3]|\udb40[\udc00-\udfff]/g;

// eslint-disable-next-line no-control-regex
const sequence = /(?:\u001b\[|\u009b)([0-9;:]{0,64})([ -/]{0,4})([@-~])/y;

/** The pieces of a line's text, or of its part before `end`. */
export function piecesOf(text: string, end = text.length): Piece[] {
  const pieces: Piece[] = [];
  const style: Style = { color: '', background: '', flags: new Set() };
  let from = 0;
  const plainUpTo = (to: number): void => {
    if (to > from) pieces.push({ text: text.slice(from, to), at: from, length: to - from, style: classes(style) });
  };
  hidden.lastIndex = 0;
  for (let found = hidden.exec(text); found && found.index < end; found = hidden.exec(text)) {
    const at = found.index;
    if (joins(text, at)) continue;
    plainUpTo(at);
    sequence.lastIndex = at;
    const escape = sequence.exec(text);
    if (escape && escape[3] === 'm' && escape[2] === '') {
      restyle(style, escape[1] ?? '');
      from = sequence.lastIndex;
    } else {
      pieces.push({ ...signOf(found[0]), at, length: found[0].length, style: '' });
      from = at + found[0].length;
    }
    hidden.lastIndex = from;
  }
  plainUpTo(end);
  return pieces;
}

/** A joiner is part of what is written between emoji, and between the letters of scripts that need it. */
function joins(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  if (code !== 0x200c && code !== 0x200d) return false;
  const before = text.slice(Math.max(0, at - 2), at);
  const after = text.slice(at + 1, at + 3);
  return (
    /(?:\p{Extended_Pictographic}|\p{Emoji_Modifier}|\ufe0f|[\p{L}\p{M}])$/u.test(before) &&
    !/[\u0000-\u024f]$/.test(before) && // eslint-disable-line no-control-regex
    /^(?:\p{Extended_Pictographic}|(?![\u0000-\u024f])[\p{L}\p{M}])/u.test(after)
  ); // eslint-disable-line no-control-regex
}

const named: Record<number, [sign: string, name: string]> = {
  0x0a: ['↵', 'line feed'],
  0x0d: ['CR', 'carriage return'],
  0x1b: ['ESC', 'escape'],
  0x7f: ['DEL', 'delete'],
  0xad: ['SHY', 'soft hyphen'],
  0x61c: ['ALM', 'Arabic letter mark'],
  0x200b: ['ZWSP', 'zero-width space'],
  0x200c: ['ZWNJ', 'zero-width non-joiner'],
  0x200d: ['ZWJ', 'zero-width joiner'],
  0x200e: ['LRM', 'left-to-right mark'],
  0x200f: ['RLM', 'right-to-left mark'],
  0x2028: ['LSEP', 'line separator'],
  0x2029: ['PSEP', 'paragraph separator'],
  0x202a: ['LRE', 'left-to-right embedding'],
  0x202b: ['RLE', 'right-to-left embedding'],
  0x202c: ['PDF', 'pop directional formatting'],
  0x202d: ['LRO', 'left-to-right override'],
  0x202e: ['RLO', 'right-to-left override'],
  0x2060: ['WJ', 'word joiner'],
  0x2066: ['LRI', 'left-to-right isolate'],
  0x2067: ['RLI', 'right-to-left isolate'],
  0x2068: ['FSI', 'first strong isolate'],
  0x2069: ['PDI', 'pop directional isolate'],
  0xfeff: ['BOM', 'zero-width no-break space'],
};

// Letters, and not the pictures of controls, which many fonts lack.
const controls =
  'NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US'.split(' ');

function signOf(character: string): { text: string; sign: string } {
  const code = character.codePointAt(0) ?? 0;
  const hex = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
  const [text, name] = named[code] ?? (code < 0x20 ? [controls[code] ?? hex, 'control'] : [hex, 'invisible']);
  return { text, sign: `${name} (${hex})` };
}

/** Select Graphic Rendition: what the parameters change. Those that are not known change nothing. */
function restyle(style: Style, parameters: string): void {
  const codes = parameters.split(/[;:]/).map(Number);
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] ?? 0;
    if (code === 38 || code === 48) {
      const [color, used] = extended(codes.slice(i + 1));
      style[code === 38 ? 'color' : 'background'] = color;
      i += used;
    } else {
      simple(style, code);
    }
  }
}

const flags: Record<number, string> = { 1: 'bold', 2: 'dim', 3: 'italic', 4: 'underline', 7: 'inverse', 8: 'concealed', 9: 'struck' };

function simple(style: Style, code: number): void {
  const flag = flags[code];
  if (code === 0) {
    style.color = style.background = '';
    style.flags.clear();
  } else if (flag !== undefined) {
    // Not concealed: what is there is to be seen.
    if (flag !== 'concealed') style.flags.add(flag);
  } else if (code === 22) {
    style.flags.delete('bold');
    style.flags.delete('dim');
  } else if (code > 22 && code < 30) {
    style.flags.delete(flags[code - 20] ?? '');
  } else if (code === 39) {
    style.color = '';
  } else if (code === 49) {
    style.background = '';
  } else if ((code >= 30 && code < 38) || (code >= 90 && code < 98)) {
    style.color = colors[code % 10] ?? '';
  } else if ((code >= 40 && code < 48) || (code >= 100 && code < 108)) {
    style.background = colors[code % 10] ?? '';
  }
}

/** One of 256 colors or of all: the nearest of the eight, since a theme has no others that are sure to be read. */
function extended(codes: number[]): [color: string, used: number] {
  const [kind, a = 0, b = 0, c = 0] = codes;
  if (kind === 2) return [nearest(a, b, c), 4];
  if (kind !== 5) return ['', 0];
  if (a < 16) return [colors[a % 8] ?? '', 2];
  if (a >= 232) return [nearest(...gray(a - 232)), 2];
  const cube = a - 16;
  return [nearest(Math.floor(cube / 36) * 51, (Math.floor(cube / 6) % 6) * 51, (cube % 6) * 51), 2];
}

function gray(step: number): [number, number, number] {
  const value = 8 + 10 * step;
  return [value, value, value];
}

function nearest(red: number, green: number, blue: number): string {
  const most = Math.max(red, green, blue);
  if (most < 64) return 'black';
  const bit = (value: number, index: number): number => (value > most * 0.6 ? index : 0);
  return colors[bit(red, 1) + bit(green, 2) + bit(blue, 4)] ?? '';
}

function classes(style: Style): string {
  const all = [...style.flags];
  if (style.color) all.push(style.color);
  if (style.background) all.push(`on-${style.background}`);
  return all.map((name) => `r-ansi-${name}`).join(' ');
}
