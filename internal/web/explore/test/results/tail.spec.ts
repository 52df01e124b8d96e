import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import type { Page } from 'playwright-core';

import { accessible, feed, statusShows, openAs, push, token, url, test } from '../stack';

const searchFor = (query: string): string => `?q=${encodeURIComponent(query)}&tz=utc`;
const lastLine = (page: Page) => page.getByRole('feed').getByRole('article').last();

test('a live tail pauses, counts what waits, and goes on at the newest', async (t) => {
  const stream = { tenant_id: 'alpha', app: 'tailed' };
  const page = await openAs(t, 'ana', { search: searchFor('{app="tailed"}') });
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  await push(stream, ['first']);
  await lastLine(page).getByText('first').waitFor();
  await page.getByRole('button', { name: 'Pause' }).click();
  await push(
    stream,
    Array.from({ length: 200 }, (_, i) => `while paused ${i}.`),
  );
  const newest = page.getByRole('button', { name: /200 new lines/ });
  await newest.waitFor();
  await lastLine(page).getByText('first').waitFor();
  await newest.click();
  await lastLine(page).getByText('paused 199.').waitFor();
  // Who looks up is left in peace.
  await page.locator('.r-scroller').hover();
  await page.mouse.wheel(0, -1000);
  await page.getByText('Paused while you scroll').waitFor();
  const seen = await page.getByRole('feed').getByRole('article').nth(10).textContent();
  await push(stream, ['later']);
  await page.getByRole('button', { name: /1 new line$/ }).waitFor();
  assert.equal(await page.getByRole('feed').getByRole('article').nth(10).textContent(), seen);
  await accessible(page, 'a live tail');
  await page.locator('.r-scroller').evaluate((element) => (element.scrollTop = element.scrollHeight));
  await lastLine(page).getByText('later').waitFor();
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.getByText('Lines appear here').waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await statusShows(page, /lines/);
});

test('what the server leaves out and where it was interrupted is said among the lines', async (t) => {
  const page = await openAs(t, 'ana', { search: searchFor('{app="checkout"}') });
  const data = JSON.stringify({ streams: [{ stream: { app: 'a' }, values: [['1795440175000000001', 'a line']] }] });
  await page.route('**/api/v1/logs/tail?*', (route) =>
    route.fulfill({
      contentType: 'text/event-stream',
      body: `event: dropped\ndata: {"count":1234,"slow_reader":0,"loki":1234}\n\nevent: entries\nid: 1-a\ndata: ${data}\n\nevent: end\ndata: {"reason":"loki_unavailable","detail":"Loki has stayed away"}\n\n`,
    }),
  );
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  await page.getByText('1,234 lines are missing here').first().waitFor();
  await page.getByText('interrupted: Loki has stayed away').first().waitFor();
  await page.getByText(/left out by the server/).waitFor();
});

test('while Loki is away the tail is not live, and the seconds are counted', async (t) => {
  const page = await openAs(t, 'ana', { search: searchFor('{app="checkout"}') });
  const since = new Date(Date.now() - 60_000).toISOString();
  const interrupted = JSON.stringify({ since, next_try: since, detail: 'Loki does not send lines at present.' });
  const data = JSON.stringify({ streams: [{ stream: { app: 'a' }, values: [['1795440175000000001', 'a line']] }] });
  let body = `event: interrupted\ndata: ${interrupted}\n\nevent: entries\nid: 1-a\ndata: ${data}\n\n`;
  await page.route('**/api/v1/logs/tail?*', (route) => route.fulfill({ contentType: 'text/event-stream', body }));
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  await page.locator('.r-link-state.r-interrupted').waitFor();
  await page.getByText(/^for (6|7|8|9)\d s$/).waitFor();
  assert.equal(await page.locator('.r-link-state.r-live').count(), 0);
  const resumed = JSON.stringify({ since, from: since, lines: 3, detail: 'The tail continues.' });
  body += `event: resumed\ndata: ${resumed}\n\n`;
  await page.getByText('resumed: 3 lines were sent later').first().waitFor();
  // Stopped first: the tail would go on before the real server, which does not know its event IDs.
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.unroute('**/api/v1/logs/tail?*');

  // A connection that breaks is amber, and green again when there is another one, though no line comes.
  const tail = await feed(page, '/logs/tail', 'text/event-stream');
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  await tail.write(`:\nretry: 1\n\nevent: entries\nid: 1-a\ndata: ${data}\n\n`);
  await page.locator('.r-link-state.r-live').waitFor();
  await tail.breakOff();
  await page.getByText(/^interrupted: /).waitFor();
  await page.locator('.r-link-state.r-live').waitFor();
  assert.equal(await page.locator('.r-elapsed').count(), 0);
});

test('a live tail that cannot begin says what works in its place, and offers a retry where that may help', async (t) => {
  const page = await openAs(t, 'ana', { search: searchFor('{app="checkout"}'), expected: /50\d/ });
  await statusShows(page, /lines/);
  const fail = (status: number, code: string) => {
    const problem = { title: code, status, code, detail: 'Why.', type: `/docs/problems#${code}`, request_id: '01M8M03RM6E1REG0RB54A6ADFA' };
    return page.route('**/api/v1/logs/tail?*', (route) =>
      route.fulfill({ status, contentType: 'application/problem+json', json: problem }),
    );
  };
  const error = page.getByRole('alert', { name: 'Error' });
  await fail(502, 'websocket_blocked');
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  await error.getByText('Queries still work').waitFor();
  await error.getByText('Request ID 01M8M03RM6E1REG0RB54A6ADFA').waitFor();
  assert.equal(await error.getByRole('button', { name: 'Start again' }).count(), 0);
  await page.getByRole('button', { name: 'Stop' }).click();
  await fail(502, 'loki_unreachable');
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  await error.getByText('Try again in a few minutes.').waitFor();
  await page.unroute('**/api/v1/logs/tail?*');
  await error.getByRole('button', { name: 'Start again' }).click();
  await page.locator('.r-link-state.r-live').waitFor();
});

// Not from Loki, which leaves out lines of a tail that is too fast for it.
test('a flood does not freeze the page, and all of it is counted', async (t) => {
  const page = await openAs(t, 'ana', { search: searchFor('{app="checkout"}') });
  const events = Array.from({ length: 60 }, (_, i) => {
    const values = Array.from({ length: 100 }, (_, j) => [
      String(1_795_440_175_000_000_000n + BigInt(i * 100 + j)),
      `flood ${i * 100 + j}.`,
    ]);
    return `event: entries\nid: ${i}-a\ndata: ${JSON.stringify({ streams: [{ stream: { app: 'a' }, values }] })}\n\n`;
  });
  let requests = 0;
  await page.route('**/api/v1/logs/tail?*', async (route) => {
    // The second time, after the end of the first, nothing comes.
    if (requests++ === 0) await route.fulfill({ contentType: 'text/event-stream', body: events.join('') });
  });
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  await page.getByText('6,000 arrived').waitFor();
  await page.getByRole('feed').getByText('flood 5999.').waitFor();
  assert.ok((await page.getByRole('feed').getByRole('article').count()) < 100);
});

/** What the API gives, to hold a file against. */
async function wanted(query: string, format: string, from: string, to: string): Promise<string> {
  const params = new URLSearchParams({ query, format, start: from, end: to });
  const response = await fetch(`${url}/api/v1/logs/export?${params}`, { headers: { Authorization: `Bearer ${await token('alpha')}` } });
  assert.equal(response.status, 200);
  return await response.text();
}

test('an export in each format is what the API gives', async (t) => {
  await push(
    { tenant_id: 'alpha', app: 'exported' },
    Array.from({ length: 1200 }, (_, i) => `line ${i}, with "quotes" and é`),
  );
  const query = '{app="exported"}';
  const [from, to] = [new Date(Date.now() - 3_600_000), new Date(Date.now() + 60_000)].map((d) => d.toISOString()) as [string, string];
  const page = await openAs(t, 'ana', { search: `${searchFor(query)}&from=${from}&to=${to}` });
  await statusShows(page, /^500 lines/);
  await page.evaluate(() => delete window.showSaveFilePicker);
  for (const format of ['ndjson', 'csv', 'text']) {
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    const dialog = page.getByRole('dialog', { name: 'Export' });
    await dialog.getByRole('radio', { name: format }).check();
    if (format === 'ndjson') await accessible(page, 'an export');
    const download = page.waitForEvent('download');
    await dialog.getByRole('button', { name: 'Export', exact: true }).click();
    const file = await readFile(await (await download).path(), 'utf8');
    await dialog.getByText('Done: 1,200 lines').waitFor();
    assert.equal(file, await wanted(query, format, from, to), format);
    await dialog.getByRole('button', { name: 'Close' }).click();
  }
});

/** Has the browser save into a file of the page's own, which a test can read. */
async function saveHere(page: Page): Promise<() => Promise<string | undefined>> {
  await page.evaluate(() => {
    window.showSaveFilePicker = async () => {
      const folder = await navigator.storage.getDirectory();
      return await folder.getFileHandle('saved', { create: true });
    };
  });
  return () =>
    page.evaluate(async () => {
      const handle = await (await navigator.storage.getDirectory()).getFileHandle('saved');
      return await (await handle.getFile()).text();
    });
}

test('where the browser can, an export is written as it comes; one that breaks off is not kept', async (t) => {
  const page = await openAs(t, 'ana', { search: searchFor('{app="checkout"}'), expected: /502/ });
  await statusShows(page, /lines/);
  const saved = await saveHere(page);
  const start = async () => {
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Export', exact: true }).click();
  };
  await start();
  await page
    .getByRole('dialog')
    .getByText(/^Done: [\d,]+ lines/)
    .waitFor();
  const whole = (await saved()) ?? '';
  assert.ok(whole.endsWith('}\n') && whole.includes('"app":"checkout"'));
  await page.getByRole('button', { name: 'Close' }).click();

  const line = JSON.stringify({ timestamp: '2026-11-23T13:22:55.000000001Z', labels: {}, line: 'only half' });
  const problem = {
    type: '/docs/problems#loki_failed',
    title: 'Loki failed',
    status: 502,
    detail: 'Loki broke off.',
    code: 'loki_failed',
    request_id: 'x',
  };
  await page.route('**/api/v1/logs/export?*', (route) =>
    route.fulfill({ contentType: 'application/x-ndjson', body: `${line}\n${JSON.stringify({ error: problem })}\n` }),
  );
  await start();
  await page.getByRole('alert').getByText('Loki failed: Loki broke off.').waitFor();
  assert.equal(await saved(), whole, 'the file is what it was before');
});
