import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import { createLogfence, type Logfence } from '@logfence/client';

import { baseUrl, now, push, token } from './gateway.js';

let alpha: Logfence;
let from: bigint;

before(async () => {
  alpha = createLogfence({ baseUrl, token: token('alpha') });
  from = now() - 60_000_000_000n;
  const lines = (tenant: string): [bigint, string, Record<string, string>][] =>
    [0n, 1n, 2n].map((i) => [from + i, `level=info msg="${tenant} ${i}" took=${i}ms`, { trace_id: `${tenant}-${i}` }]);
  await push({ tenant_id: 'alpha', app: 'responses' }, lines('alpha'));
  await push({ tenant_id: 'beta', app: 'responses' }, lines('beta'));
});

test('a query gives the lines of the tenant, and of no other', async () => {
  const { data, error, response } = await alpha.queryLogs(
    { query: '{app="responses"} | logfmt', direction: 'forward' },
    { categorizeLabels: true },
  );
  assert.ifError(error);
  assert.equal(response?.status, 200);
  assert.equal(data?.data.resultType, 'streams');
  assert.ok(data.data.resultType === 'streams');
  assert.deepEqual(
    data.data.result.flatMap(({ stream, values }) =>
      values.map(([at, line, labels]) => [stream.tenant_id, at, line, labels?.structuredMetadata?.trace_id, labels?.parsed?.took]),
    ),
    [0n, 1n, 2n].map((i) => ['alpha', String(from + i), `level=info msg="alpha ${i}" took=${i}ms`, `alpha-${i}`, `${i}ms`]),
  );
});

test('a metric query gives points', async () => {
  const { data } = await alpha.queryLogs({ query: 'sum by (app) (count_over_time({app="responses"}[1h]))', step: '1h' });
  assert.ok(data?.data.resultType === 'matrix');
  const [seconds, value] = data.data.result[0]?.values.at(-1) ?? [];
  assert.equal(typeof seconds, 'number');
  assert.equal(value, '3');
  assert.deepEqual(data.data.result[0]?.metric, { app: 'responses' });
});

test('a query at one moment gives a vector, or a number', async () => {
  const vector = await alpha.queryInstant({ query: 'sum(count_over_time({app="responses"}[1h]))' });
  assert.ok(vector.data?.data.resultType === 'vector');
  assert.equal(vector.data.data.result[0]?.value[1], '3');
  const scalar = await alpha.queryInstant({ query: '1+1' });
  assert.ok(scalar.data?.data.resultType === 'scalar');
  assert.equal(scalar.data.data.result[1], '2');
});

test('a query that is too long for a URL is sent in a form', async () => {
  const long = `{app=~"responses|${'x'.repeat(9000)}"}`;
  const { data, error } = await alpha.queryLogs({ query: long, limit: 1 });
  assert.ifError(error);
  assert.ok(data?.data.resultType === 'streams');
  assert.equal(data.data.result.length, 1);
});

test('every other operation responds', async () => {
  const query = '{app="responses"}';
  const results = {
    labels: await alpha.listLabels(),
    values: await alpha.listLabelValues('app', { query }),
    detectedLabels: await alpha.listDetectedLabels(),
    series: await alpha.listSeries({ match: [query, '{app="other"}'] }),
    stats: await alpha.getStats({ query }),
    volume: await alpha.getVolume({ query }),
    volumeRange: await alpha.getVolumeRange({ query, step: '10m' }),
    patterns: await alpha.listPatterns({ query }),
    fields: await alpha.listFields({ query }),
    fieldValues: await alpha.listFieldValues('took', { query: `${query} | logfmt` }),
    explained: await alpha.explainQuery({ query }),
    me: await alpha.getMe(),
    context: await alpha.getContext({ stream: '{app="responses"}', timestamp: String(from + 1n), before: 5, after: 5 }),
  };
  for (const [name, { error }] of Object.entries(results)) assert.equal(error, undefined, name);
  assert.ok(results.labels.data?.data?.includes('app'));
  assert.deepEqual(results.values.data?.data, ['responses']);
  assert.equal(results.series.data?.data[0]?.tenant_id, 'alpha');
  assert.deepEqual(results.me.data?.tenants, ['alpha']);
  assert.deepEqual(
    results.context.data?.at.map(({ line }) => line),
    ['level=info msg="alpha 1" took=1ms'],
  );
  assert.equal(results.context.data?.before.length, 1);
  assert.equal(results.context.data?.after.length, 1);
});

test('a tenant is chosen for the client, or for a request', async () => {
  const both = createLogfence({ baseUrl: `${baseUrl}/`, token: token(['alpha', 'beta']), tenant: 'beta' });
  assert.deepEqual((await both.getMe()).data?.tenants, ['beta']);
  assert.deepEqual((await both.getMe({ tenant: 'alpha' })).data?.tenants, ['alpha']);
  assert.equal((await both.getMe({ tenant: 'gamma' })).error?.code, 'tenant_not_yours');
});

test('a function that gives the token is called for each request', async () => {
  let calls = 0;
  const client = createLogfence({ baseUrl, token: async () => (calls++, token('alpha')) });
  await client.getMe();
  assert.ifError((await client.getMe()).error);
  assert.equal(calls, 2);
});

test('a refusal is told by its code, with what belongs to it', async () => {
  const { data, error, response } = await alpha.queryLogs({ query: '{app="responses" |=' });
  assert.equal(data, undefined);
  assert.ok(error?.code === 'query_invalid');
  assert.deepEqual([error.status, error.column], [400, 18]);
  assert.equal(error.request_id, response?.headers.get('X-Request-ID'));

  const wide = await alpha.queryLogs({ query: '{app="responses"}', since: '90d' });
  assert.equal(wide.error?.code, 'query_too_wide');
  const wrong = await alpha.queryLogs({ query: '{app="responses"}', start: 'yesterday' });
  assert.ok(wrong.error?.code === 'parameter_invalid');
  assert.equal(wrong.error.parameter, 'start');
  const stranger = createLogfence({ baseUrl, token: 'none' });
  assert.equal((await stranger.queryLogs({ query: '{}' })).error?.code, 'unauthorized');
});

test('an aborted request says so', async () => {
  const aborter = new AbortController();
  const pending = alpha.queryLogs({ query: '{app="responses"}' }, { signal: aborter.signal });
  aborter.abort('not needed any more');
  const { error, response } = await pending;
  assert.ok(error?.code === 'aborted');
  assert.equal(error.cause, 'not needed any more');
  assert.equal(response, undefined);
});
