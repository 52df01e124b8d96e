import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parseSimple, printSimple, selectorWithout, type Simple } from '../../src/query/simple';

const of = (more: Partial<Simple>): Simple => ({ labels: [], texts: [], levels: [], ...more });
const is = (name: string, ...values: string[]) => ({ name, values, negate: false });
const not = (name: string, ...values: string[]) => ({ name, values, negate: true });
const text = (text: string, exclude = false, caseless = false) => ({ text, exclude, caseless });

// Each is read so, and written so; `want` where it is written otherwise.
const simples: [name: string, query: string, simple: Simple, want?: string][] = [
  ['nothing', '', of({}), '{}'],
  ['everything', '{}', of({})],
  ['room', '  { } ', of({}), '{}'],
  ['a label', '{app="a"}', of({ labels: [is('app', 'a')] })],
  ['without it', '{app!="a"}', of({ labels: [not('app', 'a')] })],
  ['an empty value', '{app=""}', of({ labels: [is('app', '')] })],
  ['several values', '{app=~"a|b"}', of({ labels: [is('app', 'a', 'b')] })],
  ['none of several', '{app!~"a|b"}', of({ labels: [not('app', 'a', 'b')] })],
  ['any value', '{app=~".+"}', of({ labels: [is('app')] })],
  ['metacharacters', '{app=~`a\\.b|c\\|d|\\(`}', of({ labels: [is('app', 'a.b', 'c|d', '(')] })],
  ['quotes', '{app=`a"\\`}', of({ labels: [is('app', 'a"\\')] })],
  ['one value as an alternation', '{app=~"a"}', of({ labels: [is('app', 'a')] }), '{app="a"}'],
  ['two labels', '{app="a", env!="b"}', of({ labels: [is('app', 'a'), not('env', 'b')] })],
  ['negations of one label', '{app!="a",app!~"b|a"}', of({ labels: [not('app', 'a', 'b')] }), '{app!~"a|b"}'],
  ['a text', '{} |= "x"', of({ texts: [text('x')] })],
  ['texts to find and to leave out', '{} |= "x" != "y"', of({ texts: [text('x'), text('y', true)] })],
  ['whatever the case', '{} |~ `(?i)a\\.b` !~ "(?i)c"', of({ texts: [text('a.b', false, true), text('c', true, true)] })],
  ['a text as a regular expression', '{} |~ `a\\.b`', of({ texts: [text('a.b')] }), '{} |= "a.b"'],
  ['a level', '{} | detected_level="error"', of({ levels: ['error'] })],
  [
    'levels',
    '{a="b"} |= "x" | detected_level=~"error|warn"',
    of({ labels: [is('a', 'b')], texts: [text('x')], levels: ['error', 'warn'] }),
  ],
  [
    'a level before a text',
    '{} | detected_level="error" |= "x"',
    of({ texts: [text('x')], levels: ['error'] }),
    '{} |= "x" | detected_level="error"',
  ],
];
for (const [name, query, simple, want] of simples) {
  test(`parseSimple: ${name}`, () => assert.deepEqual(parseSimple(query), simple));
  test(`printSimple: ${name}`, () => assert.equal(printSimple(simple), want ?? query));
  test(`both ways: ${name}`, () => assert.deepEqual(parseSimple(printSimple(simple)), simple));
}

const clever = [
  '{app=~"a.*"}',
  '{app=~"(?i)a"}',
  '{app!~".+"}',
  '{app="a", app="b"}',
  '{app="a", app!="b"}',
  '{app="a"} |~ "x.y"',
  '{app="a"} |= "x" or "y"',
  '{app="a"} |= ip("1.1.1.1")',
  '{app="a"} |> "x<_>"',
  '{app="a"} | json',
  '{app="a"} | level="x"',
  '{app="a"} | detected_level!="x"',
  '{app="a"} | detected_level="x" or a="b"',
  '{app="a"} | detected_level="x" | detected_level="y"',
  '{app="a"} # why',
  '{app="a"} // why',
  '/* why */ {app="a"}',
  '({app="a"})',
  'rate({app="a"}[1m])',
  '{app="a"',
  '{app="a"} |=',
  '{app=a}',
  '{app="a"} |= ""',
  'vector(1)',
  'checkout',
  '{app="a"} {b="c"}',
];
for (const query of clever) test(`too clever: ${query}`, () => assert.equal(parseSimple(query), undefined));

test('a text that is not written yet is left out', () => {
  assert.equal(printSimple(of({ texts: [text(''), text('x')] })), '{} |= "x"');
});

test('values are looked for among the other choices', () => {
  const simple = of({ labels: [is('app', 'a'), is('env', 'b')], texts: [text('x')], levels: ['error'] });
  assert.equal(selectorWithout(simple, 'app'), '{env="b"}');
  assert.equal(selectorWithout(of({}), 'app'), '{}');
});
