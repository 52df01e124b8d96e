// A second engine: Firefox, by WebDriver BiDi, does what users do most.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';

import puppeteer, { type Page } from 'puppeteer-core';

import { nightly, push, url } from '../stack';

async function openFirefox(t: TestContext, executablePath: string): Promise<{ page: Page; faults: string[] }> {
  const browser = await puppeteer.launch({ browser: 'firefox', executablePath, headless: true, timeout: 120_000 });
  t.after(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(120_000); // a machine may be busy: nothing is timed here
  await page.setViewport({ width: 1280, height: 900 });
  const faults: string[] = [];
  // The provider's page has no icon, and its own policy has the browser say so.
  page.on('pageerror', (error) => String(error).includes('/favicon.ico') || faults.push(`uncaught: ${String(error)}`));
  page.on('console', (message) => message.type() === 'error' && faults.push(`console: ${message.text()}`));
  return { page, faults };
}

const status = (page: Page, text: string): Promise<unknown> =>
  page.waitForFunction((wanted) => document.querySelector('.a-status')?.textContent?.startsWith(wanted), {}, text);

nightly('Firefox signs in, shows lines and their histogram, opens one, finds a text, and runs a command', async (t) => {
  const firefox = process.env['FIREFOX'];
  if (!firefox) return t.skip('Firefox is not installed');
  await push(
    { tenant_id: 'alpha', app: 'firefox' },
    Array.from({ length: 300 }, (_, i) => `level=${i % 7 ? 'info' : 'error'} msg="number ${i}"`),
  );
  const { page, faults } = await openFirefox(t, firefox);
  await page.goto(`${url}/explore?q=${encodeURIComponent('{app="firefox"}')}`);
  const pressed = async (selector: string): Promise<void> => (await page.waitForSelector(selector, { visible: true }))?.click();
  await pressed('.a-signin button');
  for (const name of ['name', 'password']) await (await page.waitForSelector(`input[name=${name}]`))?.type('ana');
  await pressed('form button');
  await status(page, '300 lines');
  await page.waitForSelector('.r-volume canvas');
  await page.waitForFunction(() => [...document.querySelectorAll('.q-frame')].some((e) => e.shadowRoot?.querySelector('.cm-content')));
  await pressed('h1');
  for (const key of ['j', 'j', 'Enter'] as const) await page.keyboard.press(key);
  await page.waitForSelector('.r-open .r-actions button');
  const opened = await page.$eval('.r-open .r-text', (text) => text.textContent);
  assert.equal(opened, 'level=info msg="number 298"');
  await page.keyboard.down('Control');
  await page.keyboard.press('f');
  await page.keyboard.up('Control');
  await page.keyboard.type('number 7"');
  await page.waitForFunction(() => document.querySelector('.r-hit .r-text')?.textContent === 'level=error msg="number 7"');
  await page.keyboard.press('Escape');
  await page.keyboard.down('Control');
  await page.keyboard.press('k');
  await page.keyboard.up('Control');
  await page.keyboard.type('3 hours');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => location.search.includes('from=now-3h'));
  await status(page, '300 lines');
  assert.deepEqual(faults, []);
});
