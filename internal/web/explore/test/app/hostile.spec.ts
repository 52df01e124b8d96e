// Log lines are strangers' text: whatever is in them is shown, and nothing more.
import assert from 'node:assert/strict';

import { statusShows, openAs, push, startLogfence, open, token, test } from '../stack';

const hostile = [
  '<img src=x onerror="document.title=\'taken\'"><script>document.title="taken"</script>',
  '<svg onload=document.title="taken"><a href="javascript:alert(1)">click</a>',
  '\u001b[31mred\u001b[0m \u001b]0;title\u0007 \u001b[2J',
  'abc \u202etxt.exe\u202c \u2066isolated\u2069 \u200f right',
  'nul \u0000 byte, bell \u0007, \ufeff mark, \ud83d\ude00 and e\u0301\u0301\u0301',
  '{"__proto__":{"taken":1},"constructor":"x","toString":"y","<b>key</b>":"<i>value</i>"}',
  'a="<img src=x onerror=alert(1)>" __proto__=1 constructor=2',
  'x'.repeat(100_000),
  '{{constructor.constructor("alert(1)")()}} ${alert(1)} %s %o \\u003cscript\\u003e',
  'line one\nline two\r\nline three',
];

test('hostile lines do nothing but show', async (t) => {
  await push(
    { tenant_id: 'alpha', app: 'hostile', __proto__x: '<b>label</b>' },
    hostile.map((text) => ({ text, metadata: { '<img src=x>': text.slice(0, 80) } })),
  );
  const page = await openAs(t, 'ana', { search: `?q=${encodeURIComponent('{app="hostile"}')}` });
  const title = await page.title();
  page.on('dialog', () => assert.fail('a dialog'));
  for (const state of ['plain', 'wrapped']) {
    await statusShows(page, new RegExp(`^${hostile.length} lines`));
    await page.getByRole('article').nth(3).waitFor();
    // Every line is opened: its labels, metadata and fields show as well.
    for (let i = 0; i < 6; i++) {
      await page.getByRole('article').nth(i).focus();
      await page.keyboard.press('Enter');
    }
    await page.getByText('<script>').first().waitFor();
    assert.equal(await page.title(), title, state);
    assert.equal(
      await page.locator('article :is(script, iframe, object, a, b, i, [onload], [onerror])').count(),
      0,
      `${state}: no element of a line's own`,
    );
    assert.equal(await page.locator('img, a[href^="javascript:"]').count(), 0);
    assert.equal(await page.evaluate(() => 'taken' in {}), false);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${state}: the page is ${wide} pixels too wide`);
    await page.locator('body').press('w');
  }
});

test('nothing of a query or an error becomes more than text', async (t) => {
  const at = await startLogfence({});
  const query = '{app="<img src=x onerror=alert(1)>"} |= `<script>alert(1)</script>` | bogus <b>';
  const page = await open(t, { at, search: `?q=${encodeURIComponent(query)}&tenant=${encodeURIComponent('<b>x')}`, expected: /40[03]/ });
  await page.getByLabel('Access token').fill(await token('alpha'));
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert', { name: 'Error' }).waitFor();
  assert.equal(await page.locator('img, main script, main b').count(), 0);
});

test('what would be markup is refused by the browser itself', async (t) => {
  const page = await openAs(t, 'ana', { search: '?q={app="checkout"}', expected: /Trusted|TrustedHTML|trusted-types|script-src|violated/ });
  const outcome = await page.evaluate(() => {
    const tried: string[] = [];
    try {
      document.body.innerHTML = '<p>markup</p>';
      tried.push('innerHTML');
    } catch {
      // As it should be.
    }
    const script = document.createElement('script');
    script.append('document.title = "taken"');
    try {
      document.body.append(script);
    } catch {
      // As it should be.
    }
    if (document.title === 'taken') tried.push('an inline script');
    return tried;
  });
  assert.deepEqual(outcome, []);
});
