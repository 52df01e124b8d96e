import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Origin } from '../../src/model';
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
  type LineFilterOp,
} from '../../src/query/logql';

// addFilter narrows every selector, and changes nothing else of the text.
const filters: [name: string, query: string, filter: [string, string, boolean, Origin?], want: string][] = [
  ['a matcher', '{app="a"}', ['env', 'prod', false, 'stream'], '{app="a", env="prod"}'],
  ['a matcher, negated', '{app="a"}', ['env', 'prod', true, 'stream'], '{app="a", env!="prod"}'],
  ['no query yet', '', ['app', 'a', false, 'stream'], '{app="a"}'],
  ['no query yet, and a field', ' ', ['pod', 'a', false, 'metadata'], '{} | pod="a"'],
  ['no matcher yet', '{}', ['app', 'a', false, 'stream'], '{app="a"}'],
  ['room within braces', '{ }', ['app', 'a', false, 'stream'], '{app="a" }'],
  ['behind the last matcher, not behind its comment', '{app="a" # it\n}', ['b', 'c', false, 'stream'], '{app="a", b="c" # it\n}'],
  ['no matcher, but a pipeline', '{} |= "x"', ['app', 'a', false, 'stream'], '{app="a"} |= "x"'],
  ['no matcher, and room behind it', 'rate({} [1m])', ['f', 'v', false, 'metadata'], 'rate({} | f="v" [1m])'],
  ['no matcher, and no room', 'rate({}[1m])', ['f', 'v', false, 'metadata'], 'rate({} | f="v" [1m])'],
  ['the same again', '{app="a"}', ['app', 'a', false, 'stream'], '{app="a"}'],
  ['the same in a raw string', '{app=`a`}', ['app', 'a', false, 'stream'], '{app=`a`}'],
  ['the opposite makes way', '{app!="a", b="c"}', ['app', 'a', false, 'stream'], '{app="a", b="c"}'],
  ['and the other way round', '{app="a", b="c"}', ['app', 'a', true, 'stream'], '{app!="a", b="c"}'],
  ['an alternation stays and is narrowed', '{app=~"a|b"}', ['app', 'a', false, 'stream'], '{app=~"a|b", app="a"}'],
  ['several negations', '{app!="a"}', ['app', 'b', true, 'stream'], '{app!="a", app!="b"}'],
  ['a name that the query matches is a label of streams', '{app=~"a|b"}', ['app', 'b', true], '{app=~"a|b", app!="b"}'],
  ['another one is a field', '{app="a"}', ['pod', 'b', false], '{app="a"} | pod="b"'],
  ['quotes and backslashes', '{app="a"}', ['path', 'C:\\x "y"', false, 'stream'], '{app="a", path=`C:\\x "y"`}'],
  ['a backtick as well', '{app="a"}', ['path', '`\\"', false, 'stream'], '{app="a", path="`\\\\\\""}'],
  ['controls', '{app="a"}', ['f', 'a\n\u0000\u202e', false, 'metadata'], '{app="a"} | f="a\\n\\u0000\\u202e"'],
  ['behind a pipeline', '{app="a"} |= "x" | json', ['f', 'v', false, 'parsed'], '{app="a"} |= "x" | json | f="v"'],
  ['a matcher beside a pipeline', '{app="a"} | json', ['b', 'v', true, 'stream'], '{app="a", b!="v"} | json'],
  ['the same label filter again', '{app="a"} | f="v"', ['f', 'v', false, 'parsed'], '{app="a"} | f="v"'],
  ['the opposite label filter', '{app="a"} | f="v" | json', ['f', 'v', true, 'parsed'], '{app="a"} | f!="v" | json'],
  ['a part of a condition is none', '{app="a"} | f="v" or g="w"', ['f', 'v', true, 'parsed'], '{app="a"} | f="v" or g="w" | f!="v"'],
  ['before what only shapes', '{app="a"} | json | line_format "{{.f}}" | drop f', ['f', 'v', false, 'parsed'], '{app="a"} | json | f="v" | line_format "{{.f}}" | drop f'],
  ['nothing but what shapes', '{app="a"} | drop f', ['f', 'v', false, 'metadata'], '{app="a"} | f="v" | drop f'],
  ['a parser first', '{app="a"}', ['f', 'v', false, 'json'], '{app="a"} | json | f="v"'],
  ['a parser that is there', '{app="a"} | logfmt', ['f', 'v', false, 'logfmt'], '{app="a"} | logfmt | f="v"'],
  ['logfmt with flags', '{app="a"} | logfmt --strict', ['f', 'v', false, 'logfmt'], '{app="a"} | logfmt --strict | f="v"'],
  ['a parser that reads something else', '{app="a"} | json x="y"', ['f', 'v', false, 'json'], '{app="a"} | json x="y" | json | f="v"'],
  ['a parser before the line is written anew', '{app="a"} | line_format "x" | g="w"', ['f', 'v', false, 'json'], '{app="a"} | json | f="v" | line_format "x" | g="w"'],
  ['a name as the parser makes it', '{app="a"}', ['a.b-c', 'v', false, 'json'], '{app="a"} | json | a_b_c="v"'],
  ['a name with dots', '{app="a"}', ['a.b', 'v', false, 'metadata'], '{app="a"} | label_format a_b=`{{ index . "a.b" }}` | a_b="v"'],
  ['a word of the grammar', '{app="a"}', ['by', 'v', false, 'metadata'], '{app="a"} | label_format by_=`{{ index . "by" }}` | by_="v"'],
  ['a word of the grammar on a stream', '{app="a"}', ['json', 'v', true, 'stream'], '{app="a"} | label_format json_=`{{ index . "json" }}` | json_!="v"'],
  ['a function is a name', '{app="a"}', ['duration', '5s', false, 'parsed'], '{app="a"} | duration="5s"'],
  ['letters that are not ASCII', '{app="a"}', ['größe', 'v', false, 'parsed'], '{app="a"} | größe="v"'],
  ['a metric', 'rate({app="a"}[5m])', ['f', 'v', false, 'metadata'], 'rate({app="a"} | f="v" [5m])'],
  ['a metric, spaced', 'rate({app="a"} [5m])', ['f', 'v', false, 'metadata'], 'rate({app="a"} | f="v" [5m])'],
  ['every leg', 'sum(rate({app="a"} |= "x" [1m])) / sum(rate({app="a"}[1m]))', ['env', 'p', false, 'stream'], 'sum(rate({app="a", env="p"} |= "x" [1m])) / sum(rate({app="a", env="p"}[1m]))'],
  ['only the leg that lacks it', 'rate({app="a"}[1m]) / rate({app="b"}[1m])', ['app', 'a', false, 'stream'], 'rate({app="a"}[1m]) / rate({app="b", app="a"}[1m])'],
  ['before an unwrap', 'sum_over_time({app="a"} | json | unwrap d [1m])', ['f', 'v', false, 'parsed'], 'sum_over_time({app="a"} | json | f="v" | unwrap d [1m])'],
  ['between a range and an unwrap', 'sum_over_time({app="a"}[1m] | unwrap d)', ['f', 'v', false, 'metadata'], 'sum_over_time({app="a"}[1m] | f="v" | unwrap d)'],
  ['behind a range', 'rate({app="a"}[1m] | json)', ['f', 'v', false, 'parsed'], 'rate({app="a"}[1m] | json | f="v")'],
  ['under an offset', 'rate({app="a"}[1m] offset 1h)', ['f', 'v', false, 'metadata'], 'rate({app="a"} | f="v" [1m] offset 1h)'],
  ['under parentheses', '({app="a"} |= "x")', ['f', 'v', false, 'metadata'], '({app="a"} |= "x" | f="v")'],
  ['comments and lines stay', '{app="a"} # one {\n  | json # two\n', ['f', 'v', false, 'parsed'], '{app="a"} # one {\n  | json | f="v" # two\n'],
  ['braces in strings are none', '{app="{}"} |= "{x=\\"y\\"}"', ['b', 'v', false, 'stream'], '{app="{}", b="v"} |= "{x=\\"y\\"}"'],
  ['functions in any case', 'SUM(Rate({a="b"}[5m])) BY (c,d)', ['f', 'v', false, 'stream'], 'SUM(Rate({a="b", f="v"}[5m])) BY (c,d)'],
  ['a range under a function in any case', 'Rate({a="b"}[5m])', ['f', 'v', false, 'metadata'], 'Rate({a="b"} | f="v" [5m])'],
  ['a comment as in Go', '/* { */ {a="b"} // {c="d"}', ['f', 'v', false, 'stream'], '/* { */ {a="b", f="v"} // {c="d"}'],
  ['no comment within a string', '{a="//"} |= "/*"', ['f', 'v', false, 'stream'], '{a="//", f="v"} |= "/*"'],
  ['a matcher that is not ASCII', '{größe="b"}', ['f', 'v', false, 'stream'], '{größe="b", f="v"}'],
  ['one that is not, again', '{größe="b"}', ['größe', 'b', true], '{größe!="b"}'],
  ['nothing to narrow', 'vector(1)', ['f', 'v', false, 'parsed'], 'vector(1)'],
];
for (const [name, query, filter, want] of filters) {
  test(`addFilter: ${name}`, () => assert.equal(addFilter(query, ...filter), want));
}

const lineFilters: [name: string, query: string, text: string, op: LineFilterOp | undefined, want: string][] = [
  ['the first', '{app="a"}', 'x', undefined, '{app="a"} |= "x"'],
  ['no query yet', '', 'x', undefined, '{} |= "x"'],
  ['no matcher', '{} | json', 'x', undefined, '{} |= "x" | json'],
  ['no text', '{app="a"}', '', undefined, '{app="a"}'],
  ['behind those that are there', '{app="a"} |= "x" != "y" | json', 'z', '!=', '{app="a"} |= "x" != "y" != "z" | json'],
  ['behind alternatives', '{app="a"} |= "x" or "y"', 'z', undefined, '{app="a"} |= "x" or "y" |= "z"'],
  ['before parsers, which cost more', '{app="a"} | json | line_format "x"', 'z', undefined, '{app="a"} |= "z" | json | line_format "x"'],
  ['the same again', '{app="a"} |= `x`', 'x', undefined, '{app="a"} |= `x`'],
  ['the opposite makes way', '{app="a"} |= "x" |~ "y"', 'x', '!=', '{app="a"} != "x" |~ "y"'],
  ['an alternative is another filter', '{app="a"} |= "x" or "y"', 'x', undefined, '{app="a"} |= "x" or "y" |= "x"'],
  ['an address is another filter', '{app="a"} |= ip("1.1.1.1")', '1.1.1.1', undefined, '{app="a"} |= ip("1.1.1.1") |= "1.1.1.1"'],
  ['quotes', '{app="a"}', 'say "it"', undefined, '{app="a"} |= `say "it"`'],
  ['every leg', 'rate({a="b"}[1m]) / rate({a="b"} | json [1m])', 'x', undefined, 'rate({a="b"} |= "x" [1m]) / rate({a="b"} |= "x" | json [1m])'],
  ['a regular expression', '{app="a"}', '(?i)x\\.y', '|~', '{app="a"} |~ `(?i)x\\.y`'],
];
for (const [name, query, text, op, want] of lineFilters) {
  test(`addLineFilter: ${name}`, () => assert.equal(addLineFilter(query, text, op), want));
}

const patterns: [name: string, pattern: string, negate: boolean, want: string][] = [
  ['as it is', '<_> GET "/" <_>', false, '{a="b"} |> `<_> GET "/" <_>`'],
  ['others', 'x <_>', true, '{a="b"} !> "x <_>"'],
  ['twice in a row', '<_><_>x<_><_><_>', false, '{a="b"} |> "<_>x<_>"'],
  ['nothing but a hole', '<_><_>', false, '{a="b"}'],
  ['what looks like a capture', '<div> a.b <_>', false, '{a="b"} |~ `(?s)^<div> a\\.b .*$`'],
  ['what looks like a capture, others', '<div><_>', true, '{a="b"} !~ "(?s)^<div>.*$"'],
];
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
  test(`streamSelector leaves out what is not complete: ${unfinished}`, () =>
    assert.equal(streamSelector(unfinished), '{a="b"}'));
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
