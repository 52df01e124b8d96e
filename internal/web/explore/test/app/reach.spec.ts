// Reached by everybody: by keyboard alone, in both themes, and on a telephone.
import assert from 'node:assert/strict';

import type { Page } from 'playwright-core';

import { accessible, nightly, statusShows, open, openAs, run, signIn, test } from '../stack';

const checkout = `?q=${encodeURIComponent('{app="checkout"} | json')}&limit=100`;

/** The states of the page, each with how to come to it from the one before. */
const states: [string, (page: Page) => Promise<void>][] = [
  ['lines', (page) => statusShows(page, /^100 lines/)],
  [
    'a line opened',
    async (page) => {
      await page.getByRole('article').first().focus();
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Show context' }).waitFor();
    },
  ],
  [
    'a context',
    async (page) => {
      await page.getByRole('button', { name: 'Show context' }).click();
      await page.getByRole('dialog', { name: 'Context' }).locator('li[aria-current=true]').waitFor();
    },
  ],
  [
    'a search in the lines',
    async (page) => {
      await page.keyboard.press('Escape');
      await page.getByRole('dialog', { name: 'Context' }).waitFor({ state: 'detached' });
      await page.keyboard.press('Control+f');
      await page.keyboard.type('e');
      await page.getByRole('search').getByText(/^1 of/).waitFor();
    },
  ],
  [
    'the display',
    async (page) => {
      await page.keyboard.press('Escape');
      await openBy(page, 'd', page.getByRole('dialog', { name: 'Display' }));
    },
  ],
  [
    'columns, folded and wrapped',
    async (page) => {
      for (const name of ['Wrap long lines', 'Fold consecutive equal lines', 'app']) {
        await page.getByRole('checkbox', { name, exact: true }).check();
      }
      await page.keyboard.press('Escape');
      await page.locator('.r-heading').waitFor();
    },
  ],
  [
    'the table of the histogram',
    async (page) => {
      await page.getByRole('button', { name: 'Table' }).click();
      await page.getByRole('region', { name: 'Lines by interval' }).waitFor();
    },
  ],
  [
    'the histogram folded',
    async (page) => {
      await page.getByRole('button', { name: 'Histogram' }).click();
      await page.locator('.r-plot').waitFor({ state: 'detached' });
    },
  ],
  ['commands', (page) => openBy(page, 'Control+k', page.getByRole('dialog', { name: 'Commands' }))],
  [
    'the export',
    async (page) => {
      await page.keyboard.press('Escape');
      await page.getByRole('dialog', { name: 'Commands' }).waitFor({ state: 'detached' });
      await page.getByRole('toolbar').getByRole('button', { name: 'Export' }).click();
      await page.getByRole('dialog', { name: 'Export' }).waitFor();
    },
  ],
  [
    'the time range',
    async (page) => {
      await page.keyboard.press('Escape');
      await openBy(page, 't', page.getByRole('dialog', { name: 'Time range' }));
    },
  ],
  [
    'shortcuts',
    async (page) => {
      await page.keyboard.press('Escape');
      await openBy(page, '?', page.getByRole('dialog', { name: 'Keyboard shortcuts' }));
    },
  ],
  [
    'labels',
    async (page) => {
      await page.keyboard.press('Escape');
      await openBy(page, 'b', page.getByRole('complementary', { name: 'Labels' }));
    },
  ],
  ['fields', (page) => panel(page, 'Fields')],
  ['patterns', (page) => panel(page, 'Patterns')],
  ['history', (page) => panel(page, 'History')],
  [
    'numbers',
    async (page) => {
      await page.getByRole('button', { name: 'Close History' }).click();
      await run(page, 'sum by (app) (count_over_time({app=~".+"}[5m]))');
      await statusShows(page, /series/);
    },
  ],
  [
    'values at one moment',
    async (page) => {
      await page.getByRole('button', { name: 'Instant' }).click();
      await page.getByRole('region', { name: 'Values' }).waitFor();
    },
  ],
  [
    'nothing',
    async (page) => {
      await run(page, '{app="nothing"}');
      await statusShows(page, /^0 lines/);
    },
  ],
  [
    'an error',
    async (page) => {
      await run(page, '{app="checkout"');
      await page.getByRole('alert', { name: 'Error' }).waitFor();
    },
  ],
  [
    'a query that is not run',
    async (page) => {
      await run(page, ' ');
      await page.getByRole('alert').getByText('The query is empty').waitFor();
    },
  ],
  [
    'live',
    async (page) => {
      await run(page, '{app="checkout"}');
      await statusShows(page, /^100 lines/);
      await page.getByRole('button', { name: 'Live' }).click();
      await page.getByRole('region', { name: 'Live tail' }).waitFor();
    },
  ],
];

async function openBy(page: Page, key: string, what: ReturnType<Page['locator']>): Promise<void> {
  await page.getByRole('banner').click({ position: { x: 4, y: 4 } });
  await page.keyboard.press(key);
  await what.waitFor();
}

async function panel(page: Page, name: string): Promise<void> {
  await page.getByRole('toolbar').getByRole('button', { name, exact: true }).click();
  await page.getByRole('complementary', { name }).waitFor();
  await page.waitForLoadState('networkidle');
}

/** Both themes and both widths each time; their other combinations every night. */
const looks = [
  { run: test, colorScheme: 'light', width: 1440 },
  { run: nightly, colorScheme: 'light', width: 390 },
  { run: nightly, colorScheme: 'dark', width: 1440 },
  { run: test, colorScheme: 'dark', width: 390 },
  { run: nightly, colorScheme: 'dark', width: 1440, forcedColors: 'active' },
] as const;

for (const { run: runLook, width, ...look } of looks) {
  runLook(
    `axe finds no serious fault in any state: ${'forcedColors' in look ? 'forced colors' : look.colorScheme}, ${width} pixels`,
    async (t) => {
      const page = await open(t, { search: checkout, ...look, viewport: { width, height: 900 }, expected: /400/ });
      await page.getByRole('button', { name: 'Sign in' }).waitFor();
      await accessible(page, 'signed out');
      const seen = new Set(['signed out']);
      await signIn(page, 'ben');
      for (const [state, reach] of states) {
        if (width === 390 && state === 'fields') await page.getByRole('button', { name: 'Close Labels' }).click();
        if (width === 390 && state === 'patterns') await page.getByRole('button', { name: 'Close Fields' }).click();
        if (width === 390 && state === 'history') await page.getByRole('button', { name: 'Close Patterns' }).click();
        await reach(page);
        await accessible(page, state);
        seen.add(state);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${state}: the page is ${wide} pixels too wide`);
      }
      assert.ok(seen.size >= 20, `${seen.size} states`);
    },
  );
}

test('by keyboard alone: sign in, run, open a line, filter by it, choose a range, and find what keys there are', async (t) => {
  const page = await open(t, { search: checkout });
  const focused = (): Promise<string> =>
    page.evaluate(() => {
      const at = document.activeElement;
      if (at === document.body) return '';
      return `${at?.getAttribute('aria-label') ?? ''} ${at?.textContent?.slice(0, 40) ?? ''}`;
    });
  const tabTo = async (what: RegExp): Promise<void> => {
    for (let tabs = 0; tabs < 80; tabs++) {
      if (what.test(await focused())) return;
      await page.keyboard.press('Tab');
    }
    assert.fail(`${what.source} is not reached by Tab`);
  };
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await tabTo(/Sign in/);
  await page.keyboard.press('Enter');
  await page.getByLabel('Name').waitFor();
  await page.keyboard.type('ana');
  await page.keyboard.press('Tab');
  await page.keyboard.type('ana');
  await page.keyboard.press('Enter');
  await statusShows(page, /^100 lines/);
  await page.locator('.cm-content').waitFor(); // what stands for the editor until it has come would be typed into
  await page.keyboard.press('/');
  await page.locator('.cm-content:focus').waitFor();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('{app="payments"');
  await page.locator('.cm-content', { hasText: '{app="payments"}' }).waitFor();
  await page.keyboard.press('Control+Enter');
  await statusShows(page, /^100 lines/);
  assert.match(page.url(), /payments/);
  await page.keyboard.press('Escape');
  await tabTo(/info|warn|error|debug/);
  await page.keyboard.press('Enter');
  await tabTo(/^Filter for app/);
  const outline = await page.evaluate(() => document.activeElement && getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, 'none', 'the focus is seen');
  await page.getByRole('toolbar').getByRole('button', { name: 'Display' }).focus();
  await page.keyboard.press('t');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'Time range' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: /Last 30 minutes/ }).waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.keyboard.press('l');
  await page.getByRole('region', { name: 'Live tail' }).waitFor();
});

test('the theme is chosen, and stays', async (t) => {
  const page = await openAs(t, 'ana', { search: checkout, colorScheme: 'light' });
  const theme = (): Promise<string | undefined> => page.evaluate(() => document.documentElement.dataset['theme']);
  assert.equal(await theme(), 'light');
  for (const label of ['system', 'light']) await page.getByRole('button', { name: `Theme: ${label}` }).click();
  assert.equal(await theme(), 'dark');
  await page.reload();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.equal(await theme(), 'dark');
});
