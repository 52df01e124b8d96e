import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { claimHistory, clear, forget, forgetHistory, pin, read, recentQueries, remember } from '../../src/query/queryHistory';

class Storage {
  readonly kept = new Map<string, string>();
  full = false;
  getItem(key: string): string | null {
    return this.kept.get(key) ?? null;
  }
  setItem(key: string, text: string): void {
    if (this.full) throw new Error('full');
    this.kept.set(key, text);
  }
  removeItem(key: string): void {
    this.kept.delete(key);
  }
}

let storage: Storage;
beforeEach(() => {
  storage = new Storage();
  Object.defineProperty(globalThis, 'localStorage', { value: storage, configurable: true });
});

test('the last query is first, and each is there once', () => {
  for (const query of ['a', 'b', ' a ', '', '  ']) remember(query);
  assert.deepEqual(recentQueries(), ['a', 'b']);
});

test('pinned ones are first, and stay when the rest is cleared', () => {
  for (const query of ['a', 'b', 'c']) remember(query);
  pin('a', true);
  assert.deepEqual(
    read().map(({ query }) => query),
    ['a', 'c', 'b'],
  );
  remember('a');
  assert.equal(read()[0]?.pinned, true);
  clear();
  assert.deepEqual(recentQueries(), ['a']);
  pin('a', false);
  clear();
  assert.deepEqual(recentQueries(), []);
});

test('there are a hundred at most, and a pinned one is not pushed out', () => {
  remember('pinned');
  pin('pinned', true);
  for (let n = 0; n < 150; n++) remember(`query ${n}`);
  assert.equal(recentQueries().length, 100);
  assert.ok(recentQueries().includes('pinned'));
  assert.equal(recentQueries()[0], 'query 149');
});

test('a very long query is not kept', () => {
  remember('x'.repeat(5000));
  assert.deepEqual(recentQueries(), []);
});

test('single ones are forgotten', () => {
  remember('a');
  remember('b');
  forget('b');
  assert.deepEqual(recentQueries(), ['a']);
});

test('signing out forgets all, pinned ones included', () => {
  claimHistory('ana');
  remember('a');
  pin('a', true);
  forgetHistory();
  assert.equal(storage.kept.size, 0);
});

test('somebody else finds nothing', () => {
  claimHistory('ana');
  remember('a');
  claimHistory('ana');
  assert.deepEqual(recentQueries(), ['a']);
  claimHistory('ben');
  assert.deepEqual(recentQueries(), []);
});

test('what another program has written there does no harm', () => {
  for (const text of ['', '{', 'null', '{}', '[1, null, {"query": 1}, "x", {"query": "a", "pinned": 1}]']) {
    storage.kept.set('logfence.history', text);
    assert.deepEqual(recentQueries(), []);
  }
});

test('a browser without storage has no history, and no errors', () => {
  storage.full = true;
  remember('a');
  claimHistory('ana');
  assert.deepEqual(recentQueries(), []);
});
