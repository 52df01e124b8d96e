import { useRef } from 'preact/hooks';

import type { Client, Line, OnFilter, Zone } from '../model';
import { Actions } from './Actions';
import { momentsOf } from './arrange';
import { Details } from './Details';
import { levelOf, wordOf } from './level';
import { LinkList } from './LinkList';
import type { Range } from './highlights';
import { memo } from './memo';
import { tagValue, type Tag } from './tags';
import { longestDrawn, Text } from './Text';
import { fullStamp, stamp } from './time';

/** How much of an opened line's text is drawn: its details follow. */
const longestOpened = 2000;

/** What all rows of a list have in common. */
export interface Look {
  wrap: boolean;
  zone: Zone;
  digits: 3 | 9;
  mark: (text: string) => Range[];
  client: Client;
  onFilter: OnFilter;
  linkTo: ((line: Line) => string) | undefined;
  /** Labels that tell the rows apart. */
  tags: readonly Tag[];
  /** Labels whose values are many: what is around a line is looked for without them. */
  varying: ReadonlySet<string>;
}

export interface RowProps {
  line: Line;
  look: Look;
  index: number;
  /** How many rows there are; -1 where more may come. */
  total: number;
  /** Whether Tab leads here: one row of the list is. */
  current: boolean;
  open: boolean;
  onToggle: (line: Line) => void;
  /** What it is marked for: a search in the lines has found it, or a link is about it. */
  marked: 'hit' | 'linked' | undefined;
}

export const Row = memo(function Row({ line, look, index, total, current, open, onToggle, marked }: RowProps) {
  const { wrap, zone, digits, mark, onFilter, tags } = look;
  const level = levelOf(line);
  const id = `r-${line.key}`;
  const [date, clock] = stamp(line.ns, zone, digits).split(' ');
  // A double click selects a word, and a click in the text waits to see whether it becomes one.
  const waiting = useRef<ReturnType<typeof setTimeout>>();
  const click = (event: MouseEvent): void => {
    clearTimeout(waiting.current);
    if (event.detail > 1 || !meansRow(event)) return;
    const inText = event.target instanceof Element && event.target.closest('.r-text');
    if (!inText) return onToggle(line);
    waiting.current = setTimeout(() => (getSelection()?.isCollapsed ?? true) && onToggle(line), 250);
  };
  return (
    <article
      class={`r-row r-${level}${open ? ' r-open' : ''}${marked ? ` r-${marked}` : ''}`}
      aria-current={marked ? true : undefined}
      data-key={line.key}
      tabIndex={current ? 0 : -1}
      aria-posinset={index + 1}
      aria-setsize={total}
      aria-labelledby={`${id}-head ${id}-text`}
    >
      <div class="r-line" onClick={click}>
        <button type="button" class="r-toggle" tabIndex={-1} aria-expanded={open} aria-label="Details" onClick={() => onToggle(line)} />
        <span class="r-head" id={`${id}-head`}>
          <time title={fullStamp(line.ns, zone)}>
            <span class="r-date">{date} </span>
            {clock}
          </time>
          <span class="r-level">{wordOf(level)}</span>
          {tags.map((tag) => (
            <span key={tag.name} class="r-tag" title={`${tag.name}=${tagValue(line, tag)}`} style={{ width: `${tag.width + 1}ch` }}>
              <bdi>{tagValue(line, tag)}</bdi>
            </span>
          ))}
        </span>
        <div class="r-body">
          {open && <Actions line={line} look={look} />}
          {open && <LinkList line={line} />}
          <span id={`${id}-text`}>
            <Counts line={line} zone={zone} />
            <Text text={line.text} mark={mark} wrap={wrap || open} longest={open ? longestOpened : longestDrawn} />
          </span>
        </div>
      </div>
      {open && <Details line={line} zone={zone} onFilter={onFilter} />}
    </article>
  );
});

/** How many lines the row stands for. */
function Counts({ line, zone }: { line: Line; zone: Zone }) {
  const { joined, equal } = line;
  if (!joined && !equal) return null;
  const [first, last] = momentsOf(line).map((ns) => stamp(ns, zone, 3));
  return (
    <>
      {equal && (
        <span class="r-count" title={`${equal.count} equal lines, from ${first} to ${last}`}>
          ×{equal.count.toLocaleString('en')}
        </span>
      )}
      {joined && (
        <span class="r-count" title={`${joined} lines of one stack trace are joined`}>
          {joined} lines
        </span>
      )}
    </>
  );
}

/** A click means the row unless it meant a button in it, or ended a selection. */
function meansRow(event: MouseEvent): boolean {
  if (event.target instanceof Element && event.target.closest('button, a, dialog, .r-actions')) return false;
  return getSelection()?.isCollapsed ?? true;
}
