import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { createLogfence, LogfenceError, unwrap, type ListedLine, type Logfence, type StreamEvent } from '@logfence/client';

import { baseUrl, now, push, token } from './gateway.js';

const count = 3000;
const query = '{app="lines"}';
let alpha: Logfence;
let from: bigint;

before(async () => {
  alpha = createLogfence({ baseUrl, token: token('alpha') });
  from = now() - 600_000_000_000n;
  await push(
    { tenant_id: 'alpha', app: 'lines' },
    Array.from({ length: count }, (_, i) => [from + BigInt(i >> 1), `line ${String(i).padStart(4, '0')}`]),
  );
  await push({ tenant_id: 'beta', app: 'lines' }, [[from, 'of beta']]);
});

/** Reads a stream to its end. */
async function read(events: AsyncGenerator<StreamEvent, void, void>): Promise<{ lines: ListedLine[]; all: StreamEvent[] }> {
  const all: StreamEvent[] = [];
  for await (const event of events) all.push(event);
  return { all, lines: all.flatMap((event) => (event.type === 'lines' ? event.lines : [])) };
}

test('pages are walked by their cursors, there and back', async () => {
  const lines: ListedLine[] = [];
  let page = await unwrap(alpha.listLines({ query, limit: 700, direction: 'forward', start: new Date(Date.now() - 3_600_000) }));
  const first = page.lines;
  assert.equal(page.previous, undefined);
  for (;;) {
    lines.push(...page.lines);
    if (page.next === undefined) break;
    page = await unwrap(alpha.listLines({ query, limit: 700, cursor: page.next }));
    if (lines.length === first.length) {
      assert.ok(page.previous);
      assert.deepEqual((await unwrap(alpha.listLines({ query, limit: 700, cursor: page.previous }))).lines, first);
    }
  }
  assert.equal(page.complete, true);
  assert.deepEqual(
    lines.map(({ line }) => line),
    Array.from({ length: count }, (_, i) => `line ${String(i).padStart(4, '0')}`),
  );
  assert.equal(new Set(lines.map(({ id }) => id)).size, count);
});

test('a cursor of another query is a refusal that unwrap throws', async () => {
  const { next: cursor } = await unwrap(alpha.listLines({ query, limit: 1 }));
  assert.ok(cursor);
  await assert.rejects(
    unwrap(alpha.listLines({ query: '{app="other"}', cursor })),
    (err) => err instanceof LogfenceError && err.failure.code === 'cursor_invalid',
  );
});

test('a stream has the lines in order, progress, and an end', async () => {
  const { all, lines } = await read(alpha.streamLines({ query, since: '1h', direction: 'forward' }));
  assert.equal(all[0]?.type, 'progress');
  assert.deepEqual(all.at(-1), { type: 'end', complete: true, reason: 'complete' });
  assert.equal(lines.length, count);
  const middle = all.find((event) => event.type === 'lines');
  assert.ok(middle?.type === 'lines');
  const rest = await read(alpha.streamLines({ query, since: '1h', direction: 'forward' }, { lastEventId: middle.id }));
  assert.deepEqual(rest.lines, lines.slice(middle.lines.length));
});

test('a stream ends at its limit with a cursor, also of a query that is too long for a URL', async () => {
  const long = `${query} != \`${'x'.repeat(3000)}\``;
  const { all, lines } = await read(alpha.streamLines({ query: long, limit: 10 }));
  const end = all.at(-1);
  assert.ok(end?.type === 'end' && end.reason === 'limit' && end.next);
  assert.equal(lines.length, 10);
  assert.equal((await unwrap(alpha.listLines({ query: long, cursor: end.next, limit: 1 }))).lines.length, 1);
});

test('a stream that cannot begin throws, and one that is aborted just ends', async () => {
  await assert.rejects(
    read(alpha.streamLines({ query: 'rate({app="lines"}[1m])' })),
    (err) => err instanceof LogfenceError && err.failure.code === 'kind_wrong',
  );
  const aborter = new AbortController();
  for await (const event of alpha.streamLines({ query, since: '1h' }, { signal: aborter.signal })) {
    assert.notEqual(event.type, 'end');
    aborter.abort();
  }
});
