import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  addFilter,
  addLineFilter,
  addPattern,
  isMetric,
  logQuery,
  quote,
  quoteMeta,
  searchTerms,
  streamSelector,
  unquote,
} from '../../src/query/logql';
import { filters, lineFilters, patterns } from './edits';

for (const [name, query, filter, want] of filters) {
  test(`addFilter: ${name}`, () => assert.equal(addFilter(query, ...filter), want));
}

for (const [name, query, text, op, want] of lineFilters) {
  test(`addLineFilter: ${name}`, () => assert.equal(addLineFilter(query, text, op), want));
}

for (const [name, pattern, negate, want] of patterns) {
  test(`addPattern: ${name}`, () => assert.equal(addPattern('{a="b"}', pattern, negate), want));
}

const selectors: [name: string, query: string, selector: string, log: string][] = [
  ['itself', '{app="a", b=~`c.*`}', '{app="a", b=~"c.*"}', '{app="a", b=~`c.*`}'],
  ['a pipeline', '{app="a"} |= "x" | json # c', '{app="a"}', '{app="a"} |= "x" | json'],
  ['none', 'vector(1)', '{}', '{}'],
  ['an empty one', '{} |= "x"', '{}', '{} |= "x"'],
  ['an empty text', '', '{}', '{}'],
  ['the first leg', 'rate({a="b"} |= "x" [1m]) / rate({c="d"}[1m])', '{a="b"}', '{a="b"} |= "x"'],
  ['the range before the pipeline', 'sum_over_time({a="b"}[1m] | json | unwrap x)', '{a="b"}', '{a="b"} | json'],
  ['a comment within', '{a="b", # c\n c="d"}', '{a="b", c="d"}', '{a="b", # c\n c="d"}'],
];
for (const [name, query, selector, log] of selectors) {
  test(`streamSelector: ${name}`, () => assert.equal(streamSelector(query), selector));
  test(`logQuery: ${name}`, () => assert.equal(logQuery(query), log));
}
for (const unfinished of ['{a="b", ', '{a="b", c', '{a="b", c=', '{a="b", c="', '{a="b"', '{a="b", c="d']) {
  test(`streamSelector leaves out what is not complete: ${unfinished}`, () => assert.equal(streamSelector(unfinished), '{a="b"}'));
}

const metrics: [query: string, want: boolean][] = [
  ['', false],
  ['{a="b"}', false],
  ['({a="b"})', false],
  ['{a="b"} |= "rate("', false],
  ['# sum(\n{a="b"}', false],
  ['rate({a="b"}[1m])', true],
  ['// rate(\n{a="b"}', false],
  ['Rate({a="b"}[1m])', true],
  ['  # {\n sum by (a) (rate({a="b"}[1m]))', true],
  ['(rate({a="b"}[1m]))', true],
  ['1 + 1', true],
  ['vector(1)', true],
  ['label_replace(rate({a="b"}[1m]), "a", "b", "c", "d")', true],
];
for (const [query, want] of metrics) test(`isMetric: ${query}`, () => assert.equal(isMetric(query), want));

const literal = (text: string) => ({ text, regexp: false, caseless: false });
const terms: [name: string, query: string, want: ReturnType<typeof searchTerms>][] = [
  ['none', '{a="b"} | json', []],
  ['texts, not those left out', '{a="b"} |= "x" != "y" |= `z`', [literal('x'), literal('z')]],
  ['alternatives', '{a="b"} |= "x" or "y"', [literal('x'), literal('y')]],
  ['escapes', '{a="b"} |= "a\\"\\u00fc\\xc3\\xa4"', [literal('a"üä')]],
  ['an empty one', '{a="b"} |= ""', []],
  ['an address', '{a="b"} |= ip("1.1.1.1")', []],
  ['a pattern', '{a="b"} |> "x<_>"', []],
  ['a regular expression', '{a="b"} |~ "x.y"', [{ text: 'x.y', regexp: true, caseless: false }]],
  ['one that is a text', '{a="b"} |~ `x\\.y`', [literal('x.y')]],
  ['whatever the case', '{a="b"} |~ "(?i)Fehler"', [{ text: 'Fehler', regexp: false, caseless: true }]],
  ['a class is no text', '{a="b"} |~ `\\d`', [{ text: '\\d', regexp: true, caseless: false }]],
  ['nothing but a flag', '{a="b"} |~ "(?i)"', []],
  ['each once, of all legs', 'rate({a="b"} |= "x" [1m]) / rate({a="b"} |= "x" |= "y" [1m])', [literal('x'), literal('y')]],
  ['in any script and case', 'RATE({ä="b"} |= "X" [1m])', [literal('X')]],
  ['behind other stages', '{a="b"} | json |= "x"', [literal('x')]],
];
for (const [name, query, want] of terms) test(`searchTerms: ${name}`, () => assert.deepEqual(searchTerms(query), want));

const strings = ['', 'a', '"', '\\', '`', '`"\\', 'a\nb', '\t\r\u0000\u001b', 'ü😀', '\u202e\ufeff', '\\n', 'C:\\new', '\u2028'];
for (const text of strings) {
  test(`quote: ${JSON.stringify(text)}`, () => {
    assert.equal(unquote(quote(text)), text);
    assert.doesNotMatch(quote(text), /[\u0000-\u001f\u202e\ufeff]/);
  });
  test(`quoteMeta: ${JSON.stringify(text)}`, () => assert.ok(new RegExp(`^${quoteMeta(text)}$`).test(text)));
}
test('quote: half of a pair', () => assert.equal(quote('a\ud83d'), '"a\ufffd"'));
for (const broken of ['', '"', '"a', 'a', '"\\q"', '"\\x1"', '"\\U00110000"', "'a'", '"a\nb"', '`a`b`', '"a"b"']) {
  test(`unquote refuses ${JSON.stringify(broken)}`, () => assert.equal(unquote(broken), undefined));
}
