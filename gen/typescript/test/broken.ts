// What a real logfence does not do on demand: responses that break, change or come from another server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';

import {
  createLogfence,
  LogfenceError,
  readLines,
  type Failure,
  type Logfence,
  type LogfenceOptions,
  type TailEvent,
} from '@logfence/client';

const problem = {
  type: '/docs/problems#overloaded',
  title: 'Server is overloaded',
  status: 503,
  detail: 'Too many queries are waiting. Try again shortly.',
  code: 'overloaded',
  request_id: '01KAR5V0C3E8M4T6Z2Q9W1XH7N',
};

/** A client of a server that responds so, and counts its requests from 1. */
async function clientOf(
  t: TestContext,
  respond: (response: ServerResponse, nth: number, request: IncomingMessage) => void,
  options: Partial<LogfenceOptions> = {},
): Promise<Logfence> {
  let nth = 0;
  const server = createServer((request, response) => respond(response, ++nth, request)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return createLogfence({ baseUrl: `http://127.0.0.1:${port}`, token: 't', ...options });
}

const send =
  (status: number, media: string, body: string, headers: Record<string, string> = {}) =>
  (response: ServerResponse): void => {
    response.writeHead(status, { 'Content-Type': media, ...headers }).end(body);
  };

/** Sends a part of a response, and breaks the connection. */
const breakAfter = (response: ServerResponse, media: string, part: string): void => {
  response.writeHead(200, { 'Content-Type': media });
  response.write(part, () => response.destroy());
};

const failureOf = async (reading: Promise<unknown>): Promise<Failure> => {
  const thrown: unknown = await reading.then(
    () => assert.fail('it looks whole'),
    (err: unknown) => err,
  );
  assert.ok(thrown instanceof LogfenceError, String(thrown));
  return thrown.failure;
};

test('a page of another server is no response', async (t) => {
  for (const status of [200, 404, 502]) {
    const client = await clientOf(t, send(status, 'text/html', '<h1>Sign in</h1>'));
    const { error } = await client.getMe();
    assert.ok(error?.code === 'not_logfence');
    assert.equal(error.status, status);
    assert.equal((await client.exportLogs({ query: '{}', format: 'text' })).error?.code, 'not_logfence');
    assert.equal((await failureOf(all(client.tailLogs({ query: '{}' })))).code, 'not_logfence');
  }
  const json = await clientOf(t, send(500, 'application/json', '{"message":"no route"}'));
  assert.equal((await json.getMe()).error?.code, 'not_logfence');
  const noJSON = await clientOf(t, send(200, 'application/json', 'upstream says hello'));
  assert.equal((await noJSON.getMe()).error?.code, 'not_logfence');
  const redirect = await clientOf(t, send(302, 'text/html', '', { Location: '/login' }));
  assert.equal((await redirect.getMe()).error?.code, 'unreachable');
});

test('a response that breaks off is none', async (t) => {
  const client = await clientOf(t, (response) => breakAfter(response, 'application/json', '{"status":"succ'));
  const { data, error } = await client.listLabels();
  assert.equal(data, undefined);
  assert.equal(error?.code, 'broken_off');
});

test('a code that is newer than the client is told by its status', async (t) => {
  const client = await clientOf(
    t,
    send(409, 'application/problem+json', JSON.stringify({ ...problem, status: 409, code: 'from_the_future' })),
  );
  const { error } = await client.getMe();
  assert.ok(error?.code === 'unrecognized');
  assert.deepEqual([error.status, error.original_code, error.title], [409, 'from_the_future', problem.title]);
});

test('who may come back later is told when', async (t) => {
  const client = await clientOf(t, send(503, 'application/problem+json', JSON.stringify(problem), { 'Retry-After': '7' }));
  const { error } = await client.getMe();
  assert.ok(error?.code === 'overloaded');
  assert.equal(error.retry_after, 7);
});

test('no server and no token are told apart', async (t) => {
  const nobody = createLogfence({ baseUrl: 'http://127.0.0.1:9', token: 't' });
  assert.equal((await nobody.getMe()).error?.code, 'unreachable');
  const cause = new Error('signed out');
  const client = await clientOf(t, send(200, 'application/json', '{}'), { token: () => Promise.reject(cause) });
  const { error } = await client.getMe();
  assert.ok(error?.code === 'token_failed');
  assert.equal(error.cause, cause);
});

const logLine = (text: string): string =>
  `${JSON.stringify({ timestamp: '2026-11-23T13:22:55.000000001Z', labels: { app: 'web' }, line: text })}\n`;

test('an export that says at its end that it has failed, fails there', async (t) => {
  const failed = JSON.stringify({ error: { ...problem, code: 'loki_failed', status: 502 } });
  const client = await clientOf(t, send(200, 'application/x-ndjson', `${logLine('one')}${logLine('two')}${failed}\n`));
  const { data } = await client.exportLogs({ query: '{}' });
  assert.ok(data);
  const lines: string[] = [];
  const failure = await failureOf(
    (async () => {
      for await (const { line } of readLines(data)) lines.push(line);
    })(),
  );
  assert.equal(failure.code, 'loki_failed');
  assert.deepEqual(lines, ['one', 'two']);
});

const endOf = (lines: number): string => `{"end":{"lines":${lines}}}\n`;

test('an export whose end is missing fails, in every format', async (t) => {
  const whole = await clientOf(t, send(200, 'application/x-ndjson', `${logLine('one')}${logLine('two').slice(0, -1)}`));
  assert.equal((await failureOf(textOf(whole))).code, 'broken_off');
  // As a proxy ends it that hides what has happened behind it.
  for (const end of ['', endOf(1), endOf(3)]) {
    const hidden = await clientOf(t, send(200, 'application/x-ndjson', logLine('one') + logLine('two') + end));
    assert.equal((await failureOf(textOf(hidden))).code, 'broken_off', end);
  }
  for (const media of ['application/x-ndjson', 'text/csv; charset=utf-8', 'text/plain; charset=utf-8']) {
    const client = await clientOf(t, (response) => breakAfter(response, media, logLine('one') + logLine('two')));
    assert.equal((await failureOf(textOf(client))).code, 'broken_off', media);
  }
});

test('an export comes byte for byte, however it is cut', async (t) => {
  const text = Array.from({ length: 50 }, (_, i) => logLine(`line ${i} — ☕`)).join('');
  const bytes = Buffer.from(text);
  for (const size of [1, 7, 1000]) {
    const fetch: typeof globalThis.fetch = () =>
      Promise.resolve(
        new Response(piecesOf(Buffer.concat([bytes, Buffer.from(endOf(50))]), size), {
          headers: { 'Content-Type': 'application/x-ndjson' },
        }),
      );
    const client = await clientOf(t, () => assert.fail('not requested'), { fetch });
    assert.equal(await textOf(client), text);
  }
});

async function textOf(client: Logfence): Promise<string> {
  const { data, error } = await client.exportLogs({ query: '{}' });
  assert.ok(data, JSON.stringify(error));
  // By a reader: Response.text() has its own words for what goes wrong.
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of data.body) text += decoder.decode(chunk, { stream: true });
  return text;
}

function piecesOf(bytes: Uint8Array, size: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(to) {
      if (at >= bytes.length) return to.close();
      to.enqueue(bytes.slice(at, (at += size)));
    },
  });
}

async function all(tail: AsyncIterable<TailEvent>): Promise<TailEvent[]> {
  const events: TailEvent[] = [];
  for await (const event of tail) events.push(event);
  return events;
}

const entries = (id: string, text: string): string =>
  `event: entries\nid: ${id}\ndata: ${JSON.stringify({ streams: [{ stream: { app: 'web' }, values: [['1', text, {}]] }] })}\n\n`;

test('the events of a tail are read however they are cut, and what is new to the client is left out', async (t) => {
  const stream = `:\nretry: 1\n\n${entries('1-a', 'one — ☕')}event: dropped\ndata: {"count":12,"slow_reader":12,"loki":0}\n\n: \r\n\r\nevent: weather\r\ndata: fine\r\n\r\n${entries('2-b', 'two')}`;
  for (const size of [1, 10, 10_000]) {
    const aborter = new AbortController();
    const fetch: typeof globalThis.fetch = () =>
      Promise.resolve(new Response(piecesOf(Buffer.from(stream), size), { headers: { 'Content-Type': 'text/event-stream' } }));
    const client = await clientOf(t, () => assert.fail('not requested'), { fetch });
    const told: string[] = [];
    for await (const event of client.tailLogs({ query: '{}' }, { signal: aborter.signal })) {
      if (event.type === 'interrupted') break;
      if (event.type === 'dropped') told.push(`${event.count} dropped`);
      if (event.type === 'entries') told.push(`${event.id} ${event.streams[0]?.values[0]?.[1]}`);
    }
    assert.deepEqual(told, ['1-a one — ☕', '12 dropped', '2-b two']);
  }
});

test('what Loki interrupts is told, with its end and the mode, over one connection', async (t) => {
  const next = new Date(Date.now() + 60_000).toISOString();
  const stream =
    `event: interrupted\ndata: {"since":"2026-11-23T12:31:02.5Z","next_try":"${next}","detail":"away"}\n\n` +
    'event: resumed\ndata: {"since":"2026-11-23T12:31:02.5Z","from":"2026-11-23T12:30:52Z","lines":3,"detail":"back"}\n\n' +
    'event: mode\ndata: {"mode":"poll","detail":"many"}\n\n';
  const client = await clientOf(t, send(200, 'text/event-stream', stream));
  const [interrupted, resumed, mode] = await take(client.tailLogs({ query: '{}' }), 3);
  assert.ok(interrupted?.type === 'interrupted' && interrupted.since === '2026-11-23T12:31:02.5Z');
  assert.ok(interrupted.retry_in > 0 && interrupted.retry_in <= 60_000 && interrupted.detail === 'away');
  assert.ok(resumed?.type === 'resumed' && resumed.lines === 3);
  assert.ok(mode?.type === 'mode' && mode.mode === 'poll');
});

async function take(events: AsyncGenerator<TailEvent>, n: number): Promise<TailEvent[]> {
  const taken: TailEvent[] = [];
  for await (const event of events) if (taken.push(event) === n) break;
  return taken;
}

test('a tail goes on after the last id, be it that of a heartbeat, for as long as it takes', async (t) => {
  const ids: (string | string[] | undefined)[] = [];
  const client = await clientOf(t, (response, nth, request) => {
    ids.push(request.headers['last-event-id']);
    if (nth === 2) return send(502, 'text/html', 'bad gateway')(response);
    if (nth === 3)
      return send(429, 'application/problem+json', JSON.stringify({ ...problem, code: 'rate_limited', status: 429 }))(response);
    if (nth === 5) return send(403, 'application/problem+json', JSON.stringify({ ...problem, code: 'no_tenant', status: 403 }))(response);
    return breakAfter(response, 'text/event-stream', nth === 1 ? ':\nretry: 1\n\n: no line yet\nid: 5-\n\n' : entries('6-a', 'one'));
  });
  const events: string[] = [];
  const failure = await failureOf(
    (async () => {
      for await (const event of client.tailLogs({ query: '{}' })) events.push(event.type === 'interrupted' ? event.reason : event.type);
    })(),
  );
  assert.deepEqual(ids, [undefined, '5-', '5-', '5-', '6-a']);
  assert.deepEqual(events, ['broken_off', 'not_logfence', 'rate_limited', 'reconnected', 'entries', 'broken_off']);
  assert.equal(failure.code, 'no_tenant');
});

test('a tail of which nothing is heard is taken for dead', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let requests = 0;
  const client = await clientOf(t, () => assert.fail('not requested'), {
    fetch: (request) => {
      requests++;
      const body = new ReadableStream<Uint8Array>({
        start(to) {
          to.enqueue(Buffer.from(requests === 1 ? entries('1-a', 'one') : entries('2-b', 'two')));
          if (request instanceof Request) request.signal.addEventListener('abort', () => to.error(request.signal.reason));
        },
      });
      return Promise.resolve(new Response(body, { headers: { 'Content-Type': 'text/event-stream' } }));
    },
  });
  const tail = client.tailLogs({ query: '{}' });
  assert.equal((await tail.next()).value?.type, 'entries');
  // The caller may take its time.
  t.mock.timers.tick(600_000);
  const next = tail.next();
  await new Promise(setImmediate);
  t.mock.timers.tick(44_000);
  await new Promise(setImmediate);
  assert.equal(requests, 1);
  t.mock.timers.tick(2000);
  const interrupted = (await next).value;
  assert.ok(interrupted?.type === 'interrupted' && interrupted.reason === 'broken_off');
  const after = tail.next();
  await new Promise(setImmediate);
  t.mock.timers.tick(interrupted.retry_in + 1);
  assert.deepEqual((await after).value, { type: 'reconnected' });
  const event = (await tail.next()).value;
  assert.ok(event?.type === 'entries' && event.id === '2-b');
  assert.equal(requests, 2);
  await tail.return();
});

test('a tail whose data cannot be read is not guessed at', async (t) => {
  const client = await clientOf(
    t,
    send(200, 'text/event-stream', 'event: entries\ndata: {"streams":[{"stream":{},"values":[[1,2]]}]}\n\n'),
  );
  assert.equal((await failureOf(all(client.tailLogs({ query: '{}' })))).code, 'not_logfence');
});

test('leaving the loop over a tail ends its request', async (t) => {
  let closed: Promise<unknown> | undefined;
  const client = await clientOf(t, (response) => {
    closed = once(response, 'close');
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(entries('1-a', 'one'));
  });
  for await (const event of client.tailLogs({ query: '{}' })) {
    assert.equal(event.type, 'entries');
    break;
  }
  assert.ok(closed);
  await closed;
});
