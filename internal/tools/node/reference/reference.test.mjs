// The reference as users see it: in a real browser, from the real binary, without requests to other hosts.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { startLogfence } from './server.mjs';

const wide = { width: 1440, height: 1000 };
const narrow = { width: 390, height: 844 };
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

// Whatever takes longer does not come.
const patience = 10_000;

let logfence;
let browser;

before(async () => {
  logfence = await startLogfence(process.env.LOGFENCE);
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: [
      // Root, as in containers, has no sandbox.
      ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ],
  });
});

after(async () => {
  await browser?.close();
  await logfence?.stop();
});

/** Opens a page, and collects whatever is wrong with it on the way. */
async function open(viewport, path) {
  const page = await browser.newPage({ viewport });
  page.setDefaultTimeout(patience);
  const faults = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
  page.on('requestfailed', (request) => faults.push(`refused: ${request.url()}`));
  page.on('request', (request) => {
    const { protocol } = new URL(request.url());
    if (!request.url().startsWith(`${logfence.url}/`) && !['data:', 'blob:'].includes(protocol)) faults.push(`foreign: ${request.url()}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) faults.push(`${response.status()}: ${response.url()}`);
  });
  await page.goto(logfence.url + path);
  return { page, faults };
}

/** Ends with a page; where SCREENSHOTS names a folder, a picture is written there. */
async function close(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name}.png` });
  await page.close();
}

/** What axe finds in the page that would keep someone from using it. */
async function barriers(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }));
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.map(({ html, target }) => `  ${target}: ${html.slice(0, 200)}`).join('\n')}`);
}

const operation = '/docs#/queries/querylogs';
const heading = (page) => page.getByRole('heading', { name: /Query over a time range$/ }).first();

for (const [name, viewport] of Object.entries({ wide, narrow })) {
  test(`the reference is complete, and requests no other host (${name})`, async () => {
    const { page, faults } = await open(viewport, '/docs');
    await page.getByRole('heading', { name: /^logfence/ }).waitFor();
    assert.deepEqual(await barriers(page), []);
    assert.deepEqual(faults, []);
    await close(page, `docs-${name}`);
  });

  test(`an operation shows its request and its responses (${name})`, async () => {
    const { page, faults } = await open(viewport, operation);
    await heading(page).waitFor();
    const text = await page.locator('body').innerText();
    for (const part of ['Tenant isolation by query', 'query_too_wide', 'curl']) assert.ok(text.includes(part), `${part} is not shown`);
    assert.deepEqual(await barriers(page), []);
    // The policy refuses style attributes: it is the style sheet that colors code.
    const colors = await page.evaluate(() =>
      ['.th-string', '.th-code'].map((name) => getComputedStyle(document.querySelector(name)).color),
    );
    assert.notEqual(colors[0], colors[1]);
    assert.deepEqual(faults, []);
    await close(page, `operation-${name}`);
  });

  test(`a problem is explained where its type leads (${name})`, async () => {
    const { page, faults } = await open(viewport, '/docs/problems#query_too_wide');
    const section = page.locator('section:target');
    assert.match(await section.innerText(), /^query_too_wide 422 Query covers too much time/);
    assert.ok(await section.evaluate((node) => Math.abs(node.getBoundingClientRect().top) < 5), 'the page is not at the section');
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), 'the page is wider than the window');
    assert.deepEqual(await barriers(page), []);
    assert.deepEqual(faults, []);
    await close(page, `problems-${name}`);
  });
}

test('what every path does can be shown', async () => {
  const { page, faults } = await open(wide, '/docs');
  const { paths } = await (await fetch(`${logfence.url}/openapi.json`)).json();
  const operations = Object.values(paths).map(({ get, post }) => get ?? post);
  assert.ok(operations.length > 20);
  for (const { tags, operationId, summary } of operations) {
    const address = `#/${tags[0]}/${operationId}`.toLowerCase();
    await page.evaluate((hash) => {
      location.hash = hash;
    }, address);
    await page.locator(`a[href$="${address}"]`).first().waitFor({ state: 'attached' });
    await page
      .getByRole('heading', { name: new RegExp(`${summary}$`) })
      .first()
      .waitFor();
  }
  assert.deepEqual(faults, []);
  await close(page, 'last');
});

test('search finds query', async () => {
  const { page, faults } = await open(wide, '/docs');
  await page.getByRole('heading', { name: /^logfence/ }).waitFor();
  await page.getByText('Search', { exact: false }).first().click();
  await page.keyboard.type('query');
  await page.getByText('Query over a time range', { exact: true }).first().waitFor();
  assert.deepEqual(faults, []);
  await close(page, 'search');
});

test('a response links to what explains its codes', async () => {
  const { page, faults } = await open(wide, operation);
  await heading(page).waitFor();
  await page.getByText('400', { exact: true }).first().click();
  await page.locator('a[href$="/docs/problems#query_invalid"]').first().click();
  await page.locator('section:target').waitFor();
  assert.equal(await page.locator('section:target').getAttribute('id'), 'query_invalid');
  assert.deepEqual(faults, []);
  await close(page, 'codes');
});
