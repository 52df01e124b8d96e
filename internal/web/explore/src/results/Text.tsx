import type { ComponentChildren } from 'preact';
import { useMemo, useState } from 'preact/hooks';

import { piecesOf, type Piece } from './ansi';
import type { Range } from './highlights';

/** How much of a line is drawn until the user shows all of it. */
export const longestDrawn = 10_000;

export interface TextProps {
  text: string;
  mark: (text: string) => Range[];
  /** Whether line feeds break the line; otherwise their sign alone is shown. */
  wrap: boolean;
  /** How much is drawn until the user shows all of it. */
  longest?: number;
}

/** The text of a line: text nodes and nothing else, whatever is in it. */
export function Text({ text, mark, wrap, longest = longestDrawn }: TextProps) {
  const [whole, setWhole] = useState(false);
  const end = whole ? text.length : cutOf(text, longest);
  const drawn = useMemo(() => draw(piecesOf(text, end), mark(text), wrap), [text, end, mark, wrap]);
  const more = text.length - end;
  return (
    <bdi class="r-text" dir="ltr">
      {drawn}
      {more > 0 && (
        <button type="button" class="r-link r-more" onClick={() => setWhole(true)}>
          … show all ({text.length.toLocaleString('en')} characters)
        </button>
      )}
    </bdi>
  );
}

/** Not between the two halves of a character. */
function cutOf(text: string, longest: number): number {
  if (text.length <= longest) return text.length;
  const code = text.charCodeAt(longest);
  return code >= 0xdc00 && code < 0xe000 ? longest - 1 : longest;
}

function draw(pieces: Piece[], marks: Range[], wrap: boolean): ComponentChildren {
  if (marks.length === 0 && pieces.every(({ style, sign }) => style === '' && sign === undefined)) {
    return pieces.map(({ text }) => text).join('');
  }
  const drawn: ComponentChildren[] = [];
  let next = 0;
  for (const piece of pieces) {
    if (piece.sign !== undefined) {
      drawn.push(
        <span class="r-sign" title={piece.sign}>
          {piece.text}
        </span>,
      );
      if (wrap && piece.text === '↵') drawn.push('\n');
      continue;
    }
    const parts: ComponentChildren[] = [];
    let at = piece.at;
    const end = piece.at + piece.length;
    const plain = (to: number): string => piece.text.slice(at - piece.at, to - piece.at);
    while (next < marks.length && (marks[next]?.[1] ?? 0) <= at) next++;
    for (let i = next; i < marks.length; i++) {
      const [from, to] = marks[i] ?? [end, end];
      if (from >= end) break;
      if (from > at) parts.push(plain(from));
      at = Math.max(at, from);
      parts.push(<mark>{plain(Math.min(to, end))}</mark>);
      at = Math.min(to, end);
    }
    if (at < end) parts.push(plain(end));
    drawn.push(piece.style ? <span class={piece.style}>{parts}</span> : parts);
  }
  return drawn;
}
