import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Line } from '../../src/model';
import { arranged } from '../../src/results/arrange';

const line = (ns: number, text: string, stream: Record<string, string> = { app: 'a' }): Line => ({
  ns: String(1_795_440_000_000_000_000n + BigInt(ns)),
  stream,
  metadata: {},
  parsed: {},
  text,
  key: ns,
});
const texts = (lines: Line[]): string[] => lines.map(({ text }) => text);

test('a stack trace is joined to the line before it, in either order and across other streams', () => {
  const lines = [
    line(1, 'failed'),
    line(2, '\tat a.b(c.java:1)'),
    line(3, 'of another stream', { app: 'b' }),
    line(4, 'Caused by: x', { app: 'a', level: 'error' }),
    line(5, '\t... 3 more'),
    line(6, 'next'),
  ];
  const trace = 'failed\n\tat a.b(c.java:1)\nCaused by: x\n\t... 3 more';
  const forward = arranged(lines, { join: true, fold: false, direction: 'forward' });
  assert.deepEqual(texts(forward), [trace, 'of another stream', 'next']);
  assert.equal(forward[0]?.joined, 4);
  const backward = arranged([...lines].reverse(), { join: true, fold: false, direction: 'backward' });
  assert.deepEqual(texts(backward), ['next', 'of another stream', trace]);
});

test('Python ends a trace with its error, and Go names functions in it', () => {
  const python = ['ERROR it broke', 'Traceback (most recent call last):', '  File "a.py", line 1, in <module>', 'ValueError: bad'];
  const go = ['panic: oops', 'goroutine 1 [running]:', 'main.main()', '\t/src/main.go:5 +0x1d', 'exit status 2'];
  for (const trace of [python, go]) {
    const rows = arranged(
      trace.map((text, i) => line(i, text)),
      { join: true, fold: false, direction: 'forward' },
    );
    assert.deepEqual(texts(rows), [trace.join('\n')]);
  }
  const alone = ['ValueError: bad', 'main.main()'].map((text, i) => line(i, text));
  assert.equal(arranged(alone, { join: true, fold: false, direction: 'forward' }), alone, 'no trace has begun');
});

test('what comes a second later, or beyond 500 lines, is a row of its own', () => {
  const late = [line(1, 'a'), line(2, ' b'), line(1_500_000_000, ' c')];
  assert.deepEqual(texts(arranged(late, { join: true, fold: false, direction: 'forward' })), ['a\n b', ' c']);
  const many = Array.from({ length: 1001 }, (_, i) => line(i, i ? ' more' : 'head'));
  assert.equal(arranged(many, { join: true, fold: false, direction: 'forward' }).length, 2);
});

test('equal lines of one stream that follow one another are folded', () => {
  const lines = [line(5, 'x'), line(4, 'x'), line(3, 'y'), line(2, 'x'), line(1, 'x', { app: 'b' })];
  const rows = arranged(lines, { join: false, fold: true, direction: 'backward' });
  assert.deepEqual(texts(rows), ['x', 'y', 'x', 'x']);
  assert.deepEqual(rows[0]?.equal, { count: 2, until: lines[1]?.ns });
  assert.equal(rows[1], lines[2], 'what stands for itself is the same object');
  const different = [line(1, 'a'), line(2, 'b')];
  assert.equal(arranged(different, { join: true, fold: true, direction: 'forward' }), different);
});
