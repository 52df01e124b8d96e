import assert from 'node:assert/strict';
import { test } from 'node:test';

import { described, isoOf, momentOf, moved, shown, spanOf } from '../../src/app/range';
import { typed } from '../../src/app/typed';
import { fallback, readView, searchOf } from '../../src/app/view';

const now = Date.UTC(2026, 10, 23, 14, 0, 0);
const noon = 1_795_442_400_000_000_000n; // now, in nanoseconds

test('a moment is named relatively, or exactly to the nanosecond', () => {
  const cases: [string, bigint | undefined][] = [
    ['now', noon],
    ['now-90s', noon - 90_000_000_000n],
    ['now-2d', noon - 172_800_000_000_000n],
    ['2026-11-23T14:00:00Z', noon],
    ['2026-11-23T15:00:00.000000001+01:00', noon + 1n],
    ['2026-11-23T14:00:00.5Z', noon + 500_000_000n],
    ['2026-11-23', undefined],
    ['now+1h', undefined],
    ['now-1y', undefined],
    ['2026-13-01T00:00:00Z', undefined],
    ['', undefined],
  ];
  for (const [text, want] of cases) assert.equal(momentOf(text, now), want, text);
});

test('an ISO time comes back as it went', () => {
  for (const text of ['2026-11-23T14:00:00Z', '2026-11-23T14:00:00.000000001Z', '2026-11-23T14:00:00.12Z']) {
    assert.equal(isoOf(momentOf(text, now) ?? 0n), text);
  }
});

test('a range is none unless it has an end after its beginning', () => {
  assert.equal(spanOf('now', 'now-1h', now), undefined);
  assert.equal(spanOf('now', 'now', now), undefined);
  assert.deepEqual(spanOf('now-1h', 'now', now), { start: String(noon - 3_600_000_000_000n), end: String(noon) });
});

test('what is typed is taken in the zone that is shown', () => {
  assert.equal(typed('2026-11-23 14:00', 'utc', now), '2026-11-23T14:00:00Z');
  assert.equal(typed(' 2026-11-23 14:00:01.25 ', 'utc', now), '2026-11-23T14:00:01.25Z');
  assert.equal(typed('2026-11-23', 'utc', now), '2026-11-23T00:00:00Z');
  assert.equal(typed('now-5m', 'local', now), 'now-5m');
  for (const wrong of ['2026-02-30', '2026-11-23 25:00', '']) assert.equal(typed(wrong, 'utc', now), undefined, wrong);
  for (const zone of ['utc', 'local'] as const) {
    const iso = '2026-07-01T12:34:56.789Z';
    assert.equal(typed(shown(iso, zone), zone, now), iso, `${zone}: shown, and typed again`);
  }
});

test('a range is told in words', () => {
  assert.equal(described('now-1h', 'now', 'utc'), 'Last hour');
  assert.equal(described('now-15m', 'now', 'utc'), 'Last 15 minutes');
  assert.equal(described('2026-11-23T14:00:00Z', '2026-11-23T15:30:00Z', 'utc'), '2026-11-23 14:00:00 – 15:30:00');
  assert.equal(described('2026-11-23T14:00:00.1Z', '2026-11-24T15:30:00Z', 'utc'), '2026-11-23 14:00:00 – 2026-11-24 15:30:00');
});

test('earlier, later and wider keep the length, or double it', () => {
  const hour = spanOf('2026-11-23T14:00:00Z', '2026-11-23T15:00:00Z', 0);
  assert.ok(hour);
  assert.deepEqual(moved(hour, -1), { from: '2026-11-23T13:00:00Z', to: '2026-11-23T14:00:00Z' });
  assert.deepEqual(moved(hour, 1), { from: '2026-11-23T15:00:00Z', to: '2026-11-23T16:00:00Z' });
  assert.deepEqual(moved(hour, 0), { from: '2026-11-23T13:30:00Z', to: '2026-11-23T15:30:00Z' });
});

test('a view comes back from its URL as it went', () => {
  const views = [
    fallback,
    { ...fallback, query: '{app="a&b=c"} |= "+ #%"\n| json', from: 'now-5m', limit: 100, direction: 'forward' as const },
    { ...fallback, zone: 'utc' as const, wrap: true, tenant: 'beta', from: '2026-11-23T14:00:00.000000001Z', to: '2026-11-23T15:00:00Z' },
  ];
  for (const view of views) assert.deepEqual(readView(searchOf(view)), { view, problems: [] });
});

test('a part of a URL that cannot be read has its default, and is reported', () => {
  const { view, problems } = readView('?q=&from=yesterday&to=&limit=-1&dir=up&tz=mars&wrap=2&tenant=');
  assert.deepEqual(view, fallback);
  assert.deepEqual(
    problems.map((problem) => problem.split('=', 1)[0]),
    ['q', 'from', 'to', 'limit', 'dir', 'tz', 'wrap'],
  );
  assert.equal(problems[1], 'from=yesterday cannot be read; now-1h is used.');
  const backwards = readView('?from=now&to=now-1h');
  assert.deepEqual(backwards.view, fallback);
  assert.match(backwards.problems.join(), /^The range from now to now-1h is empty/);
  assert.equal(readView('?q=connection+refused').view.query, '{} |~ "(?i)connection refused"');
});
