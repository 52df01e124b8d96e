import assert from 'node:assert/strict';
import { test } from 'node:test';

import { treeOf } from '../../src/results/jsonTree';

const brief = (text: string) => treeOf(text)?.map(({ name, field, value, depth, within }) => [depth, name, value, field ?? '-', within]);

test('a document is a tree, arrays included, with the names that Loki gives to what it reads', () => {
  assert.deepEqual(
    brief('{"order":{"id":12345678901234567890,"a-b":1.0},"tags":["x",{"y":null}],"msg":"a\\n\\"b\\" {,}:[]","e":{}, "f":[]}'),
    [
      [0, 'order', '{2}', '-', 2],
      [1, 'id', '12345678901234567890', 'order_id', 0],
      [1, 'a-b', '1.0', 'order_a_b', 0],
      [0, 'tags', '[2]', '-', 3],
      [1, '0', 'x', '-', 0],
      [1, '1', '{1}', '-', 1],
      [2, 'y', 'null', '-', 0],
      [0, 'msg', 'a\n"b" {,}:[]', 'msg', 0],
      [0, 'e', '{0}', '-', 0],
      [0, 'f', '[0]', '-', 0],
    ],
  );
});

test('other texts, and documents without an end, are no tree', () => {
  for (const text of [
    '',
    '{}',
    '[1]',
    '"a"',
    '{"a":1',
    '{"a":1} x',
    'level=info',
    '{"a":'.repeat(40) + '1' + '}'.repeat(40),
    `[${'['.repeat(1e5)}`,
  ]) {
    assert.equal(treeOf(text), undefined, text.slice(0, 40));
  }
  assert.equal(treeOf(`{${Array.from({ length: 501 }, (_, i) => `"k${i}":1`).join()}}`), undefined);
  assert.equal(treeOf(`{${Array.from({ length: 500 }, (_, i) => `"k${i}":1`).join()}}`)?.length, 500);
});
