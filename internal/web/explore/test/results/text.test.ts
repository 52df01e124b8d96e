import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { piecesOf } from '../../src/results/ansi';
import { fieldsOf, sanitized } from '../../src/results/fields';
import { levelGuessed, levelNamed, levelOf } from '../../src/results/level';
import { marker, simplePattern } from '../../src/results/highlights';
import { quoted, selectorOf } from '../../src/results/selector';

describe('the pieces of a text', () => {
  const shown = (text: string): string =>
    piecesOf(text)
      .map((p) => (p.sign ? `⟨${p.text}⟩` : p.style ? `[${p.style.replaceAll('r-ansi-', '')}:${p.text}]` : p.text))
      .join('');
  for (const [name, text, want] of [
    ['plain', 'hello\tworld', 'hello\tworld'],
    ['markup is text', '<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>'],
    ['a color', '\u001b[31mred\u001b[0m plain', '[red:red] plain'],
    ['bright, bold, background', '\u001b[1;93;44mx', '[bold yellow on-blue:x]'],
    ['ended one by one', '\u001b[1;4;32mx\u001b[22my\u001b[24mz\u001b[39mw', '[bold underline green:x][underline green:y][green:z]w'],
    ['of 256', '\u001b[38;5;196mx\u001b[48;5;21my', '[red:x][red on-blue:y]'],
    ['of all colors', '\u001b[38;2;20;200;30mx', '[green:x]'],
    ['concealed is shown', '\u001b[8msecret', 'secret'],
    ['reset without a number', '\u001b[31mx\u001b[my', '[red:x]y'],
    ['one that moves the cursor is seen', 'a\u001b[2Jb', 'a⟨ESC⟩[2Jb'],
    ['a link of a terminal is seen', '\u001b]8;;http://x\u0007a', '⟨ESC⟩]8;;http://x⟨BEL⟩a'],
    ['an escape at the end', 'a\u001b', 'a⟨ESC⟩'],
    ['controls', 'a\u0000b\r\n\u007f\u0085', 'a⟨NUL⟩b⟨CR⟩⟨↵⟩⟨DEL⟩⟨U+0085⟩'],
    ['directions', 'user\u202Egpj.exe\u2066x\u200F', 'user⟨RLO⟩gpj.exe⟨LRI⟩x⟨RLM⟩'],
    ['nothing wide', 'ad\u200Bmin\uFEFF\u00AD', 'ad⟨ZWSP⟩min⟨BOM⟩⟨SHY⟩'],
    ['tags', 'a\u{E0041}b', 'a⟨U+E0041⟩b'],
    ['a joiner between letters of Latin', 'ad\u200Dmin', 'ad⟨ZWJ⟩min'],
    ['a joiner in an emoji', '👩\u200D💻', '👩\u200D💻'],
    ['a joiner in Persian', 'می\u200Cخواهم', 'می\u200Cخواهم'],
  ] as const) {
    test(name, () => assert.equal(shown(text), want));
  }

  test('places are those of the text', () => {
    const text = 'a\u001b[31mb\u202Ec\n';
    for (const piece of piecesOf(text)) {
      if (!piece.sign) assert.equal(text.slice(piece.at, piece.at + piece.length), piece.text);
    }
    assert.deepEqual(
      piecesOf(text).map(({ at }) => at),
      [0, 6, 7, 8, 9],
    );
  });

  test('only its beginning', () =>
    assert.deepEqual(
      piecesOf('abc\u0000def', 2).map(({ text }) => text),
      ['ab'],
    ));

  test('a megabyte of escapes is read in linear time', () => {
    assert.equal(piecesOf('\u001b['.repeat(100_000)).length, 200_000);
    assert.equal(piecesOf('\u001b[' + '1;'.repeat(500_000)).length, 2);
  });
});

describe('fields', () => {
  for (const [name, text, want] of [
    ['flat', '{"a":"x","b":1}', { a: 'x', b: '1' }],
    ['nested', '{"a":{"b":{"c d":true}}}', { a_b_c_d: 'true' }],
    ['numbers keep their digits', '{"id":12345678901234567890,"p":1.0,"e":-1e+5}', { id: '12345678901234567890', p: '1.0', e: '-1e+5' }],
    ['arrays are left out, as by Loki', '{"a":[1,{"b":2}],"c":"d"}', { c: 'd' }],
    ['null and empty are nothing', '{"a":null,"b":"","c":"d"}', { c: 'd' }],
    ['names', '{"a-b.c":"1","1st":"2"," x ":"3"}', { a_b_c: '1', _1st: '2', x: '3' }],
    ['escapes', '{"a":"\\u00e9\\n\\"\\\\"}', { a: 'é\n"\\' }],
    ['spaces', ' { "a" : "b" , "c" : [ ] , "d" : { } } ', { a: 'b' }],
    ['no JSON: a comma too many', '{"a":"b",}', undefined],
    ['no JSON: more after it', '{"a":"b"} x', undefined],
    ['no JSON: cut', '{"a":"b', undefined],
    ['no JSON: an array', '["a"]', undefined],
    ['no JSON: a raw line feed is refused', '{"a":"b\nc"}', undefined],
    ['logfmt', 'ts=1 level=info msg="hello world" ok path=/a?b=c', { ts: '1', level: 'info', msg: 'hello world', path: '/a?b=c' }],
    ['logfmt with escapes', 'msg="a \\"b\\" \\n" x=', { msg: 'a "b" \n' }],
    ['logfmt with names', 'http.status=200 1x=2', { http_status: '200', _1x: '2' }],
    ['prose is no logfmt', 'the value is x=42, they said', undefined],
    ['an open quote', 'a="b', undefined],
    ['nothing', '', undefined],
  ] as const) {
    test(name, () => {
      const found = fieldsOf(text);
      assert.deepEqual(found && Object.fromEntries(found.fields.map(({ name, value }) => [name, value])), want);
    });
  }

  test('hostile depth and length', () => {
    assert.equal(fieldsOf('{"a":'.repeat(100_000)), undefined);
    assert.equal(fieldsOf('{"a":'.repeat(31) + '1' + '}'.repeat(31))?.fields[0]?.value, '1');
    assert.equal(fieldsOf('x'.repeat(300_000)), undefined);
    assert.equal(fieldsOf(`{${Array.from({ length: 1000 }, (_, i) => `"k${i}":1`).join()}}`)?.fields.length, 500);
  });

  test('a name that is nothing but a number', () => assert.equal(sanitized('42'), '_42'));
});

describe('levels', () => {
  for (const [text, want] of [
    ['level=warn msg=x', 'warn'],
    ['{"ts":"2026","level":"error","msg":"info"}', 'error'],
    ['{"severity": "NOTICE"}', 'info'],
    ['2026-11-23 12:00:00 ERROR something', 'error'],
    ['[warn] something', 'warn'],
    ['<Debug> something', 'debug'],
    ['info: started', 'info'],
    ['FATAL: out of memory', 'critical'],
    ['10.0.0.1 - - "GET /error HTTP/1.1" 200', 'unknown'],
    ['no errors were found', 'unknown'],
    ['the informant said', 'unknown'],
    ['', 'unknown'],
  ] as const) {
    test(text, () => assert.equal(levelGuessed(text), want));
  }

  test('names and numbers', () => {
    assert.deepEqual(['WARNING', ' err ', 'emerg', 'verbose', '3', '6', '50', '30', '10', 'blue', '999'].map(levelNamed), [
      'warn',
      'error',
      'critical',
      'trace',
      'error',
      'info',
      'error',
      'info',
      'trace',
      'unknown',
      'unknown',
    ]);
  });

  test('labels go before the text, and Loki before both', () => {
    const line = { stream: { level: 'info' }, metadata: { detected_level: 'warn' }, parsed: { level: 'debug' }, text: 'ERROR x' };
    assert.equal(levelOf(line), 'warn');
    assert.equal(levelOf({ ...line, metadata: { detected_level: 'unknown' } }), 'debug');
    assert.equal(levelOf({ ...line, metadata: {}, parsed: {} }), 'info');
    assert.equal(levelOf({ stream: {}, metadata: {}, parsed: {}, text: 'ERROR x' }), 'error');
  });
});

describe('marks', () => {
  const marked = (text: string, ...terms: [text: string, regexp?: boolean, caseless?: boolean][]): string => {
    const ranges = marker(terms.map(([text, regexp = false, caseless = false]) => ({ text, regexp, caseless })))(text);
    return ranges.reduceRight((all, [from, to]) => `${all.slice(0, from)}<${all.slice(from, to)}>${all.slice(to)}`, text);
  };
  test('literals', () => assert.equal(marked('a.b axb a.b', ['a.b']), '<a.b> axb <a.b>'));
  test('whatever the case', () => assert.equal(marked('Error ERROR', ['error', false, true]), '<Error> <ERROR>'));
  test('several, that overlap', () => assert.equal(marked('timeout out', ['timeo'], ['out']), '<timeout> <out>'));
  test('patterns', () => assert.equal(marked('took 12ms or 3s', ['\\d+(ms|s)', true]), 'took <12ms> or <3s>'));
  test('a pattern that says it has no case', () => assert.equal(marked('TIMEOUT', ['(?i)time.*', true]), '<TIMEOUT>'));
  test('classes, bounds and groups', () => assert.equal(marked('id=ab12 x', ['id=[a-z]{2}[0-9]{1,3}', true]), '<id=ab12> x'));
  test('what is empty marks nothing', () => assert.equal(marked('abc', [''], ['x*', true]), 'abc'));

  test('patterns that would go back are not tried', () => {
    for (const pattern of ['(a+)+$', '(a|a)*b', '(.*)*', 'a*a*a*b', '(?P<x>a)+', '(a', '[', 'a**', '\\p{L}', '(?=a)', '\\1', 'a{2}{3}']) {
      assert.equal(simplePattern(pattern, false), undefined, pattern);
    }
  });

  test('the worst that is tried ends', () => {
    const text = 'a'.repeat(10_000);
    for (const pattern of ['a*b', 'a*a*b', 'a+.*b', '.*.*\\d', '(?:a?a?a?a?a?a?b|c)']) {
      const compiled = simplePattern(pattern, false);
      assert.ok(compiled, pattern);
      assert.deepEqual(marker([{ text: pattern, regexp: true, caseless: false }])(text), [], pattern);
    }
  });
});

describe('selectors', () => {
  const all = new Set(['app', 'b']);
  test('of a stream', () => assert.equal(selectorOf({ app: 'a', b: 'c"d\\' }, all), '{app="a", b="c\\"d\\\\"}'));
  test('of all streams with some of its labels', () => assert.equal(selectorOf({ app: 'a', b: 'c', pod: 'p' }, all), '{app="a", b="c"}'));
  test('half a character', () => assert.equal(quoted('a\ud800b'), '"a\ufffdb"'));
});
