import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LogfenceError, type ListedLine, type StreamEvent } from '@logfence/client';

import type { Client, Direction, Line } from '../../src/model';
import { gapLines, nextLines, runQuery, type LinesResult, type SearchRequest } from '../../src/app/runQuery';
import { summaryOf } from '../../src/app/summary';
import { Keys, LabelSets, lineOf } from '../../src/results/store';
import { rfc3339 } from '../../src/results/time';

const listed = (ns: number, line: string, app = 'a'): ListedLine => ({
  timestamp: rfc3339(String(ns)),
  line,
  labels: { app },
  metadata: {},
  id: `${ns} ${app} ${line}`,
});

interface Params {
  start?: string;
  end?: string;
  cursor?: string;
  limit: number;
  direction?: Direction;
}

/** A server with these lines, sorted as its streams are. A cursor is how many lines are before it; some moments cannot be read. */
function serverOf(all: ListedLine[], broken: (from: string, to: string) => boolean = () => false): Client {
  async function* streamLines({ cursor, limit, ...p }: Params): AsyncGenerator<StreamEvent> {
    await Promise.resolve();
    const [start, end, direction, from] = cursor
      ? (JSON.parse(cursor) as [string, string, Direction, number])
      : [p.start, p.end, p.direction, 0];
    if (start === undefined || end === undefined) throw new Error('no range');
    const found = all.filter(({ timestamp }) => timestamp >= rfc3339(start) && timestamp < rfc3339(end));
    if (direction === 'backward') found.reverse();
    const at = (i: number): string => JSON.stringify([start, end, direction, i]);
    yield { type: 'progress', done: 0, lines: 0, bytes: 0, seconds: 0 };
    if (broken(start, end)) {
      yield {
        type: 'gap',
        id: at(found.length),
        from: rfc3339(start),
        to: rfc3339(end),
        code: 'loki_timeout',
        detail: 'Loki took too long.',
      };
      yield { type: 'end', complete: false, reason: 'gaps' };
      return;
    }
    for (let i = from; i < found.length && i < from + limit; i++) {
      const line = found[i];
      if (line) yield { type: 'lines', id: at(i + 1), lines: [line] };
    }
    if (from + limit <= found.length) yield { type: 'end', complete: false, reason: 'limit', next: at(from + limit) };
    else yield { type: 'end', complete: true, reason: 'complete' };
  }
  return { streamLines } as unknown as Client;
}

/** A server that sends these events, and then fails, where the last is a failure. */
function scripted(...scripts: (StreamEvent | LogfenceError)[][]): Client {
  async function* streamLines(_: unknown, { signal }: { signal: AbortSignal }): AsyncGenerator<StreamEvent> {
    await Promise.resolve();
    for (const event of scripts.shift() ?? assert.fail('one request too many')) {
      if (signal.aborted) return;
      if (event instanceof LogfenceError) throw event;
      yield event;
    }
  }
  return { streamLines } as unknown as Client;
}

const requestOf = (more: Partial<SearchRequest> = {}): SearchRequest => ({
  query: '{}',
  span: { start: '0', end: '1000' },
  limit: 100,
  direction: 'backward',
  instant: false,
  at: 0,
  ...more,
});

async function linesOf(client: Client, request: SearchRequest, signal = new AbortController().signal, seen: LinesResult[] = []) {
  const result = await runQuery(client, request, signal, (_, grown) => seen.push(grown()));
  return result.kind === 'lines' ? result : assert.fail(result.kind);
}

const told = (lines: (Line | ListedLine)[]): string[] =>
  lines.map((line) => ('ns' in line ? `${line.ns} ${line.text}` : line.id.replace(/ \w /, ' ')));

function increases({ lines, gaps }: LinesResult): void {
  const keys = lines.map(({ key }) => key);
  [...gaps].reverse().forEach(({ at, key }) => keys.splice(at, 0, key));
  assert.ok(
    keys.every((key, i) => i === 0 || key > (keys[i - 1] ?? 0)),
    `keys increase: ${keys}`,
  );
}

test('pages by cursor lose no line and double none, wherever they end', async () => {
  const all = Array.from({ length: 120 }, (_, i) => listed(100 + Math.floor((i * i) / 97), `line ${i}`));
  for (const direction of ['backward', 'forward'] as const) {
    for (let limit = 1; limit <= 30; limit++) {
      const client = serverOf(all);
      const { signal } = new AbortController();
      let result = await linesOf(client, requestOf({ limit, direction }));
      for (let pages = 0; pages < 200 && result.end === 'limit'; pages++) result = await nextLines(client, result, signal, () => undefined);
      assert.equal(result.end, 'complete');
      assert.equal(result.next, undefined);
      const want = told(all);
      assert.deepEqual(told(result.lines), direction === 'forward' ? want : want.reverse(), `${direction}, ${limit} at a time`);
      increases(result);
    }
  }
});

test('a gap is in its place, is never complete, and is filled without losing or doubling a line', async () => {
  const all = Array.from({ length: 40 }, (_, i) => listed(100 + Math.floor(i / 4), `line ${i}`));
  const gap = (from: number, to: number): StreamEvent => ({
    type: 'gap',
    id: 'c',
    from: rfc3339(String(from)),
    to: rfc3339(String(to)),
    code: 'loki_timeout',
    detail: 'Loki took too long.',
  });
  for (const direction of ['backward', 'forward'] as const) {
    const order = direction === 'forward' ? all : [...all].reverse();
    // The gap has a nanosecond of which two lines came before it.
    const first = scripted([
      { type: 'lines', id: 'a', lines: order.slice(0, 10) },
      gap(direction === 'forward' ? 102 : 105, direction === 'forward' ? 105 : 108),
      { type: 'lines', id: 'b', lines: order.slice(20) },
      { type: 'end', complete: false, reason: 'gaps' },
    ]);
    const before = await linesOf(first, requestOf({ direction }));
    assert.match(summaryOf(before), /^30 lines · lines are missing in 1 gap · /);
    const { signal } = new AbortController();
    // What cannot be read again stays a gap, and so does what a page has no room for.
    const worse = await gapLines(
      serverOf(all, () => true),
      before,
      before.gaps[0] ?? assert.fail(),
      signal,
    );
    assert.equal(worse.gaps.length, 1);
    let result: LinesResult = { ...worse, request: { ...worse.request, limit: 5 } };
    for (let reads = 0; reads < 9 && result.gaps[0]; reads++) {
      increases(result);
      result = await gapLines(serverOf(all), result, result.gaps[0], signal);
    }
    assert.deepEqual(told(result.lines), told(order), direction);
    assert.deepEqual(result.gaps, []);
    increases(result);
  }
});

test('what came before a failure or a stop stays, can be gone on from, and is not called complete', async () => {
  const failure = new LogfenceError({ code: 'broken_off', title: 'Broken off', detail: 'x', status: undefined, cause: undefined });
  const some: StreamEvent = { type: 'lines', id: 'here', lines: [listed(9, 'one'), listed(8, 'two')] };
  const failed = await linesOf(scripted([some, failure]), requestOf());
  assert.deepEqual([failed.end, failed.next, failed.failure?.code], ['failed', 'here', 'broken_off']);
  assert.match(summaryOf(failed), /^2 lines, incomplete: the search failed/);
  const aborter = new AbortController();
  const client = scripted([some, some]);
  const stopped = await runQuery(client, requestOf(), aborter.signal, () => aborter.abort());
  assert.ok(stopped.kind === 'lines' && stopped.end === 'stopped' && stopped.next === 'here');
  assert.match(summaryOf(stopped), /^2 lines, incomplete: the search was stopped/);
  const later = scripted([some, { type: 'end', complete: false, reason: 'of a later server' as 'limit' }]);
  assert.match(summaryOf(await linesOf(later, requestOf())), /incomplete/);
  const nothing = await runQuery(scripted([failure]), requestOf(), new AbortController().signal, () => undefined);
  assert.equal(nothing.kind, 'failed');
});

test('lines are shown as they come, the earlier ones the same objects', async () => {
  const seen: LinesResult[] = [];
  const all = Array.from({ length: 3 }, (_, i) => listed(i, `line ${i}`));
  const result = await linesOf(serverOf(all), requestOf(), undefined, seen);
  assert.deepEqual(
    seen.map(({ lines, end }) => [lines.length, end]),
    [
      [0, 'reading'],
      [1, 'reading'],
      [2, 'reading'],
      [3, 'reading'],
      [3, 'complete'],
    ],
  );
  assert.equal(seen[1]?.lines[0], result.lines[0]);
});

test('labels of one stream are one object, and nanoseconds keep their digits', () => {
  const sets = new LabelSets();
  const [a, b] = [listed(1, 'x'), { ...listed(2, 'y'), timestamp: '2026-11-23T13:22:55.000000001Z' }].map((one) => lineOf(one, sets));
  assert.equal(a?.stream, b?.stream);
  assert.equal(b?.ns, '1795440175000000001');
  assert.equal(new Keys(4).next(), 5);
});
