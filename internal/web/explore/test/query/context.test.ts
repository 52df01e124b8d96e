import assert from 'node:assert/strict';
import { test } from 'node:test';

import { contextAt } from '../../src/query/context';
import { inWords, stretchAt } from '../../src/query/place';

// The place is the end of the text; [kind, what is being written, more].
const contexts: [before: string, kind: string | undefined, typed?: string, more?: object][] = [
  ['', 'expression', ''],
  ['su', 'expression', 'su'],
  ['sum(', 'expression', ''],
  ['sum(ra', 'expression', 'ra'],
  ['topk(5, ', 'expression', ''],
  ['rate({a="b"}[5m]) / ', 'expression', ''],
  ['rate({a="b"}[5m]) > ', 'expression', ''],
  ['vector(1) or ', 'expression', ''],
  ['{', 'label', ''],
  ['{ap', 'label', 'ap'],
  ['{app="a", ', 'label', ''],
  ['{app="a",\n  e', 'label', 'e'],
  ['rate({', 'label', ''],
  ['{app', 'label', 'app'],
  ['{app ', 'operator', '', { of: 'label' }],
  ['{app=', 'value', '', { of: 'label', name: 'app', op: '=' }],
  ['{app="', 'value', '', { name: 'app', op: '=', literal: 5 }],
  ['{app="pa', 'value', 'pa', { name: 'app', op: '=', literal: 5 }],
  ['{app=~"a|b', 'value', 'a|b', { name: 'app', op: '=~' }],
  ['{app!~ `x', 'value', 'x', { name: 'app', op: '!~' }],
  ['{app="a"', undefined],
  ['{app="a"}', 'stage', '', { piped: false, metric: false }],
  ['{app="a"} ', 'stage', '', { piped: false }],
  ['{app="a"} |', 'stage', '', { piped: true }],
  ['{app="a"} | js', 'stage', 'js', { piped: true }],
  ['{app="a"} |= ', undefined],
  ['{app="a"} |= "x', undefined],
  ['{app="a"} != "x', undefined],
  ['{app="a"} |= "x" ', 'stage', '', { piped: false }],
  ['{app="a"} |= "x" != ', undefined],
  ['{app="a"} | json ', 'stage', '', { piped: false }],
  ['{app="a"} | json | lev', 'stage', 'lev', { piped: true }],
  ['{app="a"} | json | level ', 'operator', '', { of: 'field' }],
  ['{app="a"} | json | level=', 'value', '', { of: 'field', name: 'level', op: '=' }],
  ['{app="a"} | json | level!="e', 'value', 'e', { of: 'field', name: 'level', op: '!=' }],
  ['{app="a"} | level="x" and ', 'field', ''],
  ['{app="a"} | level="x" or le', 'field', 'le'],
  ['{app="a"} | (', 'field', ''],
  ['{app="a"} | (level=', 'value', '', { of: 'field', name: 'level' }],
  ['{app="a"} | drop ', 'field', ''],
  ['{app="a"} | keep a, ', 'field', ''],
  ['{app="a"} | label_format x=', undefined],
  ['{app="a"} | line_format "', undefined],
  ['{app="a"} | unwrap ', 'field', '', { unwrap: true }],
  ['{app="a"} | unwrap bytes(', 'field', '', { unwrap: false }],
  ['rate({app="a"}', 'stage', '', { metric: true }],
  ['rate({app="a"} | json ', 'stage', '', { metric: true, piped: false }],
  ['sum(rate({app="a"} | unwrap d ', 'stage', '', { metric: true }],
  ['rate({app="a"}[', 'range', ''],
  ['rate({app="a"}[5', 'range', ''],
  ['sum by (', 'grouping', ''],
  ['sum by (a, le', 'grouping', 'le'],
  ['sum by (a)', undefined],
  ['sum ', 'aggregation', ''],
  ['sum(rate({a="b"}[1m])) by (', 'grouping', ''],
  ['{a="b"} # comment', undefined],
  ['# comment {\n', 'expression', ''],
  ['{a="}"} |= "{" | json | ', 'stage', '', { piped: true }],
  ['{a="ü😀"} | j', 'stage', 'j', { piped: true }],
];
for (const [before, kind, typed, more] of contexts) {
  test(`contextAt: ${JSON.stringify(before)}`, () => {
    const context = contextAt(before);
    assert.equal(context?.kind, kind);
    if (!context) return;
    // Numbers are no words: what follows a range's bracket is completed as a whole.
    if (context.kind !== 'range') assert.equal(before.slice(context.from), typed);
    assert.deepEqual({ ...context, ...more }, { ...context });
  });
}

// The places are those that the server returns, in characters.
const places: [name: string, text: string, line: number, column: number, token: string][] = [
  ['a name', '{app="a"} | foo bar', 1, 17, 'bar'],
  ['behind an emoji and an umlaut', '{app="a"} |= "😀ü" | foo bar', 1, 25, 'bar'],
  ['in the second line', '{app="a"}\n |= "😀ü" | foo bar', 2, 16, 'bar'],
  ['a string with an emoji', '{"😀"="b"}', 1, 2, '"😀"'],
  ['a string without an end', '{app="a"} |= "😀 x', 1, 14, '"😀 x'],
  ['a raw one', '{app="a"} |= `x', 1, 14, '`x'],
  ['behind the end', 'sum(rate({app="ä😀"} [5m])) by', 1, 30, 'y'],
  ['an emoji that is itself wrong', '{a="b"} 😀', 1, 9, '😀'],
  ['behind blanks at the end', '{app="a"} | json | a == ', 1, 25, '='],
  ['behind a comment', '# ü😀 comment\n{app="a"} | fooo', 2, 17, 'o'],
  ['a line that is not there', '{', 3, 7, '{'],
  ['nothing at all', '', 1, 1, ''],
];
for (const [name, text, line, column, token] of places) {
  test(`stretchAt: ${name}`, () => {
    const { from, to } = stretchAt(text, { line, column });
    assert.equal(text.slice(from, to), token);
  });
}

const words: [message: string, want: string][] = [
  ['syntax error: unexpected IDENTIFIER', 'A name does not fit here.'],
  ['syntax error: unexpected $end, expecting } or ,', 'The query ends too early: “}” or “,” is missing.'],
  ['syntax error: unexpected $end', 'The query ends too early.'],
  ['syntax error: unexpected STRING, expecting IDENTIFIER or }', 'A text in quotes does not fit here; expected is a name or “}”.'],
  ['literal not terminated', 'This text has no closing quote.'],
  ['error parsing regexp: missing closing ): `(`', 'Error parsing regexp: missing closing ): `(`.'],
];
for (const [message, want] of words) test(`inWords: ${message}`, () => assert.equal(inWords(message), want));
