import assert from 'node:assert/strict';
import { test } from 'node:test';

import { shown } from '../../src/app/range';
import { typed } from '../../src/app/typed';
import { isZone } from '../../src/zone';

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

test('times are read and shown in any zone, over the hours that clocks are moved', () => {
  // Berlin's clocks go from 02:00 to 03:00 on 29 March 2026, and from 03:00 to 02:00 on 25 October.
  const berlin = 'Europe/Berlin';
  for (const [text, want] of [
    ['2026-03-29 01:59:59', '2026-03-29T00:59:59Z'],
    ['2026-03-29 03:00:00', '2026-03-29T01:00:00Z'],
    ['2026-10-25 01:59:59', '2026-10-24T23:59:59Z'],
    ['2026-10-25 03:00:00', '2026-10-25T02:00:00Z'],
    ['2026-07-01 00:00', '2026-06-30T22:00:00Z'],
  ] as const) {
    assert.equal(typed(text, berlin, now), want, text);
    assert.ok(shown(want, berlin).startsWith(text), `${want} is shown as ${shown(want, berlin)}`);
  }
  assert.equal(typed('today', 'Asia/Kathmandu', now), '2026-11-22T18:15:00Z');
  assert.equal(shown('2026-11-23T14:00:00Z', 'America/St_Johns'), '2026-11-23 10:30:00');
  assert.deepEqual(['UTC', 'Asia/Tokyo', 'local', 'utc', 'Mars/Olympus', '+01:00', ''].map(isZone), [
    true,
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});
