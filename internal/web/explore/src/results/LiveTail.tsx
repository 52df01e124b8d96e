import { LogfenceError } from '@logfence/client';
import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks';

import type { Client, Failure, OnFilter, Term, Zone } from '../model';
import { LineList } from './LineList';
import { useMarker, useTags } from './Lines';
import { useStable } from './memo';
import { perLine } from './tags';
import { Keys, linesOf } from './store';
import { Tailing } from './tailing';

export interface LiveTailProps {
  query: string;
  client: Client;
  zone: Zone;
  wrap: boolean;
  terms: Term[];
  tenants: readonly string[];
  /** How many lines are kept. */
  limit: number;
  /** Grows when the user signs in again, which starts a tail that has ended once more. */
  signIns: number;
  onFilter: OnFilter;
  onStop: () => void;
}

// One of each: setting it once more is no change.
const waiting: Link = { state: 'waiting' };
const live: Link = { state: 'live' };

/** How many lines are shown of what was before. */
const earlier = 100;

type Link = { state: 'waiting' | 'live' } | { state: 'interrupted'; detail: string } | { state: 'failed'; failure: Failure };

/** Lines as they arrive, the newest at the bottom, until the reader looks up or pauses. */
export function LiveTail(props: LiveTailProps) {
  const { query, client, zone, wrap, terms, limit, onStop } = props;
  const [paused, setPaused] = useState(false);
  const [away, setAway] = useState(false);
  const [again, retry] = useReducer((n: number) => n + 1, 0);
  const held = paused || away;
  const { tail, link, clear } = useTail(query, client, limit, held, again);
  useEffect(() => {
    if (link.state === 'failed') retry(undefined);
  }, [props.signIns]);
  const mark = useMarker(terms);
  const onFilter = useStable(props.onFilter);
  const tags = useTags(tail.items, props.tenants);
  const look = useMemo(
    () => ({ wrap, zone, digits: 3 as const, mark, client, onFilter, linkTo: undefined, tags, varying: perLine }),
    [wrap, zone, mark, client, onFilter, tags],
  );
  const onBottom = useCallback((at: boolean) => setAway(!at), []);
  const resume = (): void => {
    setPaused(false);
    setAway(false);
  };
  return (
    <section class="r-lines r-tail" aria-label="Live tail">
      <div class="r-bar">
        <span role="status" class={`r-link-state r-${link.state}`}>
          {stateOf(link, paused, away)}
        </span>
        <button type="button" aria-pressed={paused} onClick={() => (paused ? resume() : setPaused(true))}>
          {paused ? 'Resume' : 'Pause'}
        </button>
        <button type="button" onClick={clear}>
          Clear
        </button>
        <button type="button" onClick={onStop}>
          Stop
        </button>
        <span class="r-muted r-counts">
          {tail.arrived.toLocaleString('en')} arrived
          {tail.dropped > 0 && <strong class="r-warning"> · {tail.dropped.toLocaleString('en')} left out by the server</strong>}
        </span>
      </div>
      {link.state === 'failed' && (
        <p role="alert" class="r-problem">
          {link.failure.title}: {link.failure.detail}{' '}
          <button type="button" class="r-link" onClick={() => retry(undefined)}>
            Start again
          </button>
        </p>
      )}
      <LineList
        items={tail.items}
        look={look}
        label="Log lines as they arrive, newest last"
        busy={false}
        open
        follow={!held}
        onBottom={onBottom}
      >
        {tail.items.length === 0 && <p class="r-note">Lines appear here as they arrive.</p>}
      </LineList>
      {held && tail.waiting > 0 && (
        <button type="button" class="r-newest" onClick={resume}>
          ↓ {tail.waiting.toLocaleString('en')} {tail.waiting === 1 ? 'line waits' : 'lines wait'}: go to the newest
        </button>
      )}
    </section>
  );
}

function stateOf(link: Link, paused: boolean, away: boolean): string {
  switch (link.state) {
    case 'waiting':
      return 'Waiting for lines…';
    case 'interrupted':
      return `Reconnecting: ${link.detail}`;
    case 'failed':
      return 'Ended';
    case 'live':
      if (paused) return 'Paused';
      return away ? 'Paused while you scroll' : 'Live';
  }
}

/** A tail, whose lines are shown once a frame however many arrive. */
function useTail(
  query: string,
  client: Client,
  limit: number,
  held: boolean,
  again: number,
): { tail: Tailing; link: Link; clear: () => void } {
  const tail = useMemo(() => new Tailing(new Keys(), limit), [query, client, limit, again]);
  const [link, setLink] = useState<Link>(waiting);
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const holding = useRef(held);
  const frame = useRef(0);
  holding.current = held;

  const draw = (): void => {
    frame.current = 0;
    if (!holding.current) tail.flow();
    redraw(undefined);
  };
  const soon = (): void => {
    frame.current ||= requestAnimationFrame(draw);
  };
  useEffect(() => {
    if (!held) soon();
  }, [held]);
  useEffect(() => {
    const aborter = new AbortController();
    setLink(waiting);
    void follow(tail, query, client, setLink, soon, aborter.signal);
    return () => {
      aborter.abort();
      cancelAnimationFrame(frame.current);
      frame.current = 0;
    };
  }, [tail]);
  const clear = (): void => {
    tail.clear();
    redraw(undefined);
  };
  return { tail, link, clear };
}

async function follow(
  tail: Tailing,
  query: string,
  client: Client,
  setLink: (link: Link) => void,
  soon: () => void,
  signal: AbortSignal,
): Promise<void> {
  const keys = tail.keys;
  try {
    for await (const event of client.tailLogs({ query, limit: earlier }, { signal })) {
      switch (event.type) {
        case 'entries':
          setLink(live);
          tail.take(linesOf(event.streams, 'forward', keys));
          break;
        case 'dropped':
          tail.missing(event.count, event.slow_reader > 0 ? 'they arrived faster than this page could read' : 'the server dropped them');
          break;
        case 'interrupted':
          setLink({ state: 'interrupted', detail: event.detail });
          tail.remark(`interrupted: ${event.detail}`);
      }
      soon();
    }
  } catch (thrown) {
    if (!(thrown instanceof LogfenceError)) throw thrown;
    setLink({ state: 'failed', failure: thrown.failure });
  }
}
