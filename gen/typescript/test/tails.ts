import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { createLogfence, LogfenceError, type Logfence, type TailEvent } from '@logfence/client';

import { baseUrl, now, push, restartLogfence, token } from './gateway.js';

let alpha: Logfence;
before(() => {
  alpha = createLogfence({ baseUrl, token: token('alpha') });
});

const write = (app: string, ...lines: string[]): Promise<void> =>
  push(
    { tenant_id: 'alpha', app },
    lines.map((text, i) => [now() + BigInt(i), text]),
  );

const linesOf = (event: TailEvent): string[] =>
  event.type === 'entries' ? event.streams.flatMap(({ values }) => values.map(([, line]) => line)) : [];

/** Reads a tail until it has had so many lines; what it says of each event is up to the caller. */
async function read(tail: AsyncIterable<TailEvent>, count: number, on: (event: TailEvent) => unknown = () => undefined): Promise<string[]> {
  const lines: string[] = [];
  for await (const event of tail) {
    lines.push(...linesOf(event));
    await on(event);
    if (lines.length >= count) return lines;
  }
  return lines;
}

test('a tail brings what was there and what arrives, of the tenant alone', async () => {
  await push({ tenant_id: 'beta', app: 'live' }, [[now(), 'of beta']]);
  await write('live', 'before');
  const ids: string[] = [];
  const lines = await read(alpha.tailLogs({ query: '{app="live"}' }), 3, async (event) => {
    if (event.type === 'entries') {
      ids.push(event.id);
      assert.equal(event.streams[0]?.stream.tenant_id, 'alpha');
    }
    if (linesOf(event).includes('before')) {
      await push({ tenant_id: 'beta', app: 'live' }, [[now(), 'of beta']]);
      await write('live', 'one', 'two');
    }
  });
  assert.deepEqual(lines, ['before', 'one', 'two']);

  // A client that resumes with the last id continues after it.
  await write('live', 'three');
  const { length, [length - 1]: lastEventId = '' } = ids;
  assert.deepEqual(await read(alpha.tailLogs({ query: '{app="live"}' }, { lastEventId }), 1), ['three']);
});

for (const [signal, reason] of [
  ['SIGTERM', 'server_shutdown'],
  ['SIGKILL', 'broken_off'],
] as const) {
  test(`a tail outlives logfence's ${signal} without losing or repeating a line`, async () => {
    const app = `restart-${signal}`;
    await write(app, 'before');
    const interrupted: string[] = [];
    const connection: string[] = [];
    let restarted = Promise.resolve();
    const lines = await read(alpha.tailLogs({ query: `{app="${app}"}` }), 4, async (event) => {
      if (event.type === 'interrupted') interrupted.push(event.reason);
      if (event.type === 'interrupted' || event.type === 'reconnected') connection.push(event.type);
      if (linesOf(event).includes('before')) {
        restarted = restartLogfence(signal).then(() => write(app, 'while it was away', 'after'));
        await write(app, 'during');
      }
    });
    await restarted;
    assert.deepEqual(lines.sort(), ['after', 'before', 'during', 'while it was away']);
    assert.equal(interrupted[0], reason);
    assert.equal(connection.at(-1), 'reconnected');
  });
}

test('a tail outlives its token, with the next one', async () => {
  await write('expiry', 'before');
  let calls = 0;
  const client = createLogfence({ baseUrl, token: () => token('alpha', calls++ === 0 ? 4 : 3600) });
  const interrupted: TailEvent[] = [];
  const lines = await read(client.tailLogs({ query: '{app="expiry"}' }), 2, async (event) => {
    if (event.type !== 'interrupted') return;
    interrupted.push(event);
    await write('expiry', 'after');
  });
  assert.deepEqual(lines, ['before', 'after']);
  assert.equal(calls, 2);
  assert.ok(interrupted[0]?.type === 'interrupted' && interrupted[0].reason === 'token_expired');
});

test('a tail ends when its token has expired for good', async () => {
  const client = createLogfence({ baseUrl, token: token('alpha', 2) });
  await assert.rejects(read(client.tailLogs({ query: '{app="expiry"}' }), 99), (err) => {
    assert.ok(err instanceof LogfenceError);
    assert.equal(err.failure.code, 'unauthorized');
    return true;
  });
});

test('a tail that cannot begin throws a refusal', async () => {
  await assert.rejects(
    read(alpha.tailLogs({ query: 'rate({app="live"}[1m])' }), 1),
    (err) => err instanceof LogfenceError && err.failure.code === 'kind_wrong',
  );
  const nobody = createLogfence({ baseUrl: 'http://127.0.0.1:9', token: 't' });
  await assert.rejects(
    read(nobody.tailLogs({ query: '{}' }), 1),
    (err) => err instanceof LogfenceError && err.failure.code === 'unreachable',
  );
});

test('an abort ends a tail, before it has begun and while it waits', async () => {
  const aborter = new AbortController();
  const reading = read(alpha.tailLogs({ query: '{app="live"}' }, { signal: aborter.signal }), 99, () => aborter.abort());
  assert.ok((await reading).length > 0);
  assert.deepEqual(await read(alpha.tailLogs({ query: '{app="live"}' }, { signal: aborter.signal }), 99), []);

  const quiet = new AbortController();
  const waiting = read(alpha.tailLogs({ query: '{app="quiet"}' }, { signal: quiet.signal }), 1);
  quiet.abort();
  assert.deepEqual(await waiting, []);
});
