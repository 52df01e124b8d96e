import { LogfenceError } from '@logfence/client';
import type { ComponentChildren } from 'preact';
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
  /** What is shown of a tail that has failed. */
  failed: (failure: Failure, again: () => void) => ComponentChildren;
}

// One of each: setting it once more is no change.
const waiting: Link = { state: 'waiting' };
const live: Link = { state: 'live' };

/** How many lines are shown of what was before. */
const earlier = 100;

/** Of what is interrupted: since when, in milliseconds, and whether it is logfence that receives nothing. */
type Link =
  | { state: 'waiting' | 'live' }
  | { state: 'interrupted'; detail: string; since: number; byLoki: boolean }
  | { state: 'failed'; failure: Failure };

/** Lines as they arrive, the newest at the bottom, until the reader looks up or pauses. */
export function LiveTail(props: LiveTailProps) {
  const { query, client, zone, wrap, terms, limit, onStop } = props;
  const [paused, setPaused] = useState(false);
  const [away, setAway] = useState(false);
  const [again, retry] = useReducer((n: number) => n + 1, 0);
  const held = paused || away;
  const { tail, link, polled, clear } = useTail(query, client, limit, held, again);
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
        {link.state === 'interrupted' && <Elapsed since={link.since} />}
        {polled && (
          <span class="r-muted" title="Loki takes no more live tails at present">
            updated every few seconds
          </span>
        )}
        {link.state !== 'failed' && (
          <button type="button" aria-pressed={paused} onClick={() => (paused ? resume() : setPaused(true))}>
            {paused ? 'Resume' : 'Pause'}
          </button>
        )}
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
      {link.state === 'failed' && props.failed(link.failure, () => retry(undefined))}
      <LineList
        items={tail.items}
        look={look}
        label="Log lines as they arrive, newest last"
        busy={false}
        open
        follow={!held}
        onBottom={onBottom}
      >
        {tail.items.length === 0 && link.state !== 'failed' && <p class="r-note">Lines appear here as they arrive.</p>}
      </LineList>
      {held && tail.waiting > 0 && (
        <button type="button" class="r-newest" onClick={resume}>
          ↓ {tail.waiting.toLocaleString('en')} {tail.waiting === 1 ? 'new line' : 'new lines'}
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
      return link.byLoki ? `Interrupted: ${link.detail}` : `Reconnecting: ${link.detail}`;
    case 'failed':
      return 'Ended';
    case 'live':
      if (paused) return 'Paused';
      return away ? 'Paused while you scroll' : 'Live';
  }
}

/** The seconds since a time. They are no part of the status, which a screen reader would read each second. */
function Elapsed({ since }: { since: number }) {
  const [, tick] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const timer = setInterval(tick, 1000);
    return () => clearInterval(timer);
  }, []);
  return <span class="r-warning r-elapsed">for {Math.max(0, Math.round((Date.now() - since) / 1000))} s</span>;
}

/** A tail, whose lines are shown once a frame however many arrive. */
function useTail(
  query: string,
  client: Client,
  limit: number,
  held: boolean,
  again: number,
): { tail: Tailing; link: Link; polled: boolean; clear: () => void } {
  const tail = useMemo(() => new Tailing(new Keys(), limit), [query, client, limit, again]);
  const [link, setLink] = useState<Link>(waiting);
  const [polled, setPolled] = useState(false);
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
    setPolled(false);
    void follow(tail, query, client, setLink, setPolled, soon, aborter.signal);
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
  return { tail, link, polled, clear };
}

async function follow(
  tail: Tailing,
  query: string,
  client: Client,
  setLink: (link: Link) => void,
  setPolled: (polled: boolean) => void,
  soon: () => void,
  signal: AbortSignal,
): Promise<void> {
  const keys = tail.keys;
  /** Since when nothing comes, and whether that is Loki's. */
  let since: number | undefined;
  let byLoki = false;
  try {
    for await (const event of client.tailLogs({ query, limit: earlier }, { signal })) {
      switch (event.type) {
        case 'entries':
          // Lines that were missed come before Loki is told to be back.
          if (!byLoki) {
            since = undefined;
            setLink(live);
          }
          tail.take(linesOf(event.streams, 'forward', keys));
          break;
        case 'dropped':
          tail.missing(event.count, event.slow_reader > 0 ? 'they arrived faster than this page could read' : 'the server dropped them');
          break;
        case 'interrupted':
          if (since === undefined || byLoki !== (event.since !== undefined)) tail.remark(`interrupted: ${event.detail}`);
          byLoki = event.since !== undefined;
          since ??= event.since === undefined ? Date.now() : Date.parse(event.since);
          setLink({ state: 'interrupted', detail: event.detail, since, byLoki });
          break;
        case 'reconnected': // a quiet query may have no line for long
          since = undefined;
          setLink(live);
          break;
        case 'resumed':
          since = undefined;
          byLoki = false;
          setLink(live);
          tail.remark(`resumed: ${event.lines === 1 ? '1 line was' : `${event.lines.toLocaleString('en')} lines were`} sent later`);
          break;
        case 'mode':
          setPolled(event.mode === 'poll');
      }
      soon();
    }
  } catch (thrown) {
    if (!(thrown instanceof LogfenceError)) throw thrown;
    setLink({ state: 'failed', failure: thrown.failure });
  }
}
