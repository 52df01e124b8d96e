// Makes the pictures of the README, with `make screenshots`: the same users, lines and times each time, as far as a
// real Loki goes.
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { statusShows, openAs } from './stack';

const folder = fileURLToPath(new URL('../screenshots/', import.meta.url));
mkdirSync(folder, { recursive: true });

const pictures = [
  { name: 'light', width: 1440, colorScheme: 'light', query: '{app="checkout"} | json | duration_ms > 20', open: 2 },
  { name: 'dark', width: 1440, colorScheme: 'dark', query: '{namespace="shop"} |= "refused"', panel: 'Labels' },
  { name: 'narrow-light', width: 390, colorScheme: 'light', query: '{app="payments"}', open: 1 },
  { name: 'narrow-dark', width: 390, colorScheme: 'dark', query: 'sum by (app) (rate({namespace=~".+"}[5m]))' },
] as const;

for (const { name, width, colorScheme, query, ...more } of pictures) {
  test(name, async (t) => {
    const page = await openAs(t, 'ana', {
      search: `?q=${encodeURIComponent(query)}`,
      colorScheme,
      viewport: { width, height: width === 390 ? 844 : 860 },
    });
    await statusShows(page, /^\d+ (lines|series)/);
    if ('panel' in more) {
      await page.getByRole('toolbar').getByRole('button', { name: more.panel, exact: true }).click();
      await page.getByRole('complementary', { name: more.panel }).waitFor();
    }
    if ('open' in more) {
      await page.getByRole('article').nth(more.open).focus();
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Show context' }).waitFor();
    }
    await page.waitForLoadState('networkidle');
    await page.mouse.move(0, 0);
    await page.screenshot({ path: `${folder}${name}.png`, animations: 'disabled' });
  });
}
