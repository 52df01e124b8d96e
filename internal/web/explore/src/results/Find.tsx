import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Term } from '../model';
import { nextOf, placesOf } from './find';
import type { Item } from './items';

/** What is found in a list, and the one that is shown. */
export interface Found {
  open: boolean;
  text: string;
  setText: (text: string) => void;
  count: number;
  /** Which of them is shown, from 1; 0 for none. */
  at: number;
  hit: Item | undefined;
  /** What marks the text in lines. */
  term: Term | undefined;
  step: (way: 1 | -1) => void;
  close: () => void;
}

/** Opens with Ctrl+F: the browser's own search sees only the rows that are drawn. */
export function useFind(items: readonly Item[]): Found {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState('');
  const [hit, setHit] = useState<Item>();
  const places = useMemo(() => (open ? placesOf(items, text) : []), [items, open, text]);
  // By its key: a row is another object once more lines of its stack trace are loaded.
  const at = hit ? places.findIndex((place) => items[place]?.key === hit.key) : -1;
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'f' || document.querySelector('dialog[open]')) return;
      setOpen(true);
      document.querySelector<HTMLInputElement>('.r-find input')?.select();
      event.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
  // The first hit is shown while the text is typed.
  useEffect(() => {
    if (at < 0) setHit(places[0] === undefined ? undefined : items[places[0]]);
  }, [places]);
  const step = (way: 1 | -1): void => {
    const next = nextOf(places, at < 0 ? -1 : (places[at] ?? -1), way);
    if (next !== undefined) setHit(items[next]);
  };
  const close = (): void => {
    setOpen(false);
    setHit(undefined);
    document.querySelector<HTMLElement>('.r-scroller .r-hit')?.focus({ preventScroll: true });
  };
  const term = useMemo(() => (open && text !== '' ? { text, regexp: false, caseless: true } : undefined), [open, text]);
  return { open, text, setText, count: places.length, at: at + 1, hit: open ? hit : undefined, term, step, close };
}

/** The field of a search in the lines that are loaded, over the list. */
export function FindBar({ found, more }: { found: Found; more: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => input.current?.focus(), []);
  const { text, count, at, step, close } = found;
  return (
    <div
      class="r-find"
      role="search"
      aria-label="Find in the loaded lines"
      onKeyDown={(event) => {
        if (event.key === 'Escape') close();
        else if (event.key === 'Enter' && event.target === input.current) step(event.shiftKey ? -1 : 1);
        else return;
        event.preventDefault();
        event.stopPropagation();
      }}
    >
      <input
        ref={input}
        type="text"
        aria-label="Text to find"
        placeholder="Find in the loaded lines"
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(event) => found.setText(event.currentTarget.value)}
      />
      <span role="status" class="r-muted" title={more ? 'Lines that are not loaded are not searched' : ''}>
        {text === '' ? '' : count === 0 ? 'not found' : `${at.toLocaleString('en')} of ${count.toLocaleString('en')}`}
        {text !== '' && more && ' loaded'}
      </span>
      <button type="button" aria-label="Previous match" title="Previous  Shift+Enter" disabled={count === 0} onClick={() => step(-1)}>
        ↑
      </button>
      <button type="button" aria-label="Next match" title="Next  Enter" disabled={count === 0} onClick={() => step(1)}>
        ↓
      </button>
      <button type="button" aria-label="Close the search" title="Close  Esc" onClick={close}>
        ✕
      </button>
    </div>
  );
}
