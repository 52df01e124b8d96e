// An opened line: what can be done first, then the text, then its fields as a tree, on a phone as well.
import assert from 'node:assert/strict';

import type { Page } from 'playwright-core';

import { accessible, open, openAs, push, startLogfence, statusShows, token, test } from '../stack';

const searchFor = (query: string): string => `?q=${encodeURIComponent(query)}`;
const rows = (page: Page) => page.getByRole('feed').getByRole('article');

test('an opened line has its actions first, arrays in its tree, links, and no value that fills the page', async (t) => {
  const text = JSON.stringify({
    msg: 'see https://status.example/a?b=c.',
    tags: ['x', { deep: 'y' }],
    huge: 'z'.repeat(190_000),
    wide: 'w'.repeat(300),
  });
  await push({ tenant_id: 'alpha', app: 'opened' }, [text]);
  const page = await openAs(t, 'ana', { search: searchFor('{app="opened"}'), viewport: { width: 390, height: 844 } });
  await statusShows(page, /^1 line /);
  await rows(page).first().focus();
  await page.keyboard.press('Enter');
  const row = rows(page).first();
  const box = async (of: ReturnType<Page['locator']>) => (await of.boundingBox()) ?? assert.fail('not shown');
  await row.getByRole('button', { name: 'Show context' }).waitFor();
  assert.ok(
    (await box(row.getByRole('button', { name: 'Show context' }))).y < (await box(row.locator('.r-text'))).y,
    'actions are above the text',
  );
  const shown = await box(row);
  assert.ok(shown.x + shown.width <= 390, `the row is ${shown.width} pixels wide`);
  assert.ok(shown.height < 6000, `the row is ${shown.height} pixels high`);
  const tree = row.getByRole('table', { name: 'Fields in the line (JSON)' });
  assert.deepEqual(await tree.getByRole('rowheader').allTextContents(), ['msg', 'tags', '0', '1', 'deep', 'huge', 'wide']);
  await tree.getByRole('button', { name: 'tags' }).click();
  assert.deepEqual(await tree.getByRole('rowheader').allTextContents(), ['msg', 'tags', 'huge', 'wide']);
  const link = tree.getByRole('link');
  assert.equal(await link.getAttribute('href'), 'https://status.example/a?b=c');
  assert.match((await link.getAttribute('rel')) ?? '', /noopener/);
  await tree.getByRole('button', { name: 'show all (190,000 characters)' }).click();
  await tree.getByRole('button', { name: 'show all' }).waitFor({ state: 'detached' });
  await accessible(page, 'an opened line on a phone');
});

test('an opened line has the links of the operator, each to its host alone', async (t) => {
  const links = 'trace_id=https://tempo.example/trace/{value},/(SHOP)-(\\d+)/=https://jira.example/{1}/{2}';
  const at = await startLogfence({ LOGFENCE_UI_LINKS: links });
  await push({ tenant_id: 'alpha', app: 'leads' }, [{ text: 'see SHOP-12', metadata: { trace_id: '../a b' } }]);
  const page = await open(t, { at, search: searchFor('{app="leads"}') });
  await page.getByLabel('Access token').fill(await token('alpha'));
  await page.getByRole('button', { name: 'Sign in' }).click();
  await statusShows(page, /^1 line /);
  await rows(page).first().focus();
  await page.keyboard.press('Enter');
  const found = page.getByRole('list', { name: 'Links' }).getByRole('link');
  await found.first().waitFor();
  assert.deepEqual(await found.evaluateAll((all) => all.map((link) => [link.getAttribute('href'), link.getAttribute('rel')])), [
    ['https://tempo.example/trace/..%2Fa%20b', 'noopener noreferrer'],
    ['https://jira.example/SHOP/12', 'noopener noreferrer'],
  ]);
  await accessible(page, 'links by rule');
});

test('a double click selects a word and opens nothing; several rows are copied as lines', async (t) => {
  await push({ tenant_id: 'alpha', app: 'selected' }, ['alpha bravo gamma', 'delta epsilon']);
  const page = await openAs(t, 'ana', { search: searchFor('{app="selected"}'), permissions: ['clipboard-read', 'clipboard-write'] });
  await statusShows(page, /^2 lines/);
  await page.locator('.r-text', { hasText: 'alpha' }).dblclick({ position: { x: 10, y: 8 } });
  assert.equal(await page.evaluate(() => getSelection()?.toString().trim()), 'alpha');
  const [top, bottom] = await Promise.all([rows(page).first().boundingBox(), rows(page).last().boundingBox()]);
  assert.ok(top && bottom);
  await page.mouse.move(top.x + 60, top.y + 12);
  await page.mouse.down();
  await page.mouse.move(bottom.x + 600, bottom.y + 12, { steps: 5 });
  await page.mouse.up();
  await page.keyboard.press('Control+C');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'delta epsilon\nalpha bravo gamma');
  assert.equal(await page.getByRole('button', { name: 'Show context' }).count(), 0);
});
