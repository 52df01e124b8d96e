// What is typed and what was run are two things: nothing but Run takes what is typed.
import assert from 'node:assert/strict';

import type { Page } from 'playwright-core';

import { open, openAs, push, startLogfence, statusShows, token, write, test } from '../stack';

const checkout = `?q=${encodeURIComponent('{app="checkout"}')}&limit=100`;
const editor = (page: Page) => page.getByRole('textbox', { name: 'Query' });
const query = (page: Page): string | null => new URL(page.url()).searchParams.get('q');

test('range, limit, order and refresh act on the query that was run, while another is being typed', async (t) => {
  await push({ tenant_id: 'alpha', app: 'typed' }, ['first']);
  const page = await openAs(t, 'ana', { search: '?q={app="typed"}' });
  await statusShows(page, /^1 line .*\{app="typed"\} from .* loaded at/);
  await write(page, '{app="payments"');
  await page.getByLabel('Refresh').selectOption('5');
  await push({ tenant_id: 'alpha', app: 'typed' }, ['second']);
  await statusShows(page, /^2 lines/);
  await page.getByRole('button', { name: 'Display' }).click();
  await page.getByLabel('Limit').selectOption('1000');
  await page.getByLabel('Order', { exact: true }).selectOption('forward');
  await page.keyboard.press('Escape');
  await page.getByRole('toolbar').getByRole('button', { name: 'Zoom out' }).click();
  await page.waitForURL(/limit=1000&dir=forward/);
  await statusShows(page, /^2 lines/);
  assert.equal(query(page), '{app="typed"}');
  await editor(page).getByText('{app="payments"').waitFor();
  assert.equal(await page.getByRole('alert', { name: 'Error' }).count(), 0, 'what is typed was not sent');
});

test('plain words are searched for, Enter runs, Shift+Enter breaks the line, and an empty query says what to do', async (t) => {
  await push({ tenant_id: 'alpha', app: 'plain' }, ['Upstream (api.v2) REFUSED the connection', 'upstream xapixv2x refused']);
  const page = await openAs(t, 'ana', { search: checkout });
  await statusShows(page, /^100 lines/);
  await write(page, '(API.v2) refused');
  await page.keyboard.press('Enter');
  await statusShows(page, /^1 line /);
  await page.getByText('“(API.v2) refused” is not LogQL: it is searched for as text').waitFor();
  assert.equal(query(page), '{} |~ `(?i)\\(API\\.v2\\) refused`');
  await write(page, '');
  await page.keyboard.press('Delete');
  await page.keyboard.press('Escape'); // what is suggested for an empty text
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText('The query is empty.').waitFor();
  await statusShows(page, /^1 line /);
  await page.keyboard.type('{app="plain"');
  await page.keyboard.press('End');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.insertText('|= "xapixv2x"');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Enter');
  await page.waitForURL(/xapixv2x/);
  await statusShows(page, /^1 line /);
  assert.match(query(page) ?? '', /\}\n\s*\|=/);
});

test('a bad regular expression says what to write, and a part of the URL that cannot be read is reported', async (t) => {
  const search = `?q=${encodeURIComponent('{app=~"a("}')}&from=yesterdayish&dir=up`;
  const page = await openAs(t, 'ana', { search, expected: /400/ });
  await page.getByRole('alert', { name: 'Error' }).getByText('put a backslash before each of them').waitFor();
  await write(page, '{app="checkout"} |~ "a("');
  await page.keyboard.press('Control+Enter');
  await page.getByRole('alert').getByText('The regular expression “a(” cannot be used: a ( has no closing ).').waitFor();
  const report = page.getByRole('alert').filter({ hasText: 'The address of this page' });
  await report.getByText('from=yesterdayish cannot be read; now-1h is used. dir=up cannot be read; backward is used.').waitFor();
  await report.getByRole('button', { name: 'Dismiss' }).click();
  assert.equal(await report.count(), 0);
});

test('signing out in one tab signs out the others, and deletes the history', async (t) => {
  const at = await startLogfence({});
  const first = await open(t, { at, search: checkout });
  const second = await first.context().newPage();
  await second.goto(`${at}/explore${checkout}`);
  for (const page of [first, second]) {
    await page.getByLabel('Access token').fill(await token('alpha'));
    await page.getByRole('button', { name: 'Sign in' }).click();
    await statusShows(page, /^100 lines/);
  }
  await first.getByRole('button', { name: 'Sign out' }).click();
  await second.getByText('You have signed out in another tab.').waitFor();
  assert.equal(await second.getByRole('article').count(), 0, 'no line stays on screen');
  assert.equal(await second.evaluate(() => localStorage.getItem('logfence.history')), null);
});
