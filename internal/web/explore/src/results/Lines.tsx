import type { RefObject } from 'preact';
import { useEffect, useMemo, useRef } from 'preact/hooks';

import type { Client, Direction, Gap, Line, OnFilter, Term, View } from '../model';
import { FindBar, useFind } from './Find';
import { gapText, withGaps } from './gaps';
import { LineList } from './LineList';
import { marker } from './highlights';
import { isNotice, type Item, type Notice } from './items';
import { nameOf } from './mark';
import { useStable } from './memo';
import type { Look } from './Row';
import { columnsOf, tagsOf, varyingIn, type Tag } from './tags';

export interface LinesProps {
  lines: Line[];
  gaps: readonly Gap[];
  view: Pick<View, 'wrap' | 'zone' | 'nanoseconds' | 'fold' | 'join' | 'columns'>;
  terms: Term[];
  direction: Direction;
  /** How the reading of the lines has ended; undefined where they are those of an earlier search. */
  end: 'reading' | 'complete' | 'limit' | 'full' | 'stopped' | 'failed' | undefined;
  /** What is being read: the page behind the lines, or a gap, by its key; and how far that is. */
  reading: 'page' | number | undefined;
  progress: string;
  /** Reads the page behind the lines: by itself on reaching the end, where a page is full. */
  onMore: () => Promise<void>;
  onGap: (gap: Gap) => Promise<void>;
  onCancel: () => void;
  onFilter: OnFilter;
  client: Client;
  tenants: readonly string[];
  /** The address at which a colleague sees a line; without it none is offered. */
  linkTo?: (line: Line) => string;
  /** The line that a link is about: it is opened, marked and scrolled to. */
  linked?: string | undefined;
}

/** The lines of a result, and more of them on reaching the end. */
export function Lines(props: LinesProps) {
  const { lines, gaps, view, terms, direction, end, reading, client, tenants } = props;
  const { wrap, zone, fold, join } = view;
  const digits = view.nanoseconds ? 9 : 3;
  const onFilter = useStable(props.onFilter);
  const link = useStable((line: Line) => props.linkTo?.(line) ?? '');
  const linkTo = props.linkTo && link;
  const onGap = useStable((gap: Gap) => void props.onGap(gap));
  const idle = end !== undefined && end !== 'reading' && reading === undefined;
  const rows = useMemo(() => {
    const noticeOf = (gap: Gap): Notice => {
      const text = reading === gap.key ? 'Loading…' : gap.cursor ? 'Load more' : 'Load again';
      const notice = gapText(gap, zone);
      const action = { text, label: `${text}: ${notice}`, disabled: !idle, run: () => onGap(gap) };
      return { key: gap.key, notice, ...(end && { action }) };
    };
    return withGaps(lines, gaps, { join, fold, direction }, noticeOf);
  }, [lines, gaps, join, fold, direction, zone, idle, end === undefined, reading]);
  const found = useFind(rows);
  const mark = useMarker(found.term ? [...terms, found.term] : terms);
  const marked =
    useMemo(() => props.linked && rows.find((row) => !isNotice(row) && nameOf(row) === props.linked), [rows, props.linked]) || undefined;
  const differing = useTags(rows, tenants);
  const columns = useColumns(rows, view.columns);
  const varying = useMemo(() => varyingIn(rows), [rows]);
  const tags = columns.length > 0 ? columns : differing;
  const look = useMemo(
    () => ({ wrap, zone, digits, mark, client, onFilter, linkTo, tags, varying }) satisfies Look,
    [wrap, zone, digits, mark, client, onFilter, linkTo, tags, varying],
  );
  const order = direction === 'backward' ? 'newest first' : 'oldest first';
  return (
    <section class="r-lines" aria-label="Lines">
      <LineList
        items={rows}
        look={look}
        label={`Log lines, ${order}`}
        busy={end === 'reading' || reading !== undefined}
        open={end !== 'complete'}
        hit={found.hit}
        marked={marked}
        heading={columns.length > 0 && <Heading columns={columns} digits={digits} />}
      >
        <Ending {...props} />
      </LineList>
      {found.open && <FindBar found={found} more={end !== 'complete'} />}
    </section>
  );
}

/** The names of the columns, where rows have their values. */
function Heading({ columns, digits }: { columns: readonly Tag[]; digits: 3 | 9 }) {
  return (
    <div class="r-line">
      <span class="r-toggle" />
      <span class="r-head">
        <span class="r-time" style={{ '--digits': digits }}>
          Time
        </span>
        <span class="r-level">Level</span>
        {columns.map(({ name, width }) => (
          <span key={name} class="r-tag" title={name} style={{ width: `${width + 1}ch` }}>
            <bdi>{name}</bdi>
          </span>
        ))}
      </span>
      <span class="r-body">Line</span>
    </div>
  );
}

/** What terms mark; another function only when they are other terms. */
export function useMarker(terms: Term[]): ReturnType<typeof marker> {
  return useMemo(() => marker(terms), [JSON.stringify(terms)]);
}

/** The labels that tell rows apart; another list only when they are other ones. */
export function useTags(items: readonly Item[], tenants: readonly string[]): readonly Tag[] {
  const tags = useMemo(() => tagsOf(items, tenants), [items, tenants]);
  return useMemo(() => tags, [JSON.stringify(tags)]);
}

/** Columns of these names; another list only when they are other ones. */
function useColumns(items: readonly Item[], names: readonly string[]): readonly Tag[] {
  const columns = useMemo(() => columnsOf(items, names), [items, names]);
  return useMemo(() => columns, [JSON.stringify(columns)]);
}

/** What is behind the last line: only a range that was read to its end is called complete. */
function Ending({ lines, gaps, end, reading, progress, direction, onMore, onCancel }: LinesProps) {
  const more = direction === 'backward' ? 'older' : 'newer';
  const [full, idle] = [end === 'limit', reading === undefined];
  const element = useOnSeen(full && idle ? onMore : undefined, lines.length);
  const go = (text: string) => (
    <button type="button" class="r-link" disabled={!idle} onClick={() => void onMore()}>
      {text}
    </button>
  );
  return (
    <div ref={element} class="r-ending">
      {reading === 'page' ? (
        <>
          Loading… {progress}{' '}
          <button type="button" class="r-link" onClick={onCancel}>
            Cancel
          </button>
        </>
      ) : full ? (
        go(`Load ${more} lines`)
      ) : end === 'reading' ? (
        'Searching…'
      ) : end === 'stopped' ? (
        <>
          The search was stopped here: there may be {more} lines. {go('Continue')}
        </>
      ) : end === 'failed' ? (
        `The search failed here: there may be ${more} lines.`
      ) : end === 'full' ? (
        `This page cannot hold more lines. For ${more} ones, choose another time range or export them.`
      ) : end === 'complete' && gaps.length > 0 ? (
        'End of this time range. Lines are missing where a gap is shown.'
      ) : (
        end === 'complete' && lines.length > 0 && 'End of the results in this time range.'
      )}
    </div>
  );
}

/** Calls back when an element is nearly seen, so that mostly nobody waits. */
function useOnSeen(on: (() => Promise<void>) | undefined, lines: number): RefObject<HTMLDivElement> {
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = end.current;
    if (!element || !on) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && void on(), {
      root: element.closest('.r-scroller'),
      rootMargin: '400px',
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [on, lines]);
  return end;
}
