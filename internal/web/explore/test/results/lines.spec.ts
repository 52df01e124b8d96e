import assert from 'node:assert/strict';

import type { Page } from 'playwright-core';

import { accessible, statusShows, now, open, openAs, push, run, signIn, test } from '../stack';

const rows = (page: Page) => page.getByRole('feed').getByRole('article');
const row = (page: Page, text: string | RegExp) => rows(page).filter({ hasText: text });
const searchFor = (query: string, more = ''): string => `?q=${encodeURIComponent(query)}&tz=utc${more}`;

/** A stream of the test's own. */
const streamOf = (app: string) => ({ tenant_id: 'alpha', app });

test('what hides or moves text is shown as a sign', async (t) => {
  const lines = [
    '<img src=x onerror="window.hacked=1">',
    '<script>window.hacked=1</script>',
    '\u001b[31mERROR\u001b[0m then \u001b[2Jcleared \u001b]8;;javascript:window.hacked=1\u0007link',
    'user \u202Egpj.exe, ad\u200Bmin',
    'first\nsecond\r\nthird',
    '{{constructor.constructor("window.hacked=1")()}} ${window.hacked=1}',
  ];
  await push(streamOf('strange'), lines);
  const page = await openAs(t, 'ana', { search: searchFor('{app="strange"}') });
  await statusShows(page, /^6 lines/);
  const shown = await page.locator('.r-body').allTextContents();
  assert.deepEqual(shown.reverse(), [
    lines[0],
    lines[1],
    'ERROR then ESC[2Jcleared ESC]8;;javascript:window.hacked=1BELlink',
    'user RLOgpj.exe, adZWSPmin',
    'first↵secondCR↵third',
    lines[5],
  ]);
  await page.locator('.r-ansi-red', { hasText: 'ERROR' }).waitFor();
  for (const one of [0, 2, 4]) await rows(page).nth(one).click();
  assert.equal(await page.getByRole('feed').locator('img, script, a, iframe').count(), 0);
  assert.equal(await page.evaluate(() => 'hacked' in window), false);
  await accessible(page, 'hostile lines with details');
});

test('details tell labels, metadata and fields; each is filtered for and out', async (t) => {
  await push({ ...streamOf('details'), zone: 'a' }, [
    { text: '{"level":"warn","order":{"id":12345678901234567890,"tags":["x"]},"msg":"one"}', metadata: { trace: 't1' } },
    { text: '{"level":"info","order":{"id":2},"msg":"two"}', metadata: { trace: 't2' } },
  ]);
  await push({ ...streamOf('details'), zone: 'b' }, ['level=info order_id=3 msg="a third"']);
  const page = await openAs(t, 'ana', { search: searchFor('{app="details"}') });
  const filters: [row: string, button: string, lines: RegExp, query: string][] = [
    ['one', 'Filter for order_id', /^1 line/, '{app="details"} | json | order_id="12345678901234567890"'],
    ['one', 'Filter out order_id', /^2 lines/, '{app="details"} | json | order_id!="12345678901234567890"'],
    ['one', 'Filter for trace', /^1 line/, '{app="details"} | trace="t1"'],
    ['two', 'Filter out zone', /^1 line/, '{app="details", zone!="a"}'],
    ['third', 'Filter for msg', /^1 line/, '{app="details"} | logfmt | msg="a third"'],
    ['third', 'Filter for detected_level', /^2 lines/, '{app="details"} | detected_level="info"'],
  ];
  for (const [text, button, lines, query] of filters) {
    await run(page, '{app="details"}');
    await statusShows(page, /^3 lines/);
    // A line that was open stays open.
    const details = row(page, text).getByRole('button', { name: 'Details' });
    if ((await details.getAttribute('aria-expanded')) === 'false') await details.click();
    await row(page, text).getByRole('button', { name: button, exact: true }).click();
    await statusShows(page, lines);
    assert.equal(new URL(page.url()).searchParams.get('q'), query);
    await row(page, text).or(rows(page).first()).first().waitFor();
  }
});

test('a line is copied as it is, as JSON, and as a link that shows it', async (t) => {
  await push(streamOf('copied'), [{ text: 'take \u202Eme', metadata: { pod: 'p' } }]);
  const page = await openAs(t, 'ana', {
    search: searchFor('{app="copied"}'),
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  await rows(page).first().click();
  const copied = async (button: string): Promise<string> => {
    await page.getByRole('button', { name: button }).click();
    await page.locator('.r-said').getByText('Copied').waitFor();
    return await page.evaluate(() => navigator.clipboard.readText());
  };
  assert.equal(await copied('Copy line'), 'take \u202Eme');
  const { labels, structured_metadata, line } = JSON.parse(await copied('Copy as JSON')) as Record<string, unknown>;
  assert.deepEqual([(labels as { app: string }).app, (structured_metadata as { pod: string }).pod, line], ['copied', 'p', 'take \u202Eme']);
  const there = await open(t, { search: new URL(await copied('Copy link')).search });
  await signIn(there, 'ana');
  await statusShows(there, /^1 line/);
});

test('a link opens some minutes around its line, which is opened, marked and scrolled to', async (t) => {
  const at = now() - 600_000_000_000n;
  // 3,000 lines after it and 3,000 before: more than a page on both sides, and one at the same nanosecond.
  const lines = Array.from({ length: 6000 }, (_, i) => ({ ns: at + BigInt(i - 3000) * 50_000_000n, text: `number ${i} of many` }));
  await push(streamOf('linked'), [...lines, { ns: at, text: 'the twin' }]);
  const iso = (ns: bigint): string => new Date(Number(ns / 1_000_000n)).toISOString();
  const search = searchFor('{app="linked"}', `&from=${iso(at - 500_000_000n)}&to=${iso(at + 500_000_000n)}`);
  const page = await openAs(t, 'ana', { search, permissions: ['clipboard-read', 'clipboard-write'] });
  await row(page, 'number 3000 of many').click();
  await page.getByRole('button', { name: 'Copy link' }).click();
  await page.locator('.r-said').getByText('Copied').waitFor();
  const link = new URL(await page.evaluate(() => navigator.clipboard.readText()));
  const minutes = (Date.parse(link.searchParams.get('to') ?? '') - Date.parse(link.searchParams.get('from') ?? '')) / 60_000;
  assert.equal(minutes, 10);
  const there = await openAs(t, 'ana', { search: link.search });
  await statusShows(there, /^500 lines, more before/);
  const linked = there.locator('.r-linked');
  await linked.getByRole('button', { name: 'Show context' }).waitFor();
  assert.match((await linked.locator('.r-text').textContent()) ?? '', /^number 3000 of many/);
  assert.equal(await linked.getAttribute('aria-current'), 'true');
  const box = await linked.boundingBox();
  assert.ok(box && box.y > 150 && box.y + 40 < 900, `it is seen, at ${box?.y}`);
  await accessible(there, 'the line of a link');
  await there.getByRole('toolbar').getByRole('button', { name: 'Zoom out' }).click();
  await there.waitForFunction(() => !location.search.includes('line='));
  const gone = new URLSearchParams(link.search);
  gone.set('line', `${at + 7n}.00000000`);
  const other = await openAs(t, 'ana', { search: `?${gone.toString()}` });
  await other.getByRole('note').getByText('The line that this link points to is not among these lines').waitFor();
});

test('a text is found in all loaded lines, one hit after the other', async (t) => {
  await push(
    streamOf('sought'),
    Array.from({ length: 450 }, (_, i) => `line ${i}${i % 100 === 7 ? ' has a Needle (x)' : ''}`),
  );
  const page = await openAs(t, 'ana', { search: searchFor('{app="sought"}') });
  await statusShows(page, /^450 lines/);
  await page.keyboard.press('Control+f');
  const find = page.getByRole('search');
  await page.keyboard.type('needle (X)');
  const steps: [keys: string, count: string, line: number][] = [
    ['', '1 of 5', 407],
    ['Enter', '2 of 5', 307],
    ['Enter', '3 of 5', 207],
    ['Shift+Enter', '2 of 5', 307],
    ['Shift+Enter', '1 of 5', 407],
    ['Shift+Enter', '5 of 5', 7],
    ['Enter', '1 of 5', 407],
  ];
  for (const [keys, count, line] of steps) {
    if (keys) await page.keyboard.press(keys);
    await find.getByRole('status').getByText(count).waitFor();
    await page.locator('.r-hit', { hasText: `line ${line} has` }).waitFor();
    assert.equal(await page.locator('.r-hit mark').textContent(), 'Needle (x)');
  }
  await accessible(page, 'a search in the lines');
  await page.keyboard.type('zzz');
  await find.getByText('not found').waitFor();
  for (let i = 0; i < 3; i++) await page.keyboard.press('Backspace');
  await page.locator('.r-hit', { hasText: 'line 407' }).waitFor();
  await page.keyboard.press('Escape');
  await find.waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement?.querySelector('.r-text')?.textContent), 'line 407 has a Needle (x)');
  assert.equal(await page.locator('.r-hit').count(), 0);
});

test('a context crosses streams: without levels at first, and without each label that is taken out', async (t) => {
  const at = now() - 60_000_000_000n;
  for (const [i, [level, node]] of [
    ['info', 'a'],
    ['error', 'a'],
    ['info', 'b'],
  ].entries()) {
    await push({ ...streamOf('crossed'), level: level ?? '', node: node ?? '' }, [{ ns: at + BigInt(i), text: `${level} of ${node}` }]);
  }
  const page = await openAs(t, 'ana', { search: searchFor('{app="crossed", level="error"}') });
  await rows(page).first().click();
  await page.getByRole('button', { name: 'Show context' }).click();
  const dialog = page.getByRole('dialog', { name: 'Context' });
  const texts = (): Promise<string[]> => dialog.locator('.r-text').allTextContents();
  await dialog.locator('li[aria-current=true]').waitFor();
  assert.deepEqual(await texts(), ['info of a', 'error of a']);
  assert.deepEqual(await dialog.locator('.r-level').allTextContents(), ['info', 'error'], 'levels are words here, too');
  assert.equal(await dialog.getByRole('checkbox', { name: /^level=/ }).isChecked(), false);
  await dialog.getByRole('checkbox', { name: /^node=/ }).uncheck();
  await dialog.getByText('info of b').waitFor();
  assert.deepEqual(await texts(), ['info of a', 'error of a', 'info of b']);
  await dialog.getByRole('checkbox', { name: /^level=/ }).check();
  await dialog.getByText('info of b').waitFor({ state: 'detached' });
  await dialog.locator('li[aria-current=true]').waitFor();
  assert.deepEqual(await texts(), ['error of a']);
  await accessible(page, 'a context of several streams');
});

test('the context of a line grows before and after it', async (t) => {
  await push(
    streamOf('context'),
    Array.from({ length: 100 }, (_, i) => `step ${i} of 100${i === 50 ? ' here' : ''}`),
  );
  const page = await openAs(t, 'ana', { search: searchFor('{app="context"} |= "here"') });
  await rows(page).first().click();
  await page.getByRole('button', { name: 'Show context' }).click();
  const dialog = page.getByRole('dialog', { name: 'Context' });
  await dialog.locator('li[aria-current=true]', { hasText: 'step 50' }).waitFor();
  assert.equal(await dialog.getByRole('listitem').count(), 41);
  await dialog.getByRole('button', { name: 'Load older lines' }).click();
  await dialog.getByText('step 10 of').waitFor();
  await dialog.getByRole('button', { name: 'Load newer lines' }).click();
  await dialog.getByText('step 90 of').waitFor();
  await dialog.getByRole('button', { name: 'Load newer lines' }).click();
  await dialog.getByText('No newer lines').waitFor();
  const texts = await dialog.locator('.r-text').allTextContents();
  assert.deepEqual(
    texts.map((text) => Number(text.split(' ')[1])),
    Array.from({ length: 90 }, (_, i) => i + 10),
  );
  await accessible(page, 'a context');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Show context');
});

test('what was looked for is marked, and a pattern that would never end is not tried', async (t) => {
  await push(streamOf('marks'), [`Timeout after 12ms of ${'a'.repeat(5000)}`]);
  const page = await openAs(t, 'ana', { search: searchFor('{app="marks"} |= "after" |~ "(?i)timeout" |~ "[0-9]+ms" |~ "(a+)+"') });
  await statusShows(page, /^1 line/);
  assert.deepEqual(await page.locator('.r-body mark').allTextContents(), ['Timeout', 'after', '12ms']);
});

test('a long line is cut, and shown whole on demand', async (t) => {
  await push(streamOf('long'), [`begin ${'x'.repeat(60_000)} end`]);
  const page = await openAs(t, 'ana', { search: searchFor('{app="long"}', '&wrap=1') });
  await statusShows(page, /^1 line/);
  assert.equal(await page.locator('.r-text').evaluate((e) => (e.firstChild?.textContent ?? '').length), 10_000);
  await page.getByRole('button', { name: 'show all' }).click();
  await page.locator('.r-text', { hasText: / end$/ }).waitFor();
});

test('keys alone: to a line, along the lines, into one, and out again', async (t) => {
  await push(
    streamOf('keys'),
    Array.from({ length: 300 }, (_, i) => `line number ${i}.`),
  );
  const page = await openAs(t, 'ana', { search: searchFor('{app="keys"}') });
  await statusShows(page, /^300 lines/);
  await page.locator('body').press('j'); // wherever the focus is
  const focused = () => page.evaluate(() => document.activeElement?.querySelector('.r-text')?.textContent);
  assert.equal(await focused(), 'line number 299.');
  for (const [key, want] of [
    ['j', 298],
    ['ArrowDown', 297],
    ['k', 298],
    ['End', 0],
    ['ArrowUp', 1],
    ['Home', 299],
    ['PageDown', undefined],
  ] as const) {
    await page.keyboard.press(key);
    if (want !== undefined) assert.equal(await focused(), `line number ${want}.`, key);
  }
  await page.keyboard.press('Home');
  await page.keyboard.press('Enter');
  await row(page, 'number 299').getByRole('button', { name: 'Show context' }).waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Show context');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Show context' }).waitFor({ state: 'detached' });
});
