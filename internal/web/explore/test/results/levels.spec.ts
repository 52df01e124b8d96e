// A level is more than a color, and a row says where it is from.
import assert from 'node:assert/strict';

import type { Page } from 'playwright-core';

import { accessible, openAs, push, statusShows, test } from '../stack';

const searchFor = (query: string): string => `?q=${encodeURIComponent(query)}`;
const levels = ['critical', 'error', 'warn', 'info', 'debug', 'trace'];
const row = (page: Page, text: string) => page.getByRole('article').filter({ hasText: text });

test('a row has the word of its level, a bar its pattern: in forced colors and without red and green, too', async (t) => {
  await push(
    { tenant_id: 'alpha', app: 'levels' },
    levels.map((level) => `level=${level} msg="as ${level}"`),
  );
  const page = await openAs(t, 'ana', { search: searchFor('{app="levels"}') });
  await statusShows(page, /^6 lines/);
  await page.getByText('trace 1').waitFor();
  const swatches = await page.locator('.r-legend').evaluateAll((all) => all.map((e) => getComputedStyle(e, '::before').backgroundImage));
  assert.equal(new Set(swatches).size, levels.length, 'no two levels have the same pattern');
  const session = await page.context().newCDPSession(page);
  await session.send('Emulation.setEmulatedVisionDeficiency', { type: 'deuteranopia' });
  for (const level of levels) {
    const word = row(page, `as ${level}`).locator('.r-level');
    assert.equal(await word.textContent(), level === 'critical' ? 'crit' : level);
    assert.ok(await word.isVisible());
  }
  await accessible(page, 'levels');
  await page.emulateMedia({ forcedColors: 'active' });
  const table = page.getByRole('button', { name: 'Table' });
  const border = (): Promise<string> => table.evaluate((e) => getComputedStyle(e).borderTopWidth);
  const before = await border();
  await table.click();
  assert.notEqual(await border(), before, 'what is pressed is seen without its color');
});

test('rows of several tenants say which, and show the labels that differ', async (t) => {
  for (const tenant_id of ['alpha', 'beta'])
    await push({ tenant_id, app: 'tagged', region: 'eu', node: `of-${tenant_id}` }, [`from ${tenant_id}`]);
  const page = await openAs(t, 'ben', { search: searchFor('{app="tagged"}') });
  await statusShows(page, /^2 lines/);
  for (const tenant of ['alpha', 'beta']) {
    assert.deepEqual(
      await row(page, `from ${tenant}`).locator('.r-tag').allTextContents(),
      [tenant],
      'a node is of one tenant, so it says no more',
    );
  }
  await page.getByLabel('Tenant').selectOption('beta');
  await statusShows(page, /^1 line /);
  assert.equal(await page.locator('.r-tag').count(), 0, 'one stream needs no tag');
});
