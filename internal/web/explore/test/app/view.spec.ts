import assert from 'node:assert/strict';

import { accessible, statusShows, openAs, push, run, startLogfence, token, open, test } from '../stack';

const checkout = `?q=${encodeURIComponent('{app="checkout"}')}`;

test('a link reproduces the view, and Back returns to what was run before', async (t) => {
  const page = await openAs(t, 'ana', { search: `${checkout}&from=now-30m&to=now&limit=100&dir=forward&tz=utc&wrap=1` });
  await statusShows(page, /^100 lines, more after/);
  await page.getByRole('button', { name: 'Last 30 minutes UTC' }).waitFor();
  await page.getByRole('button', { name: 'Display' }).click();
  assert.equal(await page.getByLabel('Order', { exact: true }).inputValue(), 'forward');
  assert.ok(await page.getByRole('checkbox', { name: 'Wrap long lines' }).isChecked());
  await page.keyboard.press('Escape');
  const first = page.url();
  await run(page, '{app="payments"} |= "captured"');
  await page.waitForURL(/captured/);
  await statusShows(page, /lines/);
  const second = page.url();
  await page.goBack();
  assert.equal(page.url(), first);
  await statusShows(page, /^100 lines, more after/);
  await page.getByRole('textbox', { name: 'Query' }).getByText('{app="checkout"}').waitFor();
  await page.goForward();
  assert.equal(page.url(), second);
  await page.getByRole('textbox', { name: 'Query' }).getByText('captured').waitFor();
});

test('a range is chosen, typed, moved and told in UTC or local time', async (t) => {
  const page = await openAs(t, 'ana', { search: `${checkout}&from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z` });
  await statusShows(page, /^0 lines/);
  // Berlin is an hour ahead in winter.
  await page.getByRole('button', { name: '2026-01-01 01:00:00 – 02:00:00 UTC+1' }).waitFor();
  await page.keyboard.press('Escape');
  await page.locator('body').press('u');
  await page.getByRole('button', { name: '2026-01-01 00:00:00 – 01:00:00 UTC' }).waitFor();
  assert.match(page.url(), /tz=utc/);
  await page.locator('body').press(']');
  await page.getByRole('button', { name: '2026-01-01 01:00:00 – 02:00:00 UTC' }).click();
  await page.getByLabel('From').fill('2026-01-01 03:00');
  await page.getByRole('button', { name: 'Apply' }).click();
  await page.getByRole('alert').getByText('The end must be after the start.').waitFor();
  await page.getByLabel('To', { exact: true }).fill('2026-01-02 03:00');
  await page.getByRole('button', { name: 'Apply' }).click();
  await page.getByRole('button', { name: '2026-01-01 03:00:00 – 2026-01-02 03:00:00 UTC' }).waitFor();
  assert.match(page.url(), /from=2026-01-01T03%3A00%3A00Z&to=2026-01-02T03%3A00%3A00Z/);
  await page.getByRole('button', { name: '2026-01-01 03:00:00 – 2026-01-02 03:00:00 UTC' }).click();
  await page.getByLabel('From').fill('last 2 hours');
  await page.getByLabel('To', { exact: true }).fill('now');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Last 2 hours UTC' }).waitFor();
});

test('days are chosen in a calendar, ranges come again, and times are those of any zone', async (t) => {
  const page = await openAs(t, 'ana', { search: `${checkout}&from=2026-01-10T00:00:00Z&to=2026-01-11T00:00:00Z&tz=utc` });
  await statusShows(page, /^0 lines/);
  const opened = page.getByRole('dialog', { name: 'Time range' });
  await page.locator('body').press('t');
  const calendar = opened.getByRole('group', { name: 'Calendar' });
  await calendar.getByText('January 2026').waitFor();
  assert.equal(await calendar.getByRole('button', { pressed: true }).getAttribute('aria-label'), '10 January 2026');
  await calendar.getByRole('button', { name: 'Previous month' }).click();
  await calendar.getByRole('button', { name: '30 December 2025' }).click();
  // Two keys before anything is painted: the second one is meant for the day that the first one moved to.
  await page.evaluate(async () => {
    for (let i = 0; i < 2; i++) {
      document.activeElement?.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight', bubbles: true, cancelable: true }));
      await Promise.resolve();
    }
  });
  await calendar.locator('button:focus[aria-label="1 January 2026"]').waitFor();
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => [...document.querySelectorAll('input')].some((i) => i.value === '2026-01-02 00:00:00'));
  await opened.getByLabel('Another time zone').fill('Asia/Tokyo');
  await opened.getByRole('button', { name: 'Apply' }).waitFor();
  await accessible(page, 'the time range with its calendar');
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: /Asia\/Tokyo/ }).waitFor();
  assert.match(page.url(), /tz=Asia%2FTokyo/);
  await page.locator('body').press('t');
  await opened.getByLabel('From').fill('2025-12-30');
  await opened.getByLabel('To', { exact: true }).fill('2026-01-02');
  await opened.getByRole('button', { name: 'Apply' }).click();
  await page.waitForURL(/from=2025-12-29T15%3A00%3A00Z&to=2026-01-01T15%3A00%3A00Z/);
  await page.locator('body').press('t');
  await opened.getByRole('button', { name: 'Last 2 days' }).click();
  await page.getByRole('button', { name: /^Last 2 days/ }).click();
  await opened.getByRole('button', { name: '2025-12-30 00:00:00 – 2026-01-02 00:00:00' }).click();
  await page.waitForURL(/from=2025-12-29T15%3A00%3A00Z/);
  await page.getByRole('button', { name: 'Sign out' }).click();
  assert.equal(await page.evaluate(() => localStorage.getItem('logfence.ranges')), null, 'signing out forgets them');
});

test('where there is nothing, it is said what to try', async (t) => {
  const page = await openAs(t, 'ana', { search: '?q={app="nothing"}' });
  await page.getByRole('heading', { name: 'No lines in this range' }).waitFor();
  await page.getByRole('button', { name: 'the last 24 hours' }).click();
  await page.getByRole('button', { name: /Last 24 hours/ }).waitFor();
  await statusShows(page, /^0 lines/);
  await page.locator('.a-empty').getByRole('button', { name: 'Labels' }).click();
  await page.getByRole('complementary', { name: 'Labels' }).waitFor();
});

test('older lines load at the end: none is lost or doubled at one nanosecond', async (t) => {
  const ns = BigInt(Date.now() - 600_000) * 1_000_000n;
  // 30 moments of 11 lines: no page ends where a moment does.
  const lines = Array.from({ length: 330 }, (_, i) => ({ ns: ns + BigInt(Math.floor(i / 11)), text: `tied ${i} of alpha` }));
  await push({ tenant_id: 'alpha', app: 'ties' }, lines);
  const page = await openAs(t, 'ana', { search: '?q={app="ties"}&limit=100' });
  await statusShows(page, /^100 lines, more before/);
  for (const count of [200, 300, 330]) {
    await page.getByRole('article').last().focus();
    await page.keyboard.press('End');
    await statusShows(page, new RegExp(`^${count} lines`));
  }
  await statusShows(page, /^330 lines ·/);
});

test('an error states what to do, with the slip that is likely, and its request ID', async (t) => {
  const page = await openAs(t, 'ana', { search: '?q={app="checkout"', expected: /400/ });
  const error = page.getByRole('alert', { name: 'Error' });
  await error.getByText('syntax error').waitFor();
  await error.getByText(/^Request ID [0-9A-Z]{26}/).waitFor();
  assert.equal(await error.getByRole('button', { name: 'Run again' }).count(), 0, 'the same would fail the same');
  await run(page, "{app='checkout'}");
  await error.getByText('LogQL has no single quotes. Write straight double quotes').waitFor();
  await run(page, '{app="checkout"}');
  await statusShows(page, /^500 lines/);
  assert.equal(await error.count(), 0);
});

test('a rate limit counts down, and then the query may be run again', async (t) => {
  const at = await startLogfence({ LOGFENCE_TENANT_RATE: '1', LOGFENCE_TENANT_BURST: '8' });
  const page = await open(t, { at, expected: /429/, search: checkout });
  await page.getByLabel('Access token').fill(await token('alpha'));
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Run', exact: true }).waitFor();
  const error = page.getByRole('alert', { name: 'Error' });
  for (let tries = 0; tries < 20 && (await error.count()) === 0; tries++) {
    await page.keyboard.press('Control+Enter');
    await page.locator('.a-results[aria-busy=false]').waitFor();
  }
  await error.getByRole('button', { name: /Run again in \d+ s/ }).waitFor();
  await error.getByRole('button', { name: 'Run again', exact: true }).click({ timeout: 30_000 });
});

test('offline the page reports it, and back online the query runs again by itself', async (t) => {
  const page = await openAs(t, 'ana', { search: checkout, expected: /ERR_INTERNET_DISCONNECTED/ });
  await statusShows(page, /^500 lines/);
  await page.context().setOffline(true);
  await page.keyboard.press('Control+Enter');
  const error = page.getByRole('alert', { name: 'Error' });
  await error.getByText('You are offline.').waitFor();
  assert.ok(await error.getByRole('button', { name: 'Run again' }).isDisabled());
  await page.context().setOffline(false);
  await error.waitFor({ state: 'detached' });
  await statusShows(page, /^500 lines/);
});
