import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import type { Sample } from '@logfence/client';

import { held, LineCount, mostHeld, TooLarge, write, type Sink } from '../../src/results/exporting';
import { chartOf, isolated, isWhole, namesOf, shortBytes, shortNumber, withUnit } from '../../src/results/series';
import { nsOfMs } from '../../src/results/time';
import { Counts, countsOf, intervalsOf, partsOf } from '../../src/results/volume';

const span = (from: number, to: number) => ({ start: nsOfMs(from), end: nsOfMs(to) });

describe('intervals', () => {
  test('on round times, around the span', () => {
    assert.deepEqual(intervalsOf(span(61_500, 3_661_500), 61), { step: 60_000, from: 60_000, to: 3_720_000 });
    assert.deepEqual(intervalsOf(span(0, 3_600_000), 61), { step: 60_000, from: 0, to: 3_600_000 });
  });
  test('never more than requested', () => {
    for (const length of [1, 50, 999, 61_234, 3_600_000, 90 * 86_400_000, 10_000 * 86_400_000]) {
      const { step, from, to } = intervalsOf(span(12_345, 12_345 + length), 100);
      assert.ok((to - from) / step <= 100 + 1, `${length}`);
    }
  });
  test('are requested newest first, and the cut ones by themselves', () => {
    const of = { step: 10, from: 0, to: 50 };
    assert.deepEqual(
      partsOf('{a="b"}', span(5, 47), of, 2).map((p) => (p.kind === 'range' ? [p.start, p.end] : [p.time, p.at])),
      [
        [nsOfMs(47), 40],
        [nsOfMs(30), nsOfMs(40)],
        [nsOfMs(20), nsOfMs(20)],
        [nsOfMs(10), 0],
      ],
    );
    assert.deepEqual(
      partsOf('q', span(0, 50), of, 1).map(({ kind }) => kind),
      ['instant', 'range', 'instant'],
    );
  });
  test('hold the beginning of the span', () => {
    const ranges = partsOf('q', span(0, 20), { step: 10, from: 0, to: 20 }, 1).map(({ query }) => /\[(.*)\]/.exec(query)?.[1]);
    assert.deepEqual(ranges, ['10ms', '11ms']);
    assert.deepEqual(
      partsOf('q', span(12, 14), { step: 10, from: 10, to: 20 }, 1).map((p) => 'time' in p && p.time),
      [nsOfMs(14)],
    );
  });
  test('a comment at the end of a query stays one', () => assert.match(countsOf('{a="b"} # x', 10), /# x\n\| drop .* \[10ms\]\)\)$/));
});

describe('counts', () => {
  const counts = new Counts({ step: 10, from: 100, to: 150 });
  counts.addMatrix([
    {
      metric: { detected_level: 'error' },
      values: [
        [0.11, '3'],
        [0.15, '1'],
        [0.2, '9'],
      ],
    },
    { metric: { level: 'WARN' }, values: [[0.11, '2']] },
    { metric: {}, values: [[0.12, 'NaN']] },
  ]);
  counts.addVector([{ metric: { detected_level: 'error' }, value: [0.115, '4'] }], 110);
  test('by the interval that ends at a point', () => {
    assert.deepEqual(
      Array.from({ length: 5 }, (_, i) => counts.of('error', i)),
      [3, 4, 0, 0, 1],
    );
    assert.equal(counts.at(0), 5);
    assert.deepEqual(counts.levels, ['error', 'warn']);
  });
  test('in words', () => {
    assert.equal(counts.summary(), '10 lines: 8 error, 2 warn.');
    assert.equal(new Counts({ step: 1, from: 0, to: 1 }).summary(), 'No lines.');
  });
});

describe('series', () => {
  test('numbers', () => {
    assert.deepEqual(
      [0, 1, 1.23456, 12.345, 123.45, 999.96, 1000, 1234, 1.5e6, 2e9, -1500, 0.00123, 0.00000123, NaN, Infinity].map(shortNumber),
      ['0', '1', '1.23', '12.3', '123', '1k', '1k', '1.23k', '1.5M', '2G', '−1.5k', '0.0012', '1.23e−6', 'NaN', '+Inf'],
    );
    assert.deepEqual([0, 1023, 1024, 1536, 5 * 2 ** 30, 200 * 2 ** 20].map(shortBytes), [
      '0 B',
      '1023 B',
      '1 KiB',
      '1.5 KiB',
      '5 GiB',
      '200 MiB',
    ]);
  });
  test('names leave out what all share', () => {
    assert.deepEqual(
      namesOf([
        { app: 'a', env: 'p' },
        { app: 'b', env: 'p' },
      ]),
      ['app="a"', 'app="b"'],
    );
    assert.deepEqual(namesOf([{ app: 'a' }]), ['app="a"']);
    assert.deepEqual(namesOf([{}]), ['value']);
  });
  test('on one row of times, gaps are gaps', () => {
    const chart = chartOf(
      [
        {
          metric: { a: '1' },
          values: [
            [1, '1'],
            [2, 'NaN'],
            [4, '2'],
          ],
        },
        {
          metric: { a: '2' },
          values: [
            [1, '10'],
            [2, '+Inf'],
          ],
        },
      ],
      1000,
    );
    assert.deepEqual(chart.times, [1000, 2000, 3000, 4000]);
    assert.deepEqual(
      chart.series.map(({ name, values }) => [name, values]),
      [
        ['a="2"', [10, null, null, null]],
        ['a="1"', [1, null, null, 2]],
      ],
    );
    assert.deepEqual(isolated(chart.series[1]?.values ?? []), [0, 3]);
  });
  test('two points an hour apart are not joined: the step is that of the request, not that of the points', () => {
    const values: Sample[] = [
      [0, '1'],
      [3600, '1'],
    ];
    const [one] = chartOf([{ metric: {}, values }], 60_000).series;
    assert.deepEqual([one?.values.length, isolated(one?.values ?? [])], [61, [0, 60]]);
  });
  test('a level that one series alone has is its color', () => {
    const levels = (...metrics: Record<string, string>[]) =>
      chartOf(
        metrics.map((metric) => ({ metric, values: [] })),
        1,
      ).series.map(({ level }) => level);
    assert.deepEqual(levels({ level: 'error' }, { detected_level: 'info' }, { app: 'x' }), ['error', 'info', 'unknown']);
    assert.deepEqual(levels({ level: 'error', app: 'a' }, { level: 'err', app: 'b' }), ['unknown', 'unknown']);
  });
  test('whole numbers have whole ticks, and values have units', () => {
    const chart = (value: string) => chartOf([{ metric: {}, values: [[1, value]] }], 1).series;
    assert.deepEqual([isWhole(chart('3')), isWhole(chart('0.5'))], [true, false]);
    assert.deepEqual(
      [
        withUnit(1536, 'bytes'),
        withUnit(2 ** 20, 'bytes/s'),
        withUnit(0.25, 's'),
        withUnit(2, 'lines/s'),
        withUnit(2, 'lines'),
        withUnit(2, ''),
      ],
      ['1.5 KiB', '1 MiB/s', '0.25 s', '2/s', '2', '2'],
    );
  });
  test('one point, and none', () => {
    assert.deepEqual(chartOf([{ metric: {}, values: [[1, '1']] }], 1000).times, [1000]);
    assert.deepEqual(chartOf([], 1000).times, []);
  });
});

describe('exports', () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const body = (parts: string[], broken = false) =>
    new ReadableStream<Uint8Array<ArrayBuffer>>({
      start(to) {
        parts.forEach((part) => to.enqueue(bytes(part)));
        if (broken) to.error(new Error('broken off'));
        else to.close();
      },
    });
  const sink = () => {
    const calls: string[] = [];
    const to: Sink = {
      write: async (part) => void calls.push(new TextDecoder().decode(part)),
      close: async () => void calls.push('closed'),
      abort: async () => void calls.push('aborted'),
    };
    return { to, calls };
  };
  test('what is whole is kept', async () => {
    const { to, calls } = sink();
    assert.deepEqual(await write({ body: body(['a\nb', '\n']) }, to, 'text', () => undefined), { bytes: 4, lines: 2 });
    assert.deepEqual(calls, ['a\nb', '\n', 'closed']);
  });
  test('what breaks off is not', async () => {
    const { to, calls } = sink();
    await assert.rejects(
      write({ body: body(['a\n'], true) }, to, 'text', () => undefined),
      /broken off/,
    );
    assert.ok(!calls.includes('closed') && calls.at(-1) === 'aborted');
  });
  test('what cannot be written ends', async () => {
    const { to, calls } = sink();
    to.write = async () => Promise.reject(new Error('disk full'));
    await assert.rejects(
      write({ body: body(['a\n']) }, to, 'text', () => undefined),
      /disk full/,
    );
    assert.deepEqual(calls, ['aborted']);
  });
  test('rows of CSV are counted, and not the line feeds in them', () => {
    const count = new LineCount('csv');
    count.take(bytes('time,line\n1,"a\nb ""c"'));
    count.take(bytes('" d"\n2,x\n'));
    assert.equal(count.lines, 2);
  });
  test('memory is bounded', async () => {
    const saved: Blob[] = [];
    const to = held('text/plain', (file) => saved.push(file));
    await to.write(bytes('ab'));
    await to.close();
    assert.equal(await saved[0]?.text(), 'ab');
    const large = held('text/plain', (file) => saved.push(file));
    await assert.rejects(large.write({ length: mostHeld + 1 } as Uint8Array<ArrayBuffer>), TooLarge);
    assert.equal(saved.length, 1);
  });
});
