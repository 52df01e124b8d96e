import assert from 'node:assert/strict';
import { test } from 'node:test';

import { selectsPerStep, unitOf } from '../../src/query/unit';

/** unitOf states a unit only where every value of the query has it. */
test('the unit follows from the query', () => {
  const cases: [query: string, unit: string][] = [
    ['count_over_time({a="b"}[5m])', 'lines'],
    ['sum by (app) (rate({a="b"} |= "x" [5m]))', 'lines/s'],
    ['TOPK(3, sum(bytes_over_time({a="b"}[5m])))', 'bytes'],
    ['(bytes_rate({a="b"}[5m]))', 'bytes/s'],
    ['quantile_over_time(0.99, {a="b"} | unwrap duration(took) [1m])', 's'],
    ['max_over_time({a="b"} | unwrap bytes(size) [1m])', 'bytes'],
    ['sum_over_time({a="b"} | unwrap took_ms [1m])', ''],
    ['stdvar_over_time({a="b"} | unwrap duration(took) [1m])', ''],
    ['rate({a="b"} | unwrap bytes(size) [1m])', ''],
    ['count(rate({a="b"}[5m]))', ''],
    ['rate({a="b"}[5m]) / rate({a="c"}[5m])', ''],
    ['vector(1)', ''],
    ['{a="b"}', ''],
    ['', ''],
  ];
  for (const [query, unit] of cases) assert.equal(unitOf(query), unit, query);
});

test('topk and its like select at each step', () => {
  for (const query of ['topk(3, rate({a="b"}[5m]))', 'sum(BottomK(1, rate({a="b"}[5m])))']) assert.ok(selectsPerStep(query), query);
  for (const query of ['sum(rate({a="topk(1"}[5m]))', '{a="b"}']) assert.ok(!selectsPerStep(query), query);
});
