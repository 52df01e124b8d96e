// Lines as they are found: how far a search is, where lines are missing, and what an expensive query reads.
import assert from 'node:assert/strict';

import { accessible, feed, now, openAs, push, statusShows, test } from '../stack';

const minute = 60_000_000_000n;
const iso = (ns: bigint): string => `${new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 23)}000000Z`;

test('lines come with how far the search is; a gap and a stop are said, and a gap is read again', async (t) => {
  const begin = ((now() - 50n * minute) / 1_000_000n) * 1_000_000n;
  const at = (i: number): bigint => begin + BigInt(i) * minute;
  await push(
    { tenant_id: 'alpha', app: 'streamed' },
    Array.from({ length: 40 }, (_, i) => ({ ns: at(i), text: `streamed ${i}.` })),
  );
  const page = await openAs(t, 'ana', { search: '?q={app="streamed"}' });
  await statusShows(page, /^40 lines ·/);
  const rows = page.getByRole('feed').getByRole('article');
  const ending = page.locator('.r-ending');
  await ending.getByText('End of the results in this time range.').waitFor();
  const lines = await feed(page, '/logs/lines', 'application/x-ndjson');
  const record = (event: string, data: object): string => `${JSON.stringify({ event, id: 'AQ', data })}\n`;
  const two = [39, 38].map((i) => ({
    timestamp: iso(at(i)),
    line: `streamed ${i}.`,
    labels: { app: 'streamed', tenant_id: 'alpha' },
    metadata: {},
    id: String(i),
  }));
  await page.keyboard.press('Control+Enter');
  await lines.write(record('progress', { done: 0.256, lines: 2, bytes: 26_000, seconds: 1.5 }));
  await statusShows(page, /^Searching…/);
  await page.getByText('25 % of the range · 2 lines · 26 kB').waitFor();
  assert.equal(await page.getByRole('progressbar').getAttribute('aria-valuenow'), '25');
  await rows.nth(20).waitFor(); // what was there stays for a second
  const gap = { from: iso(at(0)), to: iso(at(38)), code: 'loki_timeout', detail: 'Loki took too long.' };
  await lines.write(record('lines', { lines: two }) + record('gap', gap));
  const missing = rows.filter({ hasText: 'are missing: Loki took too long.' });
  await missing.waitFor();
  await ending.getByText('Searching…').waitFor();
  await accessible(page, 'a search in progress');
  await page.getByRole('button', { name: 'Cancel' }).click();
  await statusShows(page, /^2 lines, incomplete: the search was stopped · lines are missing in 1 gap/);
  await ending.getByText('The search was stopped here: there may be older lines.').waitFor();

  await page.keyboard.press('Control+Enter');
  await lines.write(
    record('progress', { done: 1, lines: 2, bytes: 26, seconds: 2 }) + record('lines', { lines: two }) + record('gap', gap),
  );
  await lines.write(record('end', { complete: false, reason: 'gaps' }));
  await statusShows(page, /^2 lines · lines are missing in 1 gap/);
  await ending.getByText('Lines are missing where a gap is shown.').waitFor();
  await lines.restore();
  await missing.getByRole('button', { name: /^Load again: Lines from / }).click();
  await statusShows(page, /^40 lines ·/);
  await ending.getByText('End of the results in this time range.').waitFor();
  assert.equal(await missing.count(), 0);
  await rows.nth(2).getByText('streamed 37.').waitFor();
});

test('an expensive query is run when the user has seen what it reads, and from then on as others', async (t) => {
  const page = await openAs(t, 'ana', { search: '?q={app="checkout"}&limit=100' });
  await statusShows(page, /^100 lines/);
  const estimate = { streams: 1234, chunks: 45_678, bytes: 12e9, entries: 1e8 };
  await page.route('**/logs/explain', (route) =>
    route.fulfill({ json: { valid: true, kind: 'log', fenced: '{}', selectors: [], estimate } }),
  );
  let ran = 0;
  page.on('request', (request) => (ran += request.url().includes('/logs/lines') ? 1 : 0));
  await page.getByRole('textbox', { name: 'Query' }).click();
  await page.keyboard.press('Control+End');
  await page.keyboard.insertText(' |= "e"');
  await page.keyboard.press('Control+Enter');
  const consent = page.getByRole('alert', { name: 'Expensive query' });
  await consent.getByText('This query would read up to 12 GB in 1,234 streams and 45,678 chunks.').waitFor();
  await accessible(page, 'an expensive query');
  await consent.getByRole('button', { name: 'Choose a shorter range' }).click();
  await page.getByRole('dialog', { name: 'Time range' }).waitFor();
  assert.equal(await consent.count(), 0);
  assert.equal(ran, 0, 'nothing was read');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await consent.getByRole('button', { name: 'Run anyway' }).click();
  await statusShows(page, /^100 lines/);
  const again = page.waitForRequest(/logs\/lines/);
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await again;
  assert.equal(await consent.count(), 0);
});
