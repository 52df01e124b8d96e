import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';

import { createLogfence, LogfenceError, readLines, type Logfence } from '@logfence/client';

import { baseUrl, now, push, token } from './gateway.js';

const count = 12_000; // more than Loki returns at once
let alpha: Logfence;
let from: bigint;

const line = (i: number): string => `line ${i} — "quoted"`;

before(async () => {
  alpha = createLogfence({ baseUrl, token: token('alpha') });
  from = now() - 600_000_000_000n;
  await push(
    { tenant_id: 'alpha', app: 'export' },
    Array.from({ length: count }, (_, i) => [from + BigInt(i), line(i)]),
  );
  await push({ tenant_id: 'beta', app: 'export' }, [[from, 'of beta']]);
});

test('an export is written to a file, whole', async (t) => {
  const { data, error } = await alpha.exportLogs({ query: '{app="export"}', format: 'text' });
  assert.ifError(error);
  assert.ok(data);
  assert.match(data.fileName, /^logs-alpha-\d{8}T\d{6}Z-\d{8}T\d{6}Z\.txt$/);
  assert.equal(data.contentType.toLowerCase(), 'text/plain; charset=utf-8');
  const folder = await mkdtemp(join(tmpdir(), 'logfence-export-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, data.fileName), data.body);
  const text = await readFile(join(folder, data.fileName), 'utf8');
  assert.equal(text, Array.from({ length: count }, (_, i) => `${line(i)}\n`).join(''));
});

test('the lines of an export are read one by one', async () => {
  const { data } = await alpha.exportLogs({ query: '{app="export"}' });
  assert.ok(data);
  let i = 0;
  for await (const read of readLines(data)) {
    assert.equal(read.line, line(i++));
    assert.equal(read.labels.tenant_id, 'alpha');
  }
  assert.equal(i, count);
});

test('an export of nothing is empty', async () => {
  for (const format of ['ndjson', 'text'] as const) {
    const { data } = await alpha.exportLogs({ query: '{app="nothing"}', format });
    assert.ok(data);
    assert.equal(await new Response(data.body).text(), '');
  }
});

test('the record of the end is in the export when it was requested', async () => {
  const { data } = await alpha.exportLogs({ query: '{app="export"}', limit: 3, end_record: true });
  assert.ok(data);
  assert.match(await new Response(data.body).text(), /^(\{"timestamp".*\n){3}\{"end":\{"lines":3\}\}\n$/);
});

test('an export that cannot begin is a refusal', async () => {
  const { error } = await alpha.exportLogs({ query: 'rate({app="export"}[1m])' });
  assert.equal(error?.code, 'kind_wrong');
});

test('an aborted export does not look whole', async () => {
  const aborter = new AbortController();
  const { data } = await alpha.exportLogs({ query: '{app="export"}' }, { signal: aborter.signal });
  assert.ok(data);
  const reader = data.body.getReader();
  await reader.read();
  aborter.abort();
  await assert.rejects(
    async () => {
      while (!(await reader.read()).done);
    },
    (err) => err instanceof LogfenceError && err.failure.code === 'aborted',
  );
});

test('leaving the loop over an export ends its request', async () => {
  const { data } = await alpha.exportLogs({ query: '{app="export"}' });
  assert.ok(data);
  for await (const { line: first } of readLines(data)) {
    assert.equal(first, line(0));
    break;
  }
  assert.equal((await data.body.getReader().read()).done, true);
});
