import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';

/** How much of a value is shown before the user shows all of it. */
const longest = 1000;

const url = /https?:\/\/[^\s"'<>\\^`{|}\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+/g;

/** A value: cut where it is long, and with its URLs as links. */
export function Value({ text }: { text: string }) {
  const [all, setAll] = useState(false);
  const shown = all ? text : cut(text);
  return (
    <>
      <bdi>{linked(shown)}</bdi>
      {shown.length < text.length && (
        <button type="button" class="r-link r-more" onClick={() => setAll(true)}>
          … show all ({text.length.toLocaleString('en')} characters)
        </button>
      )}
    </>
  );
}

/** Not between the two halves of a character. */
function cut(text: string): string {
  if (text.length <= longest) return text;
  return text.slice(0, /[\ud800-\udbff]/.test(text.charAt(longest - 1)) ? longest - 1 : longest);
}

/** The text with its http and https URLs as links. Where a link leads is its own text, without a dot or bracket at its end. */
function linked(text: string): ComponentChildren {
  const parts: ComponentChildren[] = [];
  let at = 0;
  for (const found of text.matchAll(url)) {
    const address = found[0].replace(/[.,;:!?)\]]+$/, '');
    if (!URL.canParse(address)) continue;
    parts.push(
      text.slice(at, found.index),
      <a href={address} target="_blank" rel="noopener noreferrer" referrerpolicy="no-referrer">
        {address}
      </a>,
    );
    at = found.index + address.length;
  }
  return parts.length > 0 ? [...parts, text.slice(at)] : text;
}
