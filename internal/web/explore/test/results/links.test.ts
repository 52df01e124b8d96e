import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Line } from '../../src/model';
import { linksOf, ruleOf } from '../../src/results/links';

const line = (text: string, stream: Record<string, string> = {}): Line => ({ ns: '1', stream, metadata: {}, parsed: {}, text, key: 1 });
const hrefs = (rule: string, of: Line): string[] => linksOf(of, [ruleOf(rule) ?? assert.fail(rule)]).map(({ href }) => href);

test('a field leads to its host, whatever its value is', () => {
  const rule = 'trace_id=https://tempo.example/trace/{value}?q={value}';
  const cases: [value: string, encoded: string][] = [
    ['abc123', 'abc123'],
    ['a/b', 'a%2Fb'],
    ['../../admin', '..%2F..%2Fadmin'],
    ['x@evil.example', 'x%40evil.example'],
    ['"><script>', '%22%3E%3Cscript%3E'],
    ["it's (a) *", 'it%27s%20%28a%29%20%2A'],
    ['{value}', '%7Bvalue%7D'],
    ['$&$1', '%24%26%241'],
    ['\ud800', '%EF%BF%BD'],
  ];
  for (const [value, encoded] of cases) {
    assert.deepEqual(hrefs(rule, line('x', { trace_id: value })), [`https://tempo.example/trace/${encoded}?q=${encoded}`], value);
  }
  for (const value of ['', '.', '..', 'x'.repeat(501)]) assert.deepEqual(hrefs(rule, line('x', { trace_id: value })), [], value);
});

test('fields are found in metadata and text, too, and the parts of a pattern in text', () => {
  assert.deepEqual(hrefs('id=https://a.example/{value}', line('{"id":"7"}')), ['https://a.example/7']);
  const rule = '/(?i)\\b([A-Z]{2,5})-(\\d+)\\b/=https://jira.example/{1}/{2}#{value}';
  assert.deepEqual(hrefs(rule, line('SHOP-12 and shop-3, SHOP-12 again')), [
    'https://jira.example/SHOP/12#SHOP-12',
    'https://jira.example/shop/3#shop-3',
  ]);
  assert.equal(hrefs('/(\\d)/=https://a.example/{1}', line(Array.from({ length: 100 }, (_, i) => i).join(' '))).length, 10);
});

test('what is not one literal host, or could hang, is no rule', () => {
  for (const rule of [
    'a=http://a.example/{value}',
    'a=https://{value}/',
    'a=https://a.example',
    'a=https://a@b.example/{value}',
    'a=javascript:{value}',
    '/(a+)+/=https://a.example/{value}',
    'nothing',
  ]) {
    assert.equal(ruleOf(rule), undefined, rule);
  }
});
