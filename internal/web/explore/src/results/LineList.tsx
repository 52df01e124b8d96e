import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks';

import { Heights } from './heights';
import { find, identity, isNotice, placeOf, type Item } from './items';
import { Row, type Look } from './Row';
import { longestDrawn } from './Text';
import { Viewport } from './viewport';

export interface LineListProps {
  /** The rows; their keys increase. */
  items: readonly Item[];
  look: Look;
  label: string;
  busy: boolean;
  /** Whether there may be more than these. */
  open: boolean;
  /** Stay at the newest row, which is the last. */
  follow?: boolean;
  /** Told when the reader leaves the last row or comes back to it. */
  onBottom?: (at: boolean) => void;
  /** What is found, and is scrolled to. */
  hit?: Item | undefined;
  /** What a link is about: it is opened and scrolled to. */
  marked?: Item | undefined;
  /** What stands above the rows, and is scrolled sideways with them. */
  heading?: ComponentChildren;
  /** What comes after the last row. */
  children?: ComponentChildren;
}

const rowHeight = 20;
const padding = 4;

/** A list of any number of lines, of which those are in the page that are seen. */
export function LineList({ items, look, label, busy, open, follow = false, onBottom, hit, marked, heading, children }: LineListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const rows = useRef<HTMLDivElement>(null);
  const head = useRef<HTMLDivElement>(null);
  const view = useMemo(() => new Viewport(), []);
  const measured = useRef(new WeakMap<Item, number>());
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  // By the content of lines: the same line stays open when it is loaded again.
  const [expanded, setExpanded] = useState<ReadonlySet<string>>(new Set());
  const [current, setCurrent] = useState<Item>();
  const [box, setBox] = useState({ width: 0, height: 0 });
  const anchor = useRef<{ item: Item; offset: number }>();
  const focusNext = useRef(false);

  // What has been measured holds for this layout alone.
  const besides = look.tags.reduce((sum, { width }) => sum + width + 2, look.digits === 9 ? 36 : 30);
  const layout = `${box.width} ${look.wrap} ${besides}`;
  const measuredFor = useRef(layout);
  if (measuredFor.current !== layout) {
    measured.current = new WeakMap();
    measuredFor.current = layout;
  }
  const perRow = look.wrap ? Math.max(20, Math.floor(box.width / 7.3 - besides)) : Infinity;
  const heights = useMemo(
    () =>
      new Heights(items.length, (i) => {
        const item = items[i];
        if (!item) return rowHeight;
        const guess = isNotice(item) ? 1 : Math.ceil(Math.min(item.text.length, longestDrawn) / perRow) || 1;
        return measured.current.get(item) ?? guess * rowHeight + padding;
      }),
    [items, layout],
  );
  view.size = box.height;

  const scrollTo = (top: number): void => {
    if (scroller.current && Math.abs(scroller.current.scrollTop - top) >= 0.5) scroller.current.scrollTop = top;
  };
  const remember = (): void => {
    const index = view.heights.at(view.top);
    const item = items[index];
    anchor.current = item && view.top > 0 ? { item, offset: view.top - view.heights.top(index) } : undefined;
  };

  if (view.heights !== heights) {
    view.heights = heights;
    const held = anchor.current;
    const index = held && !follow ? find(items, held.item) : -1;
    // What is read stays in its place while the list grows, is cut or is loaded again.
    if (follow) view.goTo(heights.total);
    else view.goTo(held && index >= 0 ? heights.top(index) + held.offset : 0);
  }
  const slice = view.slice();

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setBox({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    setBox({ width: element.clientWidth, height: element.clientHeight });
    return () => observer.disconnect();
  }, []);

  // Guesses become measures before anything is painted; what is seen stays where it is.
  const measure = (): boolean => {
    const seen = view.heights.at(view.top);
    const offset = view.top - view.heights.top(seen);
    let changed = false;
    for (const element of rows.current?.children ?? []) {
      const index = placeOf(items, Number((element as HTMLElement).dataset['key']));
      const item = items[index];
      const height = element.getBoundingClientRect().height;
      if (!item || height === 0 || measured.current.get(item) === height) continue;
      measured.current.set(item, height);
      view.heights.set(index, height);
      changed = true;
    }
    if (changed) scrollTo(view.goTo(follow ? view.heights.total : view.heights.top(seen) + offset));
    return changed;
  };
  const hadFocus = rows.current?.contains(document.activeElement) ?? false;
  useLayoutEffect(() => {
    if (box.height === 0) return;
    // The row with the focus was scrolled away: keys go on from here, and not from the top of the page.
    if (hadFocus && document.activeElement === document.body) scroller.current?.focus({ preventScroll: true });
    if (measure()) redraw(undefined);
    else scrollTo(view.goTo(view.top));
    remember();
    if (focusNext.current) {
      focusNext.current = false;
      rows.current?.querySelector<HTMLElement>(`[data-key="${current?.key}"]`)?.focus({ preventScroll: true });
    }
  });
  // Rows grow by themselves as well: by what they load, or by "show all".
  useEffect(() => {
    const observer = new ResizeObserver(() => measure() && redraw(undefined));
    for (const element of rows.current?.children ?? []) observer.observe(element);
    return () => observer.disconnect();
  });

  /** Shows a row with some of those above it. */
  const reveal = (item: Item): void => {
    const index = find(items, item);
    if (index < 0) return;
    scrollTo(view.goTo(heights.top(index) - box.height / 3));
    setCurrent(items[index]);
    redraw(undefined);
  };
  const drawable = box.height > 0;
  const linked = marked && identity(marked);
  useLayoutEffect(() => {
    if (!marked || !drawable) return;
    setExpanded((old) => new Set(old).add(identity(marked)));
    reveal(marked);
  }, [linked, drawable]);
  useLayoutEffect(() => {
    const index = hit ? find(items, hit) : -1;
    if (!hit || index < 0) return;
    const [top, end] = [heights.top(index), heights.top(index) + heights.height(index)];
    if (top < view.top || end > view.top + box.height) reveal(hit);
    else setCurrent(hit);
  }, [hit]);

  const wasAtBottom = useRef(true);
  const onScroll = (): void => {
    const element = scroller.current;
    if (!element) return;
    if (head.current) head.current.scrollLeft = element.scrollLeft;
    const before = view.top;
    scrollTo(view.scrolled(element.scrollTop));
    remember();
    if (wasAtBottom.current !== view.atBottom && (view.atBottom || view.top < before)) {
      wasAtBottom.current = view.atBottom;
      onBottom?.(view.atBottom);
    }
    const now = view.slice();
    if (now.first !== slice.first || now.last !== slice.last || now.offset !== slice.offset) redraw(undefined);
  };

  const toggle = useCallback((item: Item): void => {
    setCurrent(item);
    setExpanded((old) => {
      const next = new Set(old);
      const id = identity(item);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  }, []);
  const move = (to: number): void => {
    const index = Math.max(0, Math.min(items.length - 1, to));
    const item = items[index];
    if (!item) return;
    const top = view.toShow(index);
    if (top !== undefined) scrollTo(top);
    focusNext.current = true;
    setCurrent(item);
    redraw(undefined);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const target = event.target as HTMLElement;
    // Within details, keys are for what is there.
    if ((target !== scroller.current && !target.matches('article, [data-key]')) || event.ctrlKey || event.metaKey || event.altKey) return;
    const focused = target.dataset['key'];
    const place = focused !== undefined ? placeOf(items, Number(focused)) : current ? find(items, current) : -1;
    const at = place < 0 ? view.heights.at(view.top) : place;
    const screen = Math.max(1, Math.floor(box.height / rowHeight) - 1);
    const moves: Record<string, number> = {
      ArrowDown: at + 1,
      j: at + 1,
      ArrowUp: at - 1,
      k: at - 1,
      PageDown: at + screen,
      PageUp: at - screen,
      Home: 0,
      End: items.length - 1,
    };
    const to = moves[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (to !== undefined) move(place < 0 && event.key !== 'End' ? at : to);
    else if (event.key === 'Enter' || event.key === ' ') {
      const item = items[at];
      if (item && place >= 0 && !isNotice(item)) toggle(item);
    } else return;
    event.preventDefault();
  };

  /** Of several rows the lines themselves are copied, without times and buttons. */
  const onCopy = (event: ClipboardEvent): void => {
    const selection = getSelection();
    const selected = [...(rows.current?.children ?? [])].filter((row) => selection?.containsNode(row, true));
    if (selected.length < 2) return;
    const found = selected.map((row) => items[placeOf(items, Number((row as HTMLElement).dataset['key']))]);
    event.clipboardData?.setData('text/plain', found.flatMap((item) => (item && !isNotice(item) ? [item.text] : [])).join('\n'));
    event.preventDefault();
  };

  const drawn = items.slice(slice.first, slice.last);
  const tabbed = current && drawn.includes(current) ? current : items[view.heights.at(view.top)];
  return (
    <>
      {heading && (
        <div class="r-heading" ref={head}>
          {heading}
        </div>
      )}
      <div
        ref={scroller}
        class={look.wrap ? 'r-scroller r-wrap' : 'r-scroller'}
        onScroll={onScroll}
        onKeyDown={onKeyDown}
        onCopy={onCopy}
        tabIndex={-1}
        style={{ '--seen': `${box.width}px` }}
      >
        <div class="r-space" style={{ height: `${view.extent}px` }}>
          <div
            ref={rows}
            class="r-rows"
            // A feed without articles is none.
            {...(drawn.length > 0 && { role: 'feed', 'aria-label': label })}
            aria-busy={busy}
            style={{ transform: `translateY(${slice.offset}px)` }}
          >
            {drawn.map((item, i) =>
              isNotice(item) ? (
                <article class="r-row r-notice" key={item.key} data-key={item.key} tabIndex={item === tabbed ? 0 : -1}>
                  {item.notice}
                  {item.action && (
                    <button
                      type="button"
                      class="r-link"
                      aria-label={item.action.label}
                      disabled={item.action.disabled}
                      onClick={item.action.run}
                    >
                      {item.action.text}
                    </button>
                  )}
                </article>
              ) : (
                <Row
                  key={item.key}
                  line={item}
                  look={look}
                  index={slice.first + i}
                  total={open ? -1 : items.length}
                  current={item === tabbed}
                  open={expanded.size > 0 && expanded.has(identity(item))}
                  marked={item.key === hit?.key ? 'hit' : item.key === marked?.key ? 'linked' : undefined}
                  onToggle={toggle}
                />
              ),
            )}
          </div>
        </div>
        {children}
      </div>
    </>
  );
}
