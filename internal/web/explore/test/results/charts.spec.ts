import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

import type { Page } from 'playwright-core';

import { accessible, statusShows, now, openAs, push, test } from '../stack';

const searchFor = (query: string, more = ''): string => `?q=${encodeURIComponent(query)}&tz=utc${more}`;
const minute = 60_000_000_000n;
const chart = (page: Page) => page.getByRole('region', { name: 'Lines over time' });

/** The span in the URL, in milliseconds. */
function spanIn(page: Page): [from: number, to: number] {
  const params = new URL(page.url()).searchParams;
  return [Date.parse(params.get('from') ?? ''), Date.parse(params.get('to') ?? '')];
}

/** Pushes 30 lines over half an hour, one a minute, every third an error and one of them not to be found. */
async function halfAnHour(app: string): Promise<{ from: string; to: string }> {
  const begin = now() - 40n * minute;
  await push(
    { tenant_id: 'alpha', app },
    Array.from({ length: 30 }, (_, i) => ({
      ns: begin + BigInt(i) * minute,
      text: `level=${i % 3 ? 'info' : 'error'} n=${i} ${i === 7 ? 'odd' : 'even'} "broken`,
    })),
  );
  const iso = (ns: bigint): string => new Date(Number(ns / 1_000_000n)).toISOString();
  return { from: iso(begin), to: iso(begin + 30n * minute) };
}

/**
 * Goes back to the span that begins there, and waits for the chart of its response. The text alone is no proof: the
 * chart from before the zoom shows the same until a response comes, and the zoom's own may come first.
 */
async function goBack(page: Page, from: string): Promise<void> {
  const start = String(BigInt(Date.parse(from)) * 1_000_000n);
  const arrived = page.waitForResponse((response) => {
    const { pathname, searchParams } = new URL(response.url());
    return pathname.endsWith('/logs/lines') && searchParams.get('start') === start;
  });
  await page.goBack();
  await arrived;
  await page.locator('.a-results[aria-busy=false]').waitFor();
  await chart(page).getByText('30 lines').waitFor();
  await chart(page).getByRole('slider').click({ trial: true }); // waits for two frames: what is shown has been drawn
}

test('lines are counted by level, those of the query and no others', async (t) => {
  const { from, to } = await halfAnHour('counted');
  const search = searchFor('{app="counted"} |= "even" | logfmt', `&from=${from}&to=${to}`);
  const page = await openAs(t, 'ana', { search });
  await statusShows(page, /^29 lines/);
  await chart(page).getByText('29 lines').waitFor();
  await chart(page).getByText('error 10').waitFor();
  await chart(page).getByText('info 19').waitFor();
  await chart(page).getByRole('button', { name: 'Table' }).click();
  const table = chart(page).getByRole('table');
  const numbers = await table.locator('tbody td:nth-child(2)').allTextContents();
  assert.equal(
    numbers.reduce((sum, text) => sum + Number(text), 0),
    10,
  );
  await accessible(page, 'a chart with its table');
});

test('zoom by dragging, by buttons, by the table and by keys', async (t) => {
  const { from, to } = await halfAnHour('zoomed');
  const page = await openAs(t, 'ana', { search: searchFor('{app="zoomed"}', `&from=${from}&to=${to}`) });
  await chart(page).getByText('30 lines').waitFor();
  const plot = chart(page).locator('.u-over');
  await plot.hover(); // waits until it is drawn, and stays where it is: the text comes before it
  const box = await plot.boundingBox();
  assert.ok(box);
  await page.mouse.move(box.x + box.width * 0.25, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 40, { steps: 5 });
  await page.mouse.up();
  await page.mouse.move(0, 0); // over the chart it would go on telling of one interval
  await page.waitForFunction((before) => !location.search.includes(before), encodeURIComponent(from));
  const [a, b] = spanIn(page);
  assert.ok(Math.abs((b - a) / 60_000 - 7.5) < 1, `${(b - a) / 60_000} minutes`);
  await goBack(page, from);

  await chart(page).getByRole('button', { name: 'Zoom in' }).click();
  await page.waitForFunction((before) => !location.search.includes(before), encodeURIComponent(from));
  assert.equal((spanIn(page)[1] - spanIn(page)[0]) / 60_000, 15);
  await goBack(page, from);

  const slider = chart(page).getByRole('slider');
  await slider.focus();
  await page.keyboard.press('Home');
  await page.keyboard.press('ArrowRight');
  assert.match((await slider.getAttribute('aria-valuetext')) ?? '', /–.*(1 (info|error)|no lines)/);
  await page.keyboard.press('Enter');
  await page.waitForFunction((before) => !location.search.includes(before), encodeURIComponent(from));
  assert.ok(spanIn(page)[1] - spanIn(page)[0] <= 60_000);
});

test('a metric query draws series that are shown and hidden by a legend', async (t) => {
  const page = await openAs(t, 'ana', { search: searchFor('sum by (app) (rate({app=~"checkout|gateway|payments"}[5m]))') });
  await statusShows(page, /^3 series/);
  const metric = page.getByRole('region', { name: 'Series over time' });
  const series = metric.getByRole('button', { name: /^app=/ });
  await series.first().waitFor();
  assert.equal(await series.count(), 3);
  const drawn = (): Promise<string> => metric.locator('canvas').evaluate((c) => (c as HTMLCanvasElement).toDataURL());
  const before = await drawn();
  await series.first().click();
  assert.equal(await series.first().getAttribute('aria-pressed'), 'false');
  assert.notEqual(await drawn(), before);
  await series.first().click();
  await series.nth(1).click({ modifiers: ['Shift'] });
  assert.deepEqual(await series.evaluateAll((all) => all.map((e) => e.getAttribute('aria-pressed'))), ['false', 'true', 'false']);
  await accessible(page, 'a metric chart');
});

test('an instant query is a table with exact values, sorted by any column, and a CSV file', async (t) => {
  for (const [pod, count] of Object.entries({ 'p-2': 3, 'p-10': 1, '=1+1': 2 })) {
    await push(
      { tenant_id: 'alpha', app: 'instant', pod },
      Array.from({ length: count }, (_, i) => `line ${i}`),
    );
  }
  const query = 'sum by (pod) (count_over_time({app="instant"}[1h])) / 7';
  const page = await openAs(t, 'ana', { search: searchFor(query) });
  await statusShows(page, /^3 series/);
  await page.getByRole('button', { name: 'Instant' }).click();
  await statusShows(page, /^3 series/);
  const table = page.getByRole('region', { name: 'Values' }).getByRole('table');
  const pods = (): Promise<string[]> => table.locator('tbody td:first-child').allTextContents();
  await table.waitFor();
  assert.match(page.url(), /instant=1/);
  assert.deepEqual(await pods(), ['p-2', '=1+1', 'p-10']);
  assert.equal(await table.locator('tbody td:last-child').first().textContent(), '0.42857142857142855', 'all digits of 3/7');
  await table.getByRole('button', { name: 'pod' }).click();
  assert.deepEqual(
    (await pods()).filter((pod) => pod.startsWith('p')),
    ['p-2', 'p-10'],
    'numbers in names count as numbers',
  );
  assert.equal(await table.getByRole('columnheader', { name: 'pod' }).getAttribute('aria-sort'), 'ascending');
  await accessible(page, 'a table of values');
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'CSV' }).click()]);
  const csv = await readFile(await file.path(), 'utf8');
  assert.match(csv, /^pod,Value\r\n/);
  assert.ok(csv.includes("'=1+1,0.2857142857142857\r\n"), csv);
  await page.getByRole('button', { name: 'Range', exact: true }).click();
  await page.getByRole('region', { name: 'Series over time' }).waitFor();
  assert.doesNotMatch(page.url(), /instant=1/);
});

test('the time axis is the requested range, whatever the series have', async (t) => {
  await push({ tenant_id: 'alpha', app: 'stopped' }, ['the last line']); // which a range shorter than the step could miss
  const hour = 3_600_000;
  const end = Date.now() + hour;
  const [from, to] = [end - 24 * hour, end].map((ms) => new Date(ms).toISOString());
  const page = await openAs(t, 'ana', { search: searchFor('sum(count_over_time({app="stopped"}[1h]))', `&from=${from}&to=${to}`) });
  await statusShows(page, /^1 series/);
  const metric = page.getByRole('region', { name: 'Series over time' });
  await metric.getByText('1 series, in lines').waitFor();
  const plot = metric.locator('.u-over');
  await plot.hover();
  const before = encodeURIComponent(from ?? '');
  // A quarter of the width is a quarter of the day, although the series has an hour of it. What loads above
  // may move the plot meanwhile: then nothing was dragged.
  for (let tries = 0, moved = false; !moved; tries++) {
    const box = await plot.boundingBox();
    assert.ok(box && tries < 20);
    await page.mouse.move(box.x + box.width * 0.25, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40, { steps: 5 });
    await page.mouse.up();
    moved = await page
      .waitForFunction((search) => !location.search.includes(search), before, { timeout: 5_000 })
      .then(
        () => true,
        () => false,
      );
  }
  const [a, b] = spanIn(page);
  assert.ok(
    Math.abs((a - (end - 18 * hour)) / hour) < 0.2 && Math.abs((b - (end - 12 * hour)) / hour) < 0.2,
    `${new Date(a).toISOString()} to ${new Date(b).toISOString()}`,
  );
});

test('five hundred series: the largest are drawn, and the page lives', async (t) => {
  const page = await openAs(t, 'ana', { search: searchFor('sum by (n) (count_over_time({app="checkout"}[5m]))') });
  const times = Array.from({ length: 200 }, (_, i) => 1_795_440_000 + i * 60);
  const result = Array.from({ length: 500 }, (_, n) => ({ metric: { n: String(n) }, values: times.map((at) => [at, String(n)]) }));
  await page.route('**/api/v1/logs/query?*', (route) =>
    route.fulfill({ json: { status: 'success', data: { resultType: 'matrix', result, stats: {} } } }),
  );
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.getByText('The 20 largest of 500 series are shown.').waitFor();
  assert.equal(await page.locator('.r-series tbody tr').count(), 20);
  await page.getByRole('button', { name: 'Show all' }).click();
  await page.locator('.r-series tbody tr').nth(499).waitFor();
});
