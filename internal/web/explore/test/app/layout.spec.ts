// How much of the page the lines have, and commands by keyboard alone.
import assert from 'node:assert/strict';

import type { Page } from 'playwright-core';

import { accessible, openAs, statusShows, test } from '../stack';

const checkout = `?q=${encodeURIComponent('{app="checkout"}')}`;
const rows = (page: Page) => page.getByRole('feed').getByRole('article');

/** How many rows are seen from top to bottom. */
const seen = (page: Page): Promise<number> =>
  page.evaluate(() => {
    const list = document.querySelector('.r-scroller')?.getBoundingClientRect();
    if (!list) return 0;
    const bottom = Math.min(list.bottom, innerHeight);
    return [...document.querySelectorAll('.r-scroller article')].filter((row) => {
      const { top, bottom: end } = row.getBoundingClientRect();
      return top >= list.top - 1 && end <= bottom + 1;
    }).length;
  });

test('less than a quarter of a window is above the first line, and the histogram folds', async (t) => {
  const page = await openAs(t, 'ana', { search: checkout });
  await statusShows(page, /^500 lines/);
  const top = async (): Promise<number> => (await rows(page).first().boundingBox())?.y ?? Infinity;
  const chart = page.getByRole('region', { name: 'Lines over time' });
  await chart.getByText(/^[\d,]+ lines$/).waitFor();
  assert.ok((await top()) < 225, `the first line is at ${await top()} of 900`);
  const fold = chart.getByRole('button', { name: 'Histogram' });
  await fold.click();
  await chart.locator('.r-plot').waitFor({ state: 'detached' });
  assert.ok((await top()) < 170, `the first line is at ${await top()} of 900 without the histogram`);
  let counted = 0;
  page.on('request', (request) => (counted += request.url().includes('count_over_time') ? 1 : 0));
  await page.keyboard.press('Control+Enter');
  await page.locator('.a-results[aria-busy=false]').waitFor();
  assert.equal(counted, 0, 'what is folded is not counted');
  await fold.click();
  await chart.locator('.r-plot').waitFor();
});

for (const [what, viewports] of [
  [
    'on phones',
    [
      { width: 390, height: 844 },
      { width: 390, height: 664 },
    ],
  ],
  ['at 200 % zoom', [{ width: 720, height: 450 }]],
] as const) {
  test(`eight lines and more are seen ${what}`, async (t) => {
    const page = await openAs(t, 'ana', { search: checkout, viewport: viewports[0] });
    await statusShows(page, /^500 lines/);
    for (const viewport of viewports) {
      await page.setViewportSize(viewport);
      await page.waitForLoadState('networkidle');
      const count = await seen(page);
      assert.ok(count >= 8, `${count} lines are seen`);
      const scrolls = await page.evaluate(() => document.documentElement.scrollHeight - innerHeight);
      assert.ok(scrolls <= 0, `the page itself is ${scrolls} pixels too high`);
    }
  });
}

test('no panel changes its width while a query is typed', async (t) => {
  const page = await openAs(t, 'ana', { search: checkout });
  await statusShows(page, /^500 lines/);
  await page.locator('body').press('b');
  const panel = page.getByRole('complementary', { name: 'Labels' });
  await panel.getByRole('textbox').first().waitFor();
  const widths = async (): Promise<unknown[]> =>
    Promise.all([panel, page.locator('.a-results'), page.locator('.q-editor')].map(async (one) => (await one.boundingBox())?.width));
  const before = await widths();
  await page.getByRole('textbox', { name: 'Query' }).click();
  for (const text of [' |= "a very long text that is looked for in all of the lines"', ' | json', ' | broken(']) {
    await page.keyboard.insertText(text);
    assert.deepEqual(await widths(), before);
  }
});

test('j goes to the lines from anywhere, and Ctrl+K finds commands, ranges and queries', async (t) => {
  const page = await openAs(t, 'ana', { search: checkout });
  await statusShows(page, /^500 lines/);
  const current = () => page.evaluate(() => document.activeElement?.getAttribute('aria-posinset'));
  await page.locator('body').press('j');
  assert.equal(await current(), '1');
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  assert.equal(await current(), '3');
  await page.getByRole('button', { name: 'Live' }).focus();
  await page.keyboard.press('k');
  assert.equal(await current(), '3', 'the list knows where it was');
  const palette = page.getByRole('dialog', { name: 'Commands' });
  await page.getByRole('textbox', { name: 'Query' }).click();
  await page.keyboard.press('Control+k');
  await palette.waitFor();
  await accessible(page, 'commands');
  await page.keyboard.type('hours 6');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: /^Last 6 hours/ }).waitFor();
  await page.keyboard.press('Control+k');
  await page.keyboard.type('columns');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Display' }).waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('no such thing');
  await palette.getByText('No command has these letters.').waitFor();
  await page.keyboard.press('Escape');
  await palette.waitFor({ state: 'detached' });
});
