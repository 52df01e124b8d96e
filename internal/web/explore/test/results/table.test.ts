import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { VectorSeries } from '@logfence/client';

import { nextOf, placesOf } from '../../src/results/find';
import { momentIn, nameOf } from '../../src/results/mark';
import { csvOf, sorted, tableOf, valueColumn } from '../../src/results/table';

const of = (metric: Record<string, string>, value: string): VectorSeries => ({ metric, value: [1, value] });

test('a vector is a table of its labels and exact values', () => {
  const table = tableOf([
    of({ b: '2', a: 'x' }, '1.10'),
    of({ a: 'y' }, 'NaN'),
    of({ a: 'z' }, '+Inf'),
    of({ a: 'w' }, '12345678901234567890'),
  ]);
  assert.deepEqual(table.columns, ['a', 'b', 'Value']);
  const values = (column: number, descending: boolean): string[] => sorted(table, { column, descending }).map((cells) => cells[2] ?? '');
  assert.deepEqual(values(valueColumn, true), ['+Inf', '12345678901234567890', '1.10', 'NaN']);
  assert.deepEqual(values(valueColumn, false), ['NaN', '1.10', '12345678901234567890', '+Inf']);
  assert.deepEqual(
    sorted(table, { column: 0, descending: false }).map(([a]) => a),
    ['w', 'x', 'y', 'z'],
  );
});

test('CSV quotes what needs it, and has no formulas but keeps numbers', () => {
  assert.equal(
    csvOf(
      ['a,b', 'Value'],
      [
        ['=1', '-1'],
        ['say "x"', '2'],
        ['two\nrows', '3'],
      ],
    ),
    '"a,b",Value\r\n\'=1,-1\r\n"say ""x""",2\r\n"two\nrows",3\r\n',
  );
});

test('a search finds text in any case, goes round, and takes nothing for a pattern', () => {
  const items = ['A.b', 'axb', 'none', 'a.B'].map((text, key) => ({ key, text, ns: '1', stream: {}, metadata: {}, parsed: {} }));
  assert.deepEqual(placesOf([...items, { key: 9, notice: 'a.b' }], 'a.b'), [0, 3]);
  assert.deepEqual(placesOf(items, ''), []);
  assert.deepEqual(
    [nextOf([0, 3], -1, 1), nextOf([0, 3], 0, 1), nextOf([0, 3], 3, 1), nextOf([0, 3], 0, -1), nextOf([], 0, 1)],
    [0, 3, 0, 3, undefined],
  );
});

test('a line in a link is named by its moment and its first row', () => {
  const name = nameOf({ ns: '1795440175000000001', text: 'boom\n\tat x' });
  assert.equal(name, nameOf({ ns: '1795440175000000001', text: 'boom' }));
  assert.notEqual(name, nameOf({ ns: '1795440175000000001', text: 'bang' }));
  assert.equal(momentIn(name), '1795440175000000001');
  assert.equal(momentIn('yesterday'), undefined);
});
