import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Client, Direction } from '../../src/model';
import { runQuery, loadNextPage, type LinesResult } from '../../src/app/runQuery';
import { linesOf } from '../../src/app/paging';

interface Stored {
  ns: number;
  app: string;
  text: string;
}

/** A Loki that returns the lines of the range, as far as the limit goes; ties in no order of ours. */
function answerOf(all: Stored[], start: bigint, end: bigint, limit: number, direction: Direction) {
  const sign = direction === 'backward' ? -1 : 1;
  const found = all
    .filter(({ ns }) => BigInt(ns) >= start && BigInt(ns) < end)
    .sort((a, b) => sign * (a.ns - b.ns) || (a.app < b.app ? 1 : -1))
    .slice(0, limit);
  const apps = [...new Set(found.map(({ app }) => app))];
  return apps.map((app) => ({
    stream: { app },
    values: found.filter((line) => line.app === app).map(({ ns, text }): [string, string] => [String(ns), text]),
  }));
}

/** All pages, one after the other, as the page requests them. */
async function readAll(all: Stored[], limit: number, most: number, direction: Direction): Promise<LinesResult> {
  const queryLogs = (p: { start: string; end: string; limit: number }) => {
    const result = answerOf(all, BigInt(p.start), BigInt(p.end), p.limit, direction);
    return Promise.resolve({ data: { data: { resultType: 'streams', result } } });
  };
  const client = { queryLogs } as unknown as Client;
  const { signal } = new AbortController();
  const request = { query: '{}', span: { start: '0', end: '1000' }, limit, direction, instant: false, at: 0 };
  let result = await runQuery(client, request, signal);
  for (let pages = 0; pages < 200; pages++) {
    assert.equal(result.kind, 'lines');
    if (result.kind !== 'lines' || result.atEnd) break;
    const more = await loadNextPage(client, result, most, signal);
    assert.ok('kind' in more);
    result = more;
  }
  assert.ok(result.kind === 'lines' && result.atEnd, 'it ends');
  assert.deepEqual(
    result.lines.map(({ key }) => key),
    [...result.lines.keys()],
    'keys are unique, and increase',
  );
  return result;
}

const told = (lines: { ns: string | number; text: string }[]): string[] => lines.map(({ ns, text }) => `${ns} ${text}`);

test('pages lose no line and double none, wherever they end', async () => {
  // Up to seven lines at one moment, of several streams.
  const all = Array.from({ length: 120 }, (_, i) => ({ ns: 100 + Math.floor((i * i) / 97), app: 'abc'[i % 3] ?? '', text: `line ${i}` }));
  for (const direction of ['backward', 'forward'] as const) {
    for (let limit = 1; limit <= 30; limit++) {
      const { lines } = await readAll(all, limit, 100, direction);
      assert.deepEqual(told(lines).sort(), told(all).sort(), `${direction}, ${limit} at a time`);
      const times = lines.map(({ ns }) => Number(ns));
      assert.deepEqual(
        times,
        [...times].sort((a, b) => (direction === 'backward' ? b - a : a - b)),
      );
    }
  }
});

test('twins are as many as they are', async () => {
  const all = [1, 2, 3, 4].map((n) => ({ ns: 7, app: 'a', text: n < 4 ? 'the same' : 'another' }));
  assert.equal((await readAll(all, 2, 10, 'backward')).lines.length, 4);
});

test('more lines of one moment than can be requested end the moment, not the list', async () => {
  const all = [...Array.from({ length: 50 }, (_, i) => ({ ns: 500, app: 'a', text: `tie ${i}` })), { ns: 499, app: 'a', text: 'before' }];
  const { lines, crowded } = await readAll(all, 5, 20, 'backward');
  assert.equal(crowded, 1, 'it is said that some are missing');
  assert.equal(lines.at(-1)?.text, 'before');
  assert.equal(new Set(lines.map(({ text }) => text)).size, lines.length, 'none twice');
});

test('nanoseconds are compared by value, whatever their length', () => {
  const lines = linesOf(
    [
      {
        stream: {},
        values: [
          ['999', 'a'],
          ['1000', 'b'],
        ],
      },
    ],
    'backward',
    5,
  );
  assert.deepEqual(
    lines.map(({ text, key }) => [text, key]),
    [
      ['b', 5],
      ['a', 6],
    ],
  );
});
