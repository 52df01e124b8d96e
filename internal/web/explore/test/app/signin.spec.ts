import assert from 'node:assert/strict';

import type { Page } from 'playwright-core';

import { statusShows, open, openAs, run, signIn, startLogfence, token, url, test } from '../stack';

/** Everything that came over the wire to the page, and everything that it shows. */
function wireOf(page: Page): { search: (mark: string) => Promise<string[]> } {
  const bodies: Promise<[string, string]>[] = [];
  page.on('response', (response) => {
    const { pathname } = new URL(response.url());
    if (!pathname.startsWith('/api/')) return;
    bodies.push(
      response.text().then(
        (text): [string, string] => [pathname, text],
        () => [pathname, ''],
      ),
    );
  });
  return {
    search: async (mark) => {
      const all = await Promise.all(bodies);
      assert.ok(all.length > 3, 'responses were seen');
      const found = all.filter(([, text]) => text.toLowerCase().includes(mark)).map(([path]) => path);
      const html = await page.evaluate(() => document.documentElement.outerHTML + document.documentElement.innerText);
      if (html.toLowerCase().includes(mark)) found.push('the page');
      return found;
    },
  };
}

test('ana of alpha never sees beta, whatever she requests', async (t) => {
  const page = await open(t);
  const wire = wireOf(page);
  await signIn(page, 'ana');
  await statusShows(page, /^500 lines/);
  await page.locator('.a-tenant').getByText('alpha').waitFor();
  for (const panel of ['Labels', 'Fields', 'Patterns']) {
    await page.getByRole('toolbar').getByRole('button', { name: panel, exact: true }).click();
    await page.getByRole('complementary', { name: panel }).waitFor();
    await page.waitForLoadState('networkidle');
  }
  for (const query of [
    '{app="checkout"}',
    'sum by (app, tenant_id) (count_over_time({app=~".+"}[5m]))',
    '{tenant_id!="alpha"}',
    '{app="tracker"}',
  ]) {
    await run(page, query);
    await statusShows(page, /^(\d+ (lines?|series))/);
    await page.waitForLoadState('networkidle');
  }
  assert.deepEqual(await wire.search('beta'), []);
});

test('ben sees both tenants, or the one that he chooses', async (t) => {
  const page = await openAs(t, 'ben', { search: '?q=sum+by+(tenant_id)+(count_over_time({app="checkout"}[1h]))' });
  await statusShows(page, /^2 series/);
  const tenant = page.getByLabel('Tenant');
  await tenant.selectOption('beta');
  await statusShows(page, /^1 series/);
  assert.match(page.url(), /[?&]tenant=beta/);
  await page.goBack();
  await statusShows(page, /^2 series/);
  assert.equal(await tenant.inputValue(), '');
});

test('a sign-in leaves no code in the URL and no token in storage, and returns to the view', async (t) => {
  const search = '?q=%7Bapp%3D%22payments%22%7D&from=now-15m&to=now&limit=100&tz=utc';
  const page = await openAs(t, 'ana', { search });
  await statusShows(page, /lines/);
  assert.equal(page.url(), `${url}/explore${search}`);
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.doesNotMatch(stored, /eyJ|verifier|code/);
  await page.getByRole('button', { name: /Last 15 minutes/ }).waitFor();
});

test('a reload tries the provider, then shows the sign-in, and keeps the view', async (t) => {
  const page = await openAs(t, 'ana', { search: '?q=%7Bapp%3D%22payments%22%7D' });
  await statusShows(page, /lines/);
  const before = page.url();
  await page.reload();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  assert.equal(page.url(), before, 'the way to the provider and back has left nothing');
  assert.equal(await page.getByRole('alert').count(), 0, 'that the provider does not know her is no error');
  await signIn(page, 'ana');
  await statusShows(page, /lines/);
});

test('a return that this tab did not start is refused', async (t) => {
  const page = await open(t, { search: '?code=stolen&state=forged' });
  await page.getByRole('alert').getByText('not started in this tab').waitFor();
  assert.equal(page.url(), `${url}/explore`);
});

test('signing out ends it, here and at the provider', async (t) => {
  const page = await openAs(t, 'ana');
  await statusShows(page, /lines/);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Sign in' }).waitFor();
});

test('without a provider a token is pasted; when it expires, that is said, what is shown stays, and another one goes on by itself', async (t) => {
  const at = await startLogfence({});
  const page = await open(t, { at, expected: /401/, search: '?q=%7Bapp%3D%22checkout%22%7D' });
  await page.getByLabel('Access token').fill('not.a.token');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert', { name: 'Error' }).waitFor();
  await page.getByLabel('Access token').fill(await token('alpha', 20));
  await page.getByRole('button', { name: 'Sign in' }).click();
  await statusShows(page, /^500 lines/);
  await page.getByText(/Session ends in \d s/).waitFor();
  await page.getByText('Session ended').waitFor();
  await statusShows(page, /^500 lines/);
  await page.keyboard.press('Control+Enter');
  const error = page.getByRole('alert', { name: 'Error' });
  await error.getByRole('heading', { name: 'Your session has expired' }).waitFor();
  await page.getByText(/^Older results: \{app="checkout"\}/).waitFor();
  await error.getByRole('button', { name: 'Sign in again' }).click();
  assert.ok((await page.getByRole('article', { includeHidden: true }).count()) > 3, 'what was shown stays');
  await page.getByRole('dialog').getByLabel('Access token').fill('not.a.token');
  await page.getByRole('dialog').getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('dialog').getByRole('alert', { name: 'Error' }).waitFor();
  await page
    .getByRole('dialog')
    .getByLabel('Access token')
    .fill(await token('alpha'));
  await page.getByRole('dialog').getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('Session ended').waitFor({ state: 'detached' });
  await error.waitFor({ state: 'detached' }); // the query runs by itself
  await statusShows(page, /^500 lines/);
});
