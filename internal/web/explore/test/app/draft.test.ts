import assert from 'node:assert/strict';
import { test } from 'node:test';

import { prepare } from '../../src/app/draft';

test('LogQL runs as it is; plain words are searched for as text, with every metacharacter quoted', () => {
  const cases: [text: string, query: string, note: boolean][] = [
    ['{app="checkout"}', '{app="checkout"}', false],
    [' sum(rate({app="a"}[5m]))', ' sum(rate({app="a"}[5m]))', false],
    ['vector(1)', 'vector(1)', false],
    ['{not closed', '{not closed', false],
    ['connection refused', '{} |~ "(?i)connection refused"', true],
    [' a.b*c (d) [e] |^$ ', '{} |~ `(?i)a\\.b\\*c \\(d\\) \\[e\\] \\|\\^\\$`', true],
    ['say "no" `twice`', '{} |~ "(?i)say \\"no\\" `twice`"', true],
    ['500', '{} |~ "(?i)500"', true],
  ];
  for (const [text, query, noted] of cases) {
    const prepared = prepare(text);
    assert.ok('query' in prepared, text);
    assert.deepEqual([prepared.query, prepared.note !== undefined], [query, noted]);
  }
  for (const text of ['', ' \n ']) assert.match('problem' in prepare(text) ? JSON.stringify(prepare(text)) : '', /The query is empty/);
});
