import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isExpensive } from '../../src/app/estimate';
import { percent, progressOf } from '../../src/app/summary';
import type { Gap, Line } from '../../src/model';
import { readsAll } from '../../src/query/logql';
import { gapText, withGaps } from '../../src/results/gaps';
import { isNotice } from '../../src/results/items';

test('a search says how far it is when it takes a second, and is not called done before it is', () => {
  const progress = { type: 'progress', done: 0.9999, lines: 1, bytes: 1_234_000, seconds: 1 } as const;
  assert.equal(progressOf(progress), '99 % of the range · 1 line · 1.2 MB');
  assert.equal(progressOf({ ...progress, seconds: 0.5 }), '');
  assert.deepEqual([-1, 0, 1, 2].map(percent), ['0 %', '0 %', '100 %', '100 %']);
});

test('consent is needed above 1 GiB or half of the limit, and not for what is refused', () => {
  const expensive = (bytes: number, limit: number): boolean =>
    isExpensive({ bytes, streams: 1, chunks: 1, entries: 1 }, { max_query_bytes_read: limit });
  const gib = 2 ** 30;
  assert.deepEqual(
    [expensive(gib, 2 ** 50), expensive(gib + 1, 2 ** 50), expensive(501, 1000), expensive(500, 1000), expensive(1001, 1000)],
    [false, true, true, false, false],
  );
});

for (const [query, want] of [
  ['{app="a"}', false],
  ['{app="a"} | json', false],
  ['{app="a"} |= "x"', true],
  ['{app="a"} | json | level="error"', true],
  ['sum(rate({app="a"}[5m]))', true],
] as const) {
  test(`readsAll: ${query}`, () => assert.equal(readsAll(query), want));
}

test('no row reaches across a gap, and a gap names its range', () => {
  const line = (key: number): Line => ({
    ns: String(1_795_440_175_000_000_000n + BigInt(key)),
    stream: {},
    metadata: {},
    parsed: {},
    text: 'same',
    key,
  });
  const lines = [1, 2, 4, 5].map(line);
  const gap: Gap = { key: 3, at: 2, span: { start: '1795440175000000000', end: '1795443775000000000' }, detail: 'Loki took too long.' };
  const rows = withGaps(lines, [gap], { join: true, fold: true, direction: 'forward' }, (one) => ({
    key: one.key,
    notice: gapText(one, 'utc'),
  }));
  assert.deepEqual(
    rows.map((row) => (isNotice(row) ? row.notice : row.equal?.count)),
    [2, 'Lines from 2026-11-23 13:22:55 to 14:22:55 are missing: Loki took too long.', 2],
  );
  const moment = { ...gap, span: { start: '1795440175000000001', end: '1795440175000000002' } };
  assert.equal(gapText(moment, 'utc'), 'Lines of 11-23 13:22:55.000000001 are missing: Loki took too long.');
});
