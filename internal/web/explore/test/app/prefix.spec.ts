// Below a path of another site, behind a proxy that passes the path on and behind one that removes it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

import { around, open, run, signIn, startLogfence, statusShows, test } from '../stack';

const settings = { LOGFENCE_UI_OIDC_CLIENT_ID: around.client_id, LOGFENCE_BASE_PATH: '/portal/logs' };

/** A proxy that serves an upstream below a path, which it removes. */
async function strippingProxy(t: TestContext, upstream: string, path: string): Promise<string> {
  const pass = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const { url = '', method, headers } = incoming;
    if (!url.startsWith(`${path}/`)) return void outgoing.writeHead(404).end();
    incoming.pipe(
      request(upstream + url.slice(path.length), { method, headers }, (response) => {
        outgoing.writeHead(response.statusCode ?? 502, response.headers);
        response.pipe(outgoing);
      }),
    );
  };
  const server = createServer(pass).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
}

for (const [name, start] of Object.entries({
  'that the proxy passes on': () => startLogfence(settings),
  'that the proxy removes': async (t: TestContext) =>
    strippingProxy(t, await startLogfence({ ...settings, LOGFENCE_BASE_PATH_STRIPPED: 'true' }), settings.LOGFENCE_BASE_PATH),
})) {
  test(`the explorer and the reference work below a path ${name}`, async (t) => {
    const at = await start(t);
    const page = await open(t, { at });
    const outside: string[] = [];
    page.context().on('request', (sent) => {
      if (/^http/.test(sent.url()) && ![`${at}/`, around.issuer].some((known) => sent.url().startsWith(known))) outside.push(sent.url());
    });
    // Addresses that are nearly the page's lead to it.
    for (const address of [`${at}/`, `${at}/explore/`]) {
      await page.goto(address);
      await page.getByRole('button', { name: 'Sign in' }).waitFor();
      assert.equal(page.url(), `${at}/explore`);
    }
    await signIn(page, 'ana');
    await statusShows(page, /^500 lines/);
    assert.ok(page.url().startsWith(`${at}/explore`), page.url());
    // What is loaded when it is first needed.
    await run(page, 'sum(count_over_time({app="checkout"}[5m]))');
    await statusShows(page, /^1 series/);
    await page.getByRole('button', { name: 'Keyboard shortcuts' }).click();
    const dialog = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
    await dialog.waitFor();
    const links = await dialog.getByRole('link').evaluateAll(hrefs);
    assert.deepEqual(links, [`${at}/docs`, `${at}/explore/licences.txt`]);
    for (const link of links) assert.equal((await fetch(link)).status, 200, link);

    const docs = await page.context().newPage();
    await docs.goto(`${at}/docs`);
    await docs.getByRole('heading', { name: /^logfence/ }).waitFor();
    const spec = (await (await fetch(`${at}/openapi.json`)).json()) as { servers: { url: string }[] };
    assert.deepEqual(
      spec.servers.map((server) => server.url),
      [settings.LOGFENCE_BASE_PATH],
    );
    const problem = (await (await fetch(`${at}/api/v1/me`)).json()) as { type: string };
    await docs.goto(new URL(problem.type, at).href);
    assert.match(await docs.locator('section:target').innerText(), /^unauthorized 401/);
    assert.deepEqual(outside, []);
  });
}

const hrefs = (links: (SVGElement | HTMLElement)[]): string[] => links.map((link) => (link as HTMLAnchorElement).href);
