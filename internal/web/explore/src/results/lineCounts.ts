import type { MatrixSeries, VectorSeries } from '@logfence/client';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Client, Failure, Span } from '../model';
import { streamSelector } from '../query/logql';
import { Counts, intervalsOf, partsOf, type Part } from './volume';

/**
 * From how many bytes on lines are not counted unasked. Counting reads all lines of the span where showing them
 * reads the newest few, but only counts are of the query itself: the index knows bytes of whole streams, without
 * filters and without levels.
 */
const expensive = 20 * 2 ** 30;
/** From how many bytes on counting takes long enough to be shown in parts. */
const slow = 512 * 2 ** 20;

export type State = { kind: 'counting' } | { kind: 'done' } | { kind: 'expensive'; bytes: number } | { kind: 'failed'; failure: Failure };

export interface Counting {
  counts: Counts;
  state: State;
  /** Counts in spite of what it costs, or once more. */
  count: () => void;
}

/** How many lines a query finds over time, by level: what is known so far. */
export function useCounts(query: string, client: Client, span: Span): Counting {
  const most = useMemo(() => Math.max(24, Math.min(120, Math.floor(innerWidth / 10))), []);
  const empty = (): Counts => new Counts(intervalsOf(span, most));
  const [{ counts, state }, set] = useState<Omit<Counting, 'count'>>(() => ({ counts: empty(), state: { kind: 'counting' } }));
  const [attempt, countAgain] = useState(0);
  const forced = useRef('');
  const id = JSON.stringify([query, span.start, span.end]);
  useEffect(() => {
    const aborter = new AbortController();
    void countInto(set, { query, client, span, counts: empty(), anyway: forced.current === id, signal: aborter.signal });
    return () => aborter.abort();
  }, [client, id, attempt]);
  const count = (): void => {
    forced.current = id;
    countAgain((n) => n + 1);
  };
  return { counts, state, count };
}

interface Task {
  query: string;
  client: Client;
  span: Span;
  counts: Counts;
  anyway: boolean;
  signal: AbortSignal;
}

async function countInto(set: (now: Omit<Counting, 'count'>) => void, task: Task): Promise<void> {
  const { query, client, span, signal } = task;
  const { counts } = task;
  set({ counts, state: { kind: 'counting' } });
  const bytes = await cost(task);
  if (signal.aborted) return;
  if (bytes > expensive && !task.anyway) return set({ counts, state: { kind: 'expensive', bytes } });
  const known: PartCounts[] = [];
  // One after the other: the queries of the list itself are to have their turn.
  for (const part of partsOf(query, span, counts.intervals, bytes > slow ? 6 : 1)) {
    const partCounts = await requestPart(client, part, signal);
    if (signal.aborted) return;
    if ('failure' in partCounts) return set({ counts: counted(known, counts), state: { kind: 'failed', failure: partCounts.failure } });
    known.push(partCounts);
    set({ counts: counted(known, counts), state: { kind: 'counting' } });
  }
  set({ counts: counted(known, counts), state: { kind: 'done' } });
}

/** How many bytes the streams hold, which the index knows; nothing where it does not say. */
async function cost({ client, query, span, signal }: Task): Promise<number> {
  const { data } = await client.getStats({ query: streamSelector(query), ...span }, { signal });
  return data?.bytes ?? 0;
}

type PartCounts = { part: Part; matrix?: MatrixSeries[]; vector?: VectorSeries[] };

async function requestPart(client: Client, part: Part, signal: AbortSignal): Promise<PartCounts | { failure: Failure }> {
  if (part.kind === 'range') {
    const { query, start, end, step } = part;
    const { data, error } = await client.queryLogs({ query, start, end, step }, { signal });
    if (error) return { failure: error };
    return data.data.resultType === 'matrix' ? { part, matrix: data.data.result } : { part };
  }
  const { data, error } = await client.queryInstant({ query: part.query, time: part.time }, { signal });
  if (error) return { failure: error };
  return data.data.resultType === 'vector' ? { part, vector: data.data.result } : { part };
}

/** Anew each time: what is drawn compares by identity. */
function counted(known: PartCounts[], { intervals }: Counts): Counts {
  const counts = new Counts(intervals);
  for (const { part, matrix, vector } of known) {
    if (matrix) counts.addMatrix(matrix);
    if (vector && part.kind === 'instant') counts.addVector(vector, part.at);
  }
  return counts;
}
