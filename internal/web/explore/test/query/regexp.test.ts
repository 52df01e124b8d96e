import assert from 'node:assert/strict';
import { test } from 'node:test';

import { brokenRegexp, mistakeIn } from '../../src/query/regexp';

test('what RE2 takes has no mistake', () => {
  const valid = [
    '',
    'a',
    'a|b',
    '|',
    '(a|)',
    '(?i)err(or)?',
    '(?P<name>x+)',
    '(?<name>x)',
    '(?i:x)',
    '(?s-i)a.b',
    '[a-z]',
    '[]a]',
    '[^]a]',
    '[[:alpha:]]+',
    '[\\]]',
    '\\(',
    '\\d{2,3}',
    'a{',
    '{2}',
    'a*?',
    'a+?',
    'a??',
    '\\Q(\\E',
    '^$',
    '(a)*',
    '\\pL',
    '[(]',
    ']',
    'größe👩',
    '(?:a)(?:b)',
  ];
  for (const regexp of valid) assert.equal(mistakeIn(regexp), undefined, regexp);
});

test('what cannot be compiled says why', () => {
  const broken: [string, RegExp][] = [
    ['a(', /a \( has no closing \)/],
    ['a)', /a \) has no opening \(/],
    ['[a', /a \[ has no closing \]/],
    ['*', /nothing that \* can repeat/],
    ['(+a)', /nothing that \+/],
    ['a|?', /nothing that \?/],
    ['a\\', /ends with a backslash/],
  ];
  for (const [regexp, why] of broken) assert.match(mistakeIn(regexp) ?? '', why, regexp);
});

test('of the line filters alone', () => {
  assert.deepEqual(brokenRegexp('{a="b"} |~ "x" !~ "y("'), { regexp: 'y(', mistake: 'a ( has no closing )' });
  assert.equal(brokenRegexp('{a="b"} |= "x(" | json'), undefined);
  assert.equal(brokenRegexp('rate({a="b"} |~ `a(`[5m])')?.regexp, 'a(');
});
