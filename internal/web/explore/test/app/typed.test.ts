import assert from 'node:assert/strict';
import { test } from 'node:test';

import { typed } from '../../src/app/typed';

const now = Date.UTC(2026, 10, 23, 14, 0, 0);

test('times are read as users type them', () => {
  const cases: [text: string, want: string | undefined, end?: string][] = [
    ['now', 'now'],
    ['now-3h', 'now-3h'],
    ['15m', 'now-15m'],
    ['-15m', 'now-15m'],
    ['90 s', 'now-90s'],
    ['last 2 hours', 'now-2h'],
    ['Last hour', 'now-1h'],
    ['past week', 'now-1w'],
    ['3 days ago', 'now-3d'],
    ['5 min', 'now-5m'],
    ['now/d', '2026-11-23T00:00:00Z'],
    ['today', '2026-11-23T00:00:00Z', '2026-11-24T00:00:00Z'],
    ['yesterday', '2026-11-22T00:00:00Z', '2026-11-23T00:00:00Z'],
    ['13:30', '2026-11-23T13:30:00Z'],
    ['14:00:01', '2026-11-22T14:00:01Z'],
    ['2026-11-23', '2026-11-23T00:00:00Z'],
    ['2026-11-23 4:05:06.7', '2026-11-23T04:05:06.7Z'],
    ['2026-11-23T15:00:00+01:00', '2026-11-23T15:00:00+01:00'],
    ['1795442400', '2026-11-23T14:00:00Z'],
    ['1795442400123', '2026-11-23T14:00:00.123Z'],
    ['1795442400000000001', '2026-11-23T14:00:00.000000001Z'],
    ['2026-02-30', undefined],
    ['25:00', undefined],
    ['hour', undefined],
    ['12345', undefined],
    ['soon', undefined],
    ['', undefined],
  ];
  for (const [text, want, end = want] of cases) {
    assert.equal(typed(text, 'utc', now), want, text);
    assert.equal(typed(text, 'utc', now, true), end, `${text} as an end`);
  }
});
