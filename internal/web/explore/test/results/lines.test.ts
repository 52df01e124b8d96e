import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { Line } from '../../src/model';
import { joined } from '../../src/results/contextLines';
import { Heights } from '../../src/results/heights';
import { placeOf } from '../../src/results/items';
import { Keys, linesOf } from '../../src/results/store';
import { mostWaiting, Tailing } from '../../src/results/tailing';
import { addNs, compareNs, coarseStamp, fullStamp, msOf, nsOf, nsOfMs, partOf, rfc3339, spoken, stamp, tick } from '../../src/results/time';
import { tallest, Viewport } from '../../src/results/viewport';

const ns = '1795440175000000001';

describe('time', () => {
  test('keeps its nanoseconds', () => {
    assert.equal(rfc3339(ns), '2026-11-23T13:22:55.000000001Z');
    assert.equal(nsOf('2026-11-23T13:22:55.000000001Z'), ns);
    assert.equal(nsOf('2026-11-23T13:22:55Z'), '1795440175000000000');
    assert.equal(nsOf('2026-11-23T13:22:55.5Z'), '1795440175500000000');
    assert.throws(() => nsOf('yesterday'), RangeError);
    assert.equal(msOf(ns), 1795440175000);
    assert.equal(nsOfMs(1795440175000), '1795440175000000000');
    assert.equal(addNs(ns, -2n), '1795440174999999999');
  });
  test('before 1970', () => {
    assert.equal(msOf('-1'), -1);
    assert.equal(rfc3339('-1'), '1969-12-31T23:59:59.999999999Z');
    assert.equal(nsOf('1969-12-31T23:59:59.999999999Z'), '-1');
    assert.equal(compareNs('-5', '3'), -1);
    assert.equal(compareNs('-5', '-6'), 1);
  });
  test('order', () => {
    assert.equal(compareNs(ns, addNs(ns, 1n)), -1);
    assert.equal(compareNs('10', '9'), 1);
    assert.equal(compareNs(ns, ns), 0);
  });
  test('as it is shown', () => {
    assert.equal(stamp(ns, 'utc', 3), '11-23 13:22:55.000');
    assert.equal(stamp(ns, 'utc', 9), '11-23 13:22:55.000000001');
    assert.equal(fullStamp(ns, 'utc'), '2026-11-23 13:22:55.000000001 UTC');
    assert.equal(coarseStamp(msOf(ns), 'utc', 60_000), '2026-11-23 13:22');
    assert.equal(coarseStamp(msOf(ns) + 7, 'utc', 100), '2026-11-23 13:22:55.007');
    assert.equal(tick(msOf(ns), undefined, 'utc', 60_000), '13:22\n11-23');
    assert.equal(tick(msOf(ns), msOf(ns) - 60_000, 'utc', 60_000), '13:22');
    assert.deepEqual([0, 12, 1000, 90_000, 12_000_000, 86_400_000].map(spoken), ['0 s', '12 ms', '1 s', '1 min 30 s', '3 h 20 min', '1 d']);
  });
  test('parts of a span', () => {
    assert.deepEqual(partOf({ start: '1000', end: '2000' }, 0.25, 0.75), { start: '1250', end: '1750' });
    assert.deepEqual(partOf({ start: '1000', end: '2000' }, -0.5, 1.5), { start: '500', end: '2500' });
  });
});

describe('lines of streams', () => {
  const streams = [
    {
      stream: { a: '1' },
      values: [
        ['30', 'x'],
        ['10', 'y', { structuredMetadata: { m: '1' }, parsed: { p: '2' } }],
      ] as [string, string][],
    },
    {
      stream: { a: '2' },
      values: [
        ['30', 'z'],
        ['20', 'w'],
      ] as [string, string][],
    },
  ];
  test('in one order of time, those of one time as they came', () => {
    const lines = linesOf(streams, 'backward', new Keys());
    assert.deepEqual(
      lines.map(({ text }) => text),
      ['x', 'z', 'w', 'y'],
    );
    assert.deepEqual(
      lines.map(({ key }) => key),
      [1, 2, 3, 4],
    );
    assert.deepEqual([lines[3]?.metadata, lines[3]?.parsed], [{ m: '1' }, { p: '2' }]);
  });
});

describe('heights', () => {
  test('agree with a plain sum', () => {
    const heights = new Heights(1000, (i) => 20 + (i % 7));
    const plain = Array.from({ length: 1000 }, (_, i) => 20 + (i % 7));
    for (const [i, height] of [
      [3, 500],
      [999, 1],
      [0, 77],
      [512, 0],
    ] as const) {
      heights.set(i, height);
      plain[i] = height;
    }
    let top = 0;
    for (let i = 0; i < 1000; i++) {
      assert.equal(heights.top(i), top);
      if ((plain[i] ?? 0) > 0) assert.equal(heights.at(top), i);
      top += plain[i] ?? 0;
    }
    assert.equal(heights.total, top);
    assert.equal(heights.at(1e9), 999);
    assert.equal(heights.at(-5), 0);
  });
  test('of nothing', () => assert.deepEqual([new Heights(0, () => 1).total, new Heights(0, () => 1).at(5)], [0, 0]));
});

describe('the viewport', () => {
  const of = (count: number, height: number): Viewport => {
    const view = new Viewport();
    view.size = 600;
    view.heights = new Heights(count, () => height);
    return view;
  };
  test('a short list is scrolled as it is', () => {
    const view = of(1000, 20);
    assert.equal(view.scrolled(5000), 5000);
    assert.deepEqual(view.slice(), { first: 242, last: 289, offset: 4840 });
    assert.equal(view.extent, 20_000);
  });
  test('a list taller than an element reaches both ends, and every row between', () => {
    const view = of(100_000, 4000);
    assert.equal(view.extent, tallest);
    view.scrolled(tallest - 600);
    assert.equal(view.atBottom, true);
    view.scrolled(0);
    assert.equal(view.top, 0);
    view.goTo(view.heights.top(54_321));
    assert.equal(view.heights.at(view.top), 54_321);
  });
  test('pixel by pixel, it moves pixel by pixel', () => {
    const view = of(100_000, 4000);
    const at = view.scrolled(4_000_000);
    const before = view.top;
    view.scrolled(at + 100);
    assert.equal(view.top, before + 100);
  });
  test('slowly to the edge is all the way', () => {
    const view = of(100_000, 4000);
    let at = view.goTo(2000);
    for (let i = 0; i < 50; i++) at = view.scrolled(Math.max(0, at - 100));
    assert.equal(view.top, 0);
  });
  test('a row is shown by the least way', () => {
    const view = of(1000, 20);
    view.goTo(0);
    assert.equal(view.toShow(10), undefined);
    assert.equal(view.toShow(30), 20);
    assert.equal(view.toShow(0), 0);
  });
});

describe('a live tail', () => {
  const some = (keys: Keys, count: number): Line[] =>
    linesOf([{ stream: {}, values: Array.from({ length: count }, (_, i) => [String(i), `l${i}`] as [string, string]) }], 'forward', keys);
  test('holds what comes until it flows', () => {
    const keys = new Keys();
    const tail = new Tailing(keys, 5000);
    tail.take(some(keys, 3));
    assert.deepEqual([tail.items.length, tail.waiting, tail.arrived], [0, 3, 3]);
    tail.flow();
    assert.deepEqual([tail.items.length, tail.waiting], [3, 0]);
  });
  test('is bounded, and says what it has lost', () => {
    const keys = new Keys();
    const tail = new Tailing(keys, 5000);
    for (let i = 0; i < 20; i++) tail.take(some(keys, 1000));
    assert.equal(tail.waiting, 20_000);
    tail.flow();
    assert.equal(tail.items.length, 5000);
    assert.equal(tail.arrived, 20_000);
  });
  test('says where lines are missing', () => {
    const keys = new Keys();
    const tail = new Tailing(keys, 5000);
    tail.take(some(keys, 1));
    tail.missing(7, 'why');
    tail.take(some(keys, mostWaiting + mostWaiting / 10));
    tail.flow();
    assert.equal(tail.dropped, 7);
    const at = tail.items.map(({ key }) => key);
    assert.deepEqual(
      at,
      [...at].sort((a, b) => a - b),
    );
    assert.equal(placeOf(tail.items, at[5] ?? 0), 5);
  });
});

describe('a context', () => {
  const one = (at: number, line = `l${at}`) => ({ timestamp: rfc3339(String(at)), labels: {}, line });
  const texts = (lines: Line[] | undefined) => lines?.map(({ text }) => text);
  test('grows at both ends, with no line twice', () => {
    let held = joined(undefined, { before: [one(4)], at: [one(5)], after: [one(6)], truncated: false }, 1, 1);
    held = joined(held, { before: [one(2), one(3)], at: [one(4), one(4, 'tie')], after: [], truncated: false }, 2, 0);
    assert.deepEqual(texts(held.lines), ['l2', 'l3', 'l4', 'tie', 'l5', 'l6']);
    held = joined(held, { before: [], at: [one(6)], after: [], truncated: false }, 0, 2);
    assert.deepEqual(texts(held.lines), ['l2', 'l3', 'l4', 'tie', 'l5', 'l6']);
    assert.deepEqual([held.first, held.last], [false, true]);
    const cut = joined(undefined, { before: [one(4)], at: [one(5)], after: [], truncated: true }, 2, 2);
    assert.deepEqual([cut.first, cut.last], [false, false], 'there may be more than a truncated response has');
  });
});
