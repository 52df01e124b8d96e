import assert from 'node:assert/strict';
import { test } from 'node:test';

import { statusOfCode } from '../../../../../gen/typescript/src/gen/codes.gen';
import { adviceOf, explained, mayPass, needsSignIn } from '../../src/advice';
import type { Failure } from '../../src/model';

const problem = { type: '/docs/problems#x', title: 'No', status: 401, detail: 'refused', request_id: '1', code: 'unauthorized' } as const;

test('an expired token is called expired, and one that was not accepted is not', () => {
  assert.equal(explained(problem, 1000, 1000).title, 'Your session has expired');
  assert.equal(explained(problem, 1000, 999).title, 'No');
  assert.equal(explained(problem, undefined, 5000).title, 'No');
  assert.ok(needsSignIn(problem));
});

test('a bad regular expression gets advice on what to write', () => {
  const invalid = { ...problem, status: 400, code: 'query_invalid' } as const;
  assert.match(adviceOf({ ...invalid, detail: 'error parsing regexp: missing closing ): `a(`' }), /put a backslash before/);
  assert.match(adviceOf({ ...invalid, detail: 'syntax error' }), /marked in the query/);
});

/** The failure of each code of openapi.yaml. */
const failures = Object.entries(statusOfCode).map(([code, status]) => ({ ...problem, code, status, retry_after: 1 }) as Failure);

test('every code has advice, in sentences that name no header and no setting', () => {
  for (const failure of failures) {
    assert.match(adviceOf(failure), /^[A-Z].*\.$/, failure.code);
    assert.doesNotMatch(adviceOf(failure), /X-Logfence|LOGFENCE_|_/, failure.code);
  }
});

test('who has no access to Loki, or no live tail, is told what works, and is offered no retry', () => {
  const of = (code: string): Failure => failures.find((failure) => failure.code === code) ?? assert.fail(code);
  assert.match(adviceOf(of('loki_denied')), /signing in again does not help\. The request ID helps your administrator/);
  assert.match(adviceOf(of('websocket_blocked')), /Queries still work.*automatic refresh/);
  for (const code of ['loki_denied', 'websocket_blocked', 'not_enabled']) assert.ok(!mayPass(of(code)), code);
  for (const code of ['loki_failed', 'loki_unreachable', 'rate_limited', 'overloaded']) assert.ok(mayPass(of(code)), code);
});

test('failures without a problem of logfence are told in words for users', () => {
  const noToken = { code: 'token_failed', title: 'No token', detail: 'The token function failed.', status: undefined, cause: 0 } as const;
  assert.equal(explained(noToken, undefined, 0).title, 'Your session could not be renewed');
  const foreign = { code: 'not_logfence', title: 'x', detail: 'Check the base URL.', status: 502 } as const;
  assert.equal(explained(foreign, undefined, 0).detail, 'Another server responded, with status 502.');
});
