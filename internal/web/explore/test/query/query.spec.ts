import assert from 'node:assert/strict';

import type { Locator, Page } from 'playwright-core';

import { accessible, statusShows, openAs, push, run, token, url, write, test } from '../stack';
import { filters, lineFilters, patterns } from './edits';

const editor = (page: Page): Locator => page.getByRole('textbox', { name: 'Query in LogQL' });
const option = (page: Page, name: string): Locator => page.getByRole('option', { name });
const queryInUrl = (page: Page): string | null => new URL(page.url()).searchParams.get('q');

/** Opens a side panel. */
async function panel(page: Page, name: string): Promise<Locator> {
  await page.getByRole('toolbar').getByRole('button', { name, exact: true }).click();
  const aside = page.getByRole('complementary', { name });
  await aside.waitFor();
  return aside;
}

/** Writes a query with a panel open, which Escape would close. */
async function rewrite(page: Page, query: string): Promise<void> {
  await editor(page).click();
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText(query);
}

/** Takes what completion has chosen. It takes no key in its first moments, lest one be meant for the text. */
async function take(page: Page, name: string): Promise<void> {
  await option(page, name).and(page.locator('[aria-selected=true]')).waitFor();
  await page.evaluate(async () => {
    for (let frames = 0; frames < 10; frames++) await new Promise(requestAnimationFrame);
  });
  await page.keyboard.press('Enter');
}

/** The editor's text, once it is this. */
async function reads(page: Page, query: string): Promise<void> {
  await editor(page).waitFor();
  await page.waitForFunction((want) => {
    const host = [...document.querySelectorAll('.q-frame')].find((e) => e.shadowRoot);
    return host?.shadowRoot?.querySelector('.cm-content')?.textContent === want;
  }, query);
}

test('whatever a filter makes of a query is valid to the server', async () => {
  const bearer = `Bearer ${await token('alpha')}`;
  for (const query of new Set([...filters, ...lineFilters, ...patterns].map((row) => row[row.length - 1]))) {
    const response = await fetch(`${url}/api/v1/logs/explain`, {
      method: 'POST',
      headers: { Authorization: bearer, 'Content-Type': 'application/json' },
      body: JSON.stringify({ query }),
    });
    const { valid } = (await response.json()) as { valid?: boolean };
    assert.equal(valid, true, String(query));
  }
});

test('a query is written, completed and run by keyboard alone', async (t) => {
  const page = await openAs(t, 'ana');
  await statusShows(page, /lines/);
  await write(page, '');
  await page.keyboard.press('Delete');
  await page.keyboard.type('{ap');
  await take(page, 'app');
  await page.keyboard.type('che');
  await take(page, 'checkout');
  await reads(page, '{app="checkout"}');
  await page.keyboard.type(', le');
  await take(page, 'level');
  await page.keyboard.type('err');
  await take(page, 'error');
  await page.keyboard.press('End');
  await page.keyboard.type(' | js');
  await take(page, 'json');
  await page.keyboard.type(' | ite');
  await take(page, 'item');
  await page.keyboard.type('="Hui');
  await take(page, 'Huila 1 kg');
  const query = '{app="checkout", level="error"} | json | item="Huila 1 kg"';
  await reads(page, query);
  await page.keyboard.press('Control+Enter');
  await statusShows(page, /line/);
  assert.equal(queryInUrl(page), query);
  await page.keyboard.press('Tab');
  assert.equal(await editor(page).evaluate((e) => e.matches(':focus')), false, 'Tab leaves the editor');
});

test('functions, ranges and groupings are completed', async (t) => {
  const page = await openAs(t, 'ana', { search: '?q=%7B%7D' });
  await statusShows(page, /lines/);
  await write(page, ' ');
  await page.keyboard.press('Backspace');
  await page.keyboard.type('sum by (lev');
  await take(page, 'level');
  await page.keyboard.press('End');
  await page.keyboard.type(' (count_ov');
  await take(page, 'count_over_time');
  await page.keyboard.type('app');
  await take(page, 'app');
  await take(page, 'checkout');
  await reads(page, 'sum by (level) (count_over_time({app="checkout"}[5m]))');
  await page.keyboard.press('Control+Enter');
  await statusShows(page, /^4 series/);
});

test('a value with quotes, backslashes and metacharacters is completed as it is', async (t) => {
  const odd = 'C:\\"a|b"(1)';
  await push({ tenant_id: 'alpha', app: 'query-spec', path: odd }, ['odd']);
  const page = await openAs(t, 'ana');
  await statusShows(page, /lines/);
  for (const [begun, query] of [
    ['{app="query-spec", path="', '{app="query-spec", path=`C:\\"a|b"(1)`}'],
    ['{app="query-spec", path=~"', '{app="query-spec", path=~`C:\\\\"a\\|b"\\(1\\)`}'],
  ] as const) {
    await write(page, begun);
    await page.keyboard.type('C');
    await take(page, odd);
    await page.keyboard.type('}');
    await reads(page, query);
    await page.keyboard.press('Control+Enter');
    await statusShows(page, /^1 line/);
  }
});

test('behind a selector come the parser of its lines, their fields, and then filters of text', async (t) => {
  const page = await openAs(t, 'ana');
  for (const [app, first] of [
    ['checkout', '| json'],
    ['payments', '| logfmt'],
  ] as const) {
    await editor(page).click();
    await page.keyboard.press('Control+A');
    await page.keyboard.insertText(`{app="${app}"}`);
    await page.keyboard.press('Space');
    await page.keyboard.press('Control+Space');
    await option(page, first).waitFor();
    const labels = (await page.getByRole('option').locator('.cm-completionLabel').allTextContents()).map((label) => label.trim());
    assert.equal(labels[0], first);
    const [field, filter] = [labels.findIndex((label) => /^\| (order|level|ts|customer)/.test(label)), labels.indexOf('|=')];
    assert.ok(field > 0 && field < filter, labels.join(', '));
    await page.keyboard.press('Escape');
  }
});

test('a mistake is underlined where it is, whatever precedes it', async (t) => {
  const page = await openAs(t, 'ana', { expected: /400/ });
  await statusShows(page, /lines/);
  for (const [query, mistake, where] of [
    ['{app="checkout"} |= "😀ü" | foo bar', 'bar', 'Column 32'],
    ['{app="checkout"}\n  |= "größe 👩‍👩‍👧" | foo bar', 'bar', 'Line 2, column 26'],
    ['sum(rate({app="ä😀"}[5m])) by', 'y', 'Column 29'],
  ] as const) {
    await write(page, query);
    await page.getByRole('button', { name: where }).waitFor();
    assert.equal(await page.locator('.mistake').textContent(), mistake, query);
    await page.getByRole('button', { name: where }).click();
    assert.ok(await editor(page).evaluate((e) => e.matches(':focus')));
  }
  await accessible(page, 'a mistake');
  await page.keyboard.press('Control+Enter');
  await page.getByRole('alert').first().waitFor();
  await page.getByRole('button', { name: 'Column 29' }).waitFor();
  await write(page, '{app="checkout"}');
  await page.locator('.q-mistake:empty').waitFor({ state: 'attached' });
  assert.equal(await page.locator('.mistake').count(), 0);
});

test('arrows leaf through earlier queries in an empty editor, and leave others alone', async (t) => {
  const page = await openAs(t, 'ana', { search: '?q={app="checkout"}' });
  await statusShows(page, /lines/);
  await run(page, '{app="payments"}');
  await statusShows(page, /lines/);
  await page.keyboard.press('ArrowUp');
  await reads(page, '{app="payments"}');
  await page.keyboard.press('Control+A');
  await page.keyboard.press('Delete');
  await page.keyboard.press('ArrowUp');
  await reads(page, '{app="payments"}');
  await page.keyboard.press('ArrowUp');
  await reads(page, '{app="checkout"}');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.locator('.cm-placeholder').waitFor();
});

test('the label browser writes the query, and reads it', async (t) => {
  const page = await openAs(t, 'ana', { search: '?q={}' });
  await statusShows(page, /lines/);
  const browser = await panel(page, 'Labels');
  await browser.getByRole('button', { name: 'app', exact: true }).click();
  await browser.getByRole('checkbox', { name: /^checkout/ }).check();
  await browser.getByRole('checkbox', { name: /^gateway/ }).check();
  await browser.getByRole('textbox', { name: 'Text 1' }).fill('Order (');
  await browser.getByRole('button', { name: 'error', exact: true }).click();
  await reads(page, '{app=~"checkout|gateway"} |~ `(?i)Order \\(` | detected_level="error"');
  await browser.getByRole('textbox', { name: 'Text 1' }).fill('ORDER');
  await accessible(page, 'the label browser');
  await browser.getByRole('button', { name: 'Run' }).click();
  await statusShows(page, /lines/);
  assert.equal(queryInUrl(page), '{app=~"checkout|gateway"} |~ "(?i)ORDER" | detected_level="error"');

  await rewrite(page, '{env!="prod"} |= "x"');
  await browser.getByText('is not prod').waitFor();
  assert.equal(await browser.getByRole('textbox', { name: 'Text 1' }).inputValue(), 'x');
  await rewrite(page, '{app="checkout"} | json | total > 50');
  await browser.getByText('parts that cannot be shown here').waitFor();
  await reads(page, '{app="checkout"} | json | total > 50');
});

test('three hundred labels and ten thousand values are found by searching', async (t) => {
  const page = await openAs(t, 'ana', { search: '?q={}', viewport: { width: 390, height: 844 } });
  const labelsResponse = (data: string[]) => ({ json: { status: 'success', data } });
  const names = Array.from({ length: 300 }, (_, i) => `label_${i}`);
  const values = Array.from({ length: 10_000 }, (_, i) => `value-${i}`);
  await page.route(/\/api\/v1\/logs\/labels(\?|$)/, (route) => route.fulfill(labelsResponse(names)));
  await page.route(/\/labels\/label_299\/values/, (route) => route.fulfill(labelsResponse(values)));
  await statusShows(page, /lines/);
  const browser = await panel(page, 'Labels');
  await browser.getByRole('searchbox', { name: 'Search labels' }).fill('label_299');
  await page.keyboard.press('Enter');
  await browser.getByText('9,800 more values').waitFor();
  assert.equal(await browser.getByRole('checkbox').count(), 200);
  await browser.getByRole('searchbox', { name: 'Search values of label_299' }).fill('9876');
  await page.keyboard.press('Enter');
  await browser.getByText('is value-9876').waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390, 'nothing sticks out');
  await accessible(page, 'many labels');
});

test('the history keeps, pins and forgets queries, and ends with the session', async (t) => {
  const page = await openAs(t, 'ana', { search: '?q={app="checkout"}' });
  await statusShows(page, /lines/);
  await run(page, '{app="payments"}');
  await statusShows(page, /lines/);
  const history = await panel(page, 'History');
  const queries = history.locator('.q-query');
  assert.deepEqual(await queries.allTextContents(), ['{app="payments"}', '{app="checkout"}']);
  await history.getByRole('button', { name: 'Pin {app="checkout"}' }).click();
  assert.deepEqual(await queries.allTextContents(), ['{app="checkout"}', '{app="payments"}']);
  await accessible(page, 'the history');
  await history.getByRole('button', { name: 'Clear' }).click();
  assert.deepEqual(await queries.allTextContents(), ['{app="checkout"}']);
  await queries.click();
  await statusShows(page, /lines/);
  assert.equal(queryInUrl(page), '{app="checkout"}');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((key) => key.includes('history'))), []);
});

test('patterns filter the query, and what goes without them says so', async (t) => {
  const page = await openAs(t, 'ana', { search: '?q={app="checkout"}', expected: /501|502/ });
  await statusShows(page, /lines/);
  const patterns = await panel(page, 'Patterns');
  await patterns
    .getByRole('button', { name: /^Only these: .*out of stock/ })
    .first()
    .click();
  await statusShows(page, /lines/);
  assert.match(queryInUrl(page) ?? '', /^\{app="checkout"\} \|> "<_>.*out of stock<_>"$/);
  await accessible(page, 'patterns');
  const fail = async (status: number, code: string, title: string) => {
    const problem = { title, status, code, detail: 'x', type: 'x', request_id: 'x' };
    await page.route(/\/patterns/, (route) => route.fulfill({ status, contentType: 'application/problem+json', json: problem }));
  };
  await fail(502, 'loki_failed', 'Loki failed');
  await page.keyboard.press('Escape');
  await run(page, '{app="payments"}');
  await statusShows(page, /lines/);
  const without = await panel(page, 'Patterns');
  await without.getByRole('alert').getByText('Loki failed').waitFor();
  await fail(501, 'not_enabled', 'Feature is not enabled');
  await without.getByRole('button', { name: 'Try again' }).click();
  await without.getByText('Ask your administrator to enable them').waitFor();
});

test('fields show their values, and filter for and out', async (t) => {
  const page = await openAs(t, 'ana', { search: '?q={app="checkout"}' });
  await statusShows(page, /lines/);
  const fields = await panel(page, 'Fields');
  await fields.getByText('item', { exact: true }).click();
  await accessible(page, 'fields');
  await fields.getByRole('button', { name: 'Only item Huila 1 kg' }).click();
  await statusShows(page, /lines/);
  assert.equal(queryInUrl(page), '{app="checkout"} | json | item="Huila 1 kg"');
  await fields.getByText('detected_level', { exact: true }).click();
  await fields.getByRole('button', { name: 'Without detected_level info' }).click();
  await statusShows(page, /lines/);
  assert.equal(queryInUrl(page), '{app="checkout"} | json | item="Huila 1 kg" | detected_level!="info"');
});

test('what cannot be loaded says so, and is requested again', async (t) => {
  const page = await openAs(t, 'ana', { search: '?q={}', expected: /Failed to load resource/ });
  await statusShows(page, /lines/);
  const labels = /\/api\/v1\/logs\/labels(\?|$)/;
  await page.route(labels, (route) => route.abort());
  const browser = await panel(page, 'Labels');
  await browser.getByRole('alert').getByText('could not be reached').waitFor();
  await page.unroute(labels);
  await browser.getByRole('button', { name: 'Try again' }).click();
  await browser.getByRole('button', { name: 'app', exact: true }).waitFor();
});

test('without its editor the page still runs queries', async (t) => {
  const page = await openAs(t, 'ana', { expected: /Failed to load resource|codemirror/ });
  await page.route(/codemirror/, (route) => route.abort());
  await page.reload();
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByLabel('Name').fill('ana');
  await page.getByLabel('Password').fill('ana');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await statusShows(page, /lines/);
  await editor(page).fill('{app="payments"}');
  await page.keyboard.press('Control+Enter');
  await statusShows(page, /lines/);
  assert.equal(queryInUrl(page), '{app="payments"}');
});
