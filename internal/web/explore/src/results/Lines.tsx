import { useEffect, useMemo, useRef } from 'preact/hooks';

import type { Client, Direction, Line, OnFilter, Term, View } from '../model';
import { arranged } from './arrange';
import { FindBar, useFind } from './Find';
import { LineList } from './LineList';
import { marker } from './highlights';
import type { Item } from './items';
import { nameOf } from './mark';
import { useStable } from './memo';
import type { Look } from './Row';
import { columnsOf, tagsOf, varyingIn, type Tag } from './tags';

export interface LinesProps {
  lines: Line[];
  view: Pick<View, 'wrap' | 'zone' | 'nanoseconds' | 'fold' | 'join' | 'columns'>;
  terms: Term[];
  direction: Direction;
  /** Loads more on reaching the end; missing where there are none. */
  loadOlder?: () => Promise<void>;
  loading: boolean;
  atEnd: boolean;
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
  const { lines, view, terms, direction, loading, atEnd, client, tenants } = props;
  const { wrap, zone, fold, join } = view;
  const digits = view.nanoseconds ? 9 : 3;
  const onFilter = useStable(props.onFilter);
  const link = useStable((line: Line) => props.linkTo?.(line) ?? '');
  const linkTo = props.linkTo && link;
  const rows = useMemo(() => arranged(lines, { join, fold, direction }), [lines, join, fold, direction]);
  const found = useFind(rows);
  const mark = useMarker(found.term ? [...terms, found.term] : terms);
  const marked = useMemo(() => props.linked && rows.find((row) => nameOf(row) === props.linked), [rows, props.linked]) || undefined;
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
        busy={loading}
        open={!atEnd}
        hit={found.hit}
        marked={marked}
        heading={columns.length > 0 && <Heading columns={columns} digits={digits} />}
      >
        <Ending {...props} />
      </LineList>
      {found.open && <FindBar found={found} more={!atEnd} />}
    </section>
  );
}

/** The names of the columns, where rows have their values. */
function Heading({ columns, digits }: { columns: readonly Tag[]; digits: 3 | 9 }) {
  return (
    <div class="r-line">
      <span class="r-toggle" />
      <span class="r-head">
        <span class="r-time" style={{ width: `${15 + digits}ch` }}>
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

function Ending({ lines, loadOlder, loading, atEnd, direction }: LinesProps) {
  const end = useRef<HTMLDivElement>(null);
  const more = direction === 'backward' ? 'older' : 'newer';
  const load = atEnd || loading ? undefined : loadOlder;
  useEffect(() => {
    const element = end.current;
    if (!element || !load) return;
    // Somewhat before the end is seen, so that mostly nobody waits.
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && void load(), {
      root: element.closest('.r-scroller'),
      rootMargin: '400px',
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [load, lines.length]);
  return (
    <div ref={end} class="r-ending">
      {loading ? (
        'Loading…'
      ) : load ? (
        <button type="button" class="r-link" onClick={() => void load()}>
          Load {more} lines
        </button>
      ) : (
        lines.length > 0 && 'End of the results in this time range.'
      )}
    </div>
  );
}
