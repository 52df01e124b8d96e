import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Client, Direction, Line, OnFilter, Span, Term, Zone } from '../model';
import { LineList } from './LineList';
import { marker } from './highlights';
import type { Item } from './items';
import { useStable } from './memo';
import { tagsOf, type Tag } from './tags';

export interface LinesProps {
  lines: Line[];
  /** How many there are, where that is known. */
  total?: number;
  wrap: boolean;
  zone: Zone;
  terms: Term[];
  direction: Direction;
  /** Loads more on reaching the end; missing where there are none. */
  loadOlder?: () => Promise<void>;
  loading: boolean;
  atEnd: boolean;
  onFilter: OnFilter;
  client: Client;
  tenants: readonly string[];
  span: Span;
  /** The address at which a colleague sees a line; without it none is offered. */
  linkTo?: (line: Line) => string;
}

/** The lines of a result, and more of them on reaching the end. */
export function Lines(props: LinesProps) {
  const { lines, total, wrap, zone, terms, direction, loading, atEnd, client } = props;
  const [digits, setDigits] = useState<3 | 9>(3);
  const mark = useMarker(terms);
  const onFilter = useStable(props.onFilter);
  const link = useStable((line: Line) => props.linkTo?.(line) ?? '');
  const linkTo = props.linkTo && link;
  const tags = useTags(lines, props.tenants);
  const look = useMemo(
    () => ({ wrap, zone, digits, mark, client, onFilter, linkTo, tags }),
    [wrap, zone, digits, mark, client, onFilter, linkTo, tags],
  );
  const order = direction === 'backward' ? 'newest first' : 'oldest first';
  return (
    <section class="r-lines" aria-label="Lines">
      <div class="r-bar">
        {total !== undefined && (
          <span class="r-muted">
            {lines.length.toLocaleString('en')} of {total.toLocaleString('en')}
          </span>
        )}
        <label>
          <input type="checkbox" checked={digits === 9} onChange={(e) => setDigits(e.currentTarget.checked ? 9 : 3)} />
          Nanoseconds
        </label>
        <span class="r-muted r-keys">
          <kbd>J</kbd> <kbd>K</kbd> move, <kbd>Enter</kbd> opens
        </span>
      </div>
      <LineList items={lines} look={look} label={`Log lines, ${order}`} busy={loading} open={!atEnd}>
        <Ending {...props} />
      </LineList>
    </section>
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
