// How lines are shown: in columns, folded, and with their stack traces.
import assert from 'node:assert/strict';

import type { Page } from 'playwright-core';

import { accessible, openAs, push, statusShows, test } from '../stack';

const searchFor = (query: string, more = ''): string => `?q=${encodeURIComponent(query)}${more}`;
const rows = (page: Page) => page.getByRole('feed').getByRole('article');

test('labels, metadata and fields are columns, which are part of the link', async (t) => {
  await push({ tenant_id: 'alpha', app: 'table', zone: 'a' }, [
    { text: '{"msg":"one","ms":12}', metadata: { pod: 'p-1' } },
    { text: '{"msg":"two"}', metadata: { pod: 'p-2' } },
  ]);
  const page = await openAs(t, 'ana', { search: searchFor('{app="table"}') });
  await statusShows(page, /^2 lines/);
  await page.locator('body').press('d');
  const display = page.getByRole('dialog', { name: 'Display' });
  for (const name of ['zone', 'pod', 'ms']) await display.getByRole('checkbox', { name, exact: true }).check();
  await accessible(page, 'columns');
  await page.keyboard.press('Escape');
  await display.waitFor({ state: 'detached' });
  assert.deepEqual(await page.locator('.r-heading .r-tag').allTextContents(), ['zone', 'pod', 'ms']);
  assert.deepEqual(await rows(page).first().locator('.r-tag').allTextContents(), ['a', 'p-2', '']);
  assert.deepEqual(await rows(page).last().locator('.r-tag').allTextContents(), ['a', 'p-1', '12']);
  const left = (of: ReturnType<Page['locator']>) => of.boundingBox().then((box) => Math.round(box?.x ?? -1));
  for (const i of [0, 1, 2]) {
    const [name, value] = [page.locator('.r-heading .r-tag').nth(i), rows(page).first().locator('.r-tag').nth(i)];
    assert.ok(Math.abs((await left(name)) - (await left(value))) <= 1, `column ${i} stands under its name`);
  }
  assert.match(page.url(), /cols=zone%2Cpod%2Cms/);
});

test('equal lines are folded with their count, on demand', async (t) => {
  await push({ tenant_id: 'alpha', app: 'folded' }, ['same', 'same', 'same', 'other', 'same']);
  const page = await openAs(t, 'ana', { search: searchFor('{app="folded"}') });
  await statusShows(page, /^5 lines/);
  assert.equal(await rows(page).count(), 5);
  await page.locator('body').press('d');
  await page.getByRole('checkbox', { name: 'Fold consecutive equal lines' }).check();
  await page.keyboard.press('Escape');
  assert.equal(await rows(page).count(), 3);
  await rows(page).last().getByText('×3').waitFor();
  await statusShows(page, /^5 lines/);
  assert.match(page.url(), /fold=1/);
});

test('the lines of a stack trace are one row, and each its own where that is not wanted', async (t) => {
  const trace = [
    'level=error msg="order failed"',
    'java.lang.IllegalStateException: no stock',
    '\tat shop.Stock.take(Stock.java:12)',
    '\tat shop.Order.place(Order.java:40)',
    'Caused by: java.io.IOException: closed',
    '\t... 2 more',
    'level=info msg="next"',
  ];
  await push({ tenant_id: 'alpha', app: 'traced' }, trace);
  const page = await openAs(t, 'ana', { search: searchFor('{app="traced"}') });
  await statusShows(page, /^7 lines/);
  assert.equal(await rows(page).count(), 3);
  const row = rows(page).nth(1);
  await row.getByText('5 lines', { exact: true }).waitFor();
  await row.focus();
  await page.keyboard.press('Enter');
  const text = (await row.locator('.r-text').textContent()) ?? '';
  assert.deepEqual(text.replaceAll('↵', '').split('\n'), trace.slice(1, 6));
  await accessible(page, 'a stack trace');
  await page.locator('body').press('d');
  await page.getByRole('checkbox', { name: 'Join the lines of a stack trace' }).uncheck();
  assert.equal(await rows(page).count(), 7);
});
