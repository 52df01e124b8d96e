import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Labels, Line } from '../../src/model';
import { tagsOf } from '../../src/results/tags';

const linesOf = (...streams: Labels[]): Line[] =>
  streams.map((stream, key) => ({ ns: '0', stream, metadata: {}, parsed: {}, text: '', key }));
const names = (lines: Line[], tenants: string[] = []): string[] => tagsOf(lines, tenants).map(({ name }) => name);

test('rows show the labels that differ: the tenant first, then those with the fewest values', () => {
  const lines = linesOf(
    { org: 'acme', env: 'prod', app: 'api', container: 'api', pod: 'a-1', level: 'info' },
    { org: 'beta', env: 'prod', app: 'web', container: 'web', pod: 'w-1', level: 'error' },
    { org: 'beta', env: 'prod', app: 'job', container: 'job', pod: 'j-1' },
    { org: 'beta', env: 'prod', app: 'job', container: 'job', pod: 'j-2' },
  );
  assert.deepEqual(names(lines, ['acme', 'beta']), ['org', 'app', 'pod']);
});

test('what is the same everywhere, or varies by line, is no tag', () => {
  assert.deepEqual(names(linesOf({ app: 'a', level: 'info' }, { app: 'a', level: 'warn' })), []);
  assert.deepEqual(names([]), []);
  assert.deepEqual(names([...linesOf({ app: 'a' }), { key: 1, notice: 'missing' } as unknown as Line]), []);
});

test('a label that some streams lack tells them apart', () =>
  assert.deepEqual(names(linesOf({ app: 'a' }, { app: 'a', canary: 'yes' })), ['canary']));

test('widths are bounded', () => {
  assert.deepEqual(tagsOf(linesOf({ app: 'a' }, { app: 'b'.repeat(99) }), []), [{ name: 'app', width: 20 }]);
});
