// The real thing: logfence with the page before a real Loki and a provider, and Chromium before that. One of each
// for all tests of a run.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { after, describe, test as nodeTest, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { axeSource } from './axe';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';

const children: ChildProcess[] = [];
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));

interface Around {
  loki: string;
  issuer: string;
  jwks: string;
  audience: string;
  client_id: string;
  tokens: string;
}

export const around = await startAround();

/** The URL of logfence with sign-in at the provider. */
export const url = await startLogfence({ LOGFENCE_UI_OIDC_CLIENT_ID: around.client_id });

/** How many tests run at the same time: they wait for Loki and for timers, so it is one more than processors. */
const atOnce = Math.max(2, Math.min(4, availableParallelism()));

/** Browsers that no test uses. Each test has one alone: pages draw only in front, and a browser has one clipboard. */
const idle: Browser[] = [];
const browsers: Browser[] = [];
const used = new WeakMap<TestContext, Promise<Browser>>();

/** The browser of a test, until its end. */
function browserOf(t: TestContext): Promise<Browser> {
  let browser = used.get(t);
  if (!browser) {
    browser = idle.length > 0 ? Promise.resolve(idle.pop() as Browser) : launch();
    used.set(t, browser);
    t.after(async () => void idle.push((await browser) as Browser));
  }
  return browser;
}

async function launch(): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: needed('CHROMIUM'),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // A request to any other host fails, and is seen.
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ],
  });
  browsers.push(browser);
  return browser;
}

after(async () => {
  await Promise.all(browsers.map((browser) => browser.close()));
  for (const child of children) child.stdin?.end();
  await Promise.all(children.map((child) => (child.exitCode === null ? (child.kill('SIGTERM'), once(child, 'exit')) : undefined)));
});

type TestBody = (t: TestContext) => Promise<unknown>;

const tests: [name: string, body: TestBody, skip: string | false][] = [];

/** A test, which runs beside others: each has a browser to itself, and streams of its own. */
export function test(name: string, body: TestBody): void {
  tests.push([name, body, false]);
}

/** A test of what others hold in another look or browser: it runs every night, by `make test-explore-all`. */
export function nightly(name: string, body: TestBody): void {
  tests.push([name, body, process.env['LOGFENCE_TEST_EXPLORE_ALL'] ? false : 'run by make test-explore-all']);
}

/** Runs all tests. */
export function runTests(): void {
  describe('the log explorer', { concurrency: atOnce, timeout: Infinity }, () => {
    for (const [name, body, skip] of tests) void nodeTest(name, { timeout: 900_000, skip }, async (t) => void (await body(t)));
  });
}

export type Person = 'ana' | 'ben';

export interface Options extends BrowserContextOptions {
  /** Where to begin: the page's own query, such as `?q=…`. */
  search?: string;
  /** Another logfence than the usual one. */
  at?: string;
  /** Console messages that are meant to come: those of responses that are errors. */
  expected?: RegExp;
}

/** A page in a browser of its own. At the end of the test it is asserted that nothing went wrong that nobody saw. */
export async function open(t: TestContext, { search = '', at = url, expected, ...options }: Options = {}): Promise<Page> {
  const context = await (await browserOf(t)).newContext({
    viewport: { width: 1440, height: 900 },
    timezoneId: 'Europe/Berlin',
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000); // a machine may be busy: nothing is timed here
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.message}`));
  // Violations of the Content-Security-Policy are told to the console, too.
  page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type()) || expected?.test(message.text())) return;
    faults.push(`console: ${message.text()} (${message.location().url}:${message.location().lineNumber})`);
  });
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== 'blob:' && origin !== new URL(at).origin && origin !== around.issuer) faults.push(`requested: ${request.url()}`);
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(faults, []);
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (e) => {
      const { tagName, className } = e.target instanceof Element ? e.target : { tagName: '', className: '' };
      console.error(`${e.violatedDirective} violated by ${e.blockedURI} at ${tagName} ${className}: ${e.sample}`);
    });
  });
  await page.goto(`${at}/explore${search}`);
  return page;
}

/** Signs in at the provider, and waits for the page to have run what is in its URL. */
export async function signIn(page: Page, who: Person): Promise<void> {
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByLabel('Name').fill(who);
  await page.getByLabel('Password').fill(who);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Run', exact: true }).waitFor();
  // A plain field takes the query until the editor is loaded, and completes nothing.
  await page.locator('.q-plain').waitFor({ state: 'detached' });
}

/** A page with somebody signed in. */
export async function openAs(t: TestContext, who: Person, options: Options = {}): Promise<Page> {
  const page = await open(t, options);
  await signIn(page, who);
  return page;
}

/** Waits until the status line shows a result, such as /^3 lines/. */
export async function statusShows(page: Page, status: RegExp): Promise<void> {
  await page.locator('.a-status').getByText(status).waitFor();
}

/** Writes the query, in whatever stands for the editor. */
export async function write(page: Page, query: string): Promise<void> {
  await page.keyboard.press('Escape');
  await page.getByRole('textbox', { name: 'Query' }).click();
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText(query);
}

/** Runs a query by keyboard. */
export async function run(page: Page, query: string): Promise<void> {
  await write(page, query);
  await page.keyboard.press('Control+Enter');
}

export interface Fed {
  /** Sends a piece of the body, when there is a request. */
  write: (text: string) => Promise<void>;
  /** Breaks the connection off. */
  breakOff: () => Promise<void>;
  /** From now on the server responds itself. */
  restore: () => Promise<void>;
}

/** Responds to the page's requests for a path with what the test writes, as it writes it: a server that takes its time. */
export async function feed(page: Page, path: string, type: string): Promise<Fed> {
  interface Feeding {
    real: typeof fetch;
    bodies: WritableStreamDefaultWriter<Uint8Array>[];
  }
  const feeding = await page.evaluateHandle(
    ([end, media]): Feeding => {
      const state: Feeding = { real: window.fetch, bodies: [] };
      window.fetch = (input, init) => {
        const request = new Request(input, init);
        if (!new URL(request.url).pathname.endsWith(end)) return state.real.call(window, request);
        const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
        const body = writable.getWriter();
        state.bodies.unshift(body);
        request.signal.addEventListener('abort', () => {
          state.bodies = state.bodies.filter((one) => one !== body);
          void body.abort(request.signal.reason);
        });
        return Promise.resolve(new Response(readable, { headers: { 'Content-Type': media } }));
      };
      return state;
    },
    [path, type] as const,
  );
  const requested = (): Promise<unknown> => page.waitForFunction(({ bodies }) => bodies.length > 0, feeding);
  return {
    write: async (text) => {
      await requested();
      // Without waiting: a write ends when it has been read.
      await feeding.evaluate(({ bodies }, piece) => void bodies[0]?.write(new TextEncoder().encode(piece)).catch(() => undefined), text);
    },
    breakOff: async () => {
      await requested();
      await feeding.evaluate(({ bodies }) => void bodies.shift()?.abort(new TypeError('network error')));
    },
    restore: () => feeding.evaluate(({ real }) => void (window.fetch = real)),
  };
}

export interface Pushed {
  /** Nanoseconds since 1970; now, if it is left out. */
  ns?: bigint;
  text: string;
  metadata?: Record<string, string>;
}

/** Writes lines into Loki, past logfence. They can be queried when it resolves. */
export async function push(stream: { tenant_id: string } & Record<string, string>, lines: (Pushed | string)[]): Promise<void> {
  const begin = now() - BigInt(lines.length);
  const values = lines.map((line, i) => {
    const { ns, text, metadata }: Pushed = typeof line === 'string' ? { text: line } : line;
    return [String(ns ?? begin + BigInt(i)), text, ...(metadata ? [metadata] : [])];
  });
  const response = await fetch(`${around.loki}/loki/api/v1/push`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ streams: [{ stream, values }] }),
  });
  assert.equal(response.status, 204, await response.text());
}

/** Now, in nanoseconds. */
export const now = (): bigint => BigInt(Date.now()) * 1_000_000n;

/** A token of the provider's, for as many seconds. */
export async function token(tenant: string | string[], seconds = 3600): Promise<string> {
  const body = JSON.stringify({ subject: 'test', tenant, seconds });
  const response = await fetch(around.tokens, { method: 'POST', body });
  assert.equal(response.status, 200);
  return await response.text();
}

let axe: Promise<string> | undefined;

/** Asserts that axe finds no serious fault. */
export async function accessible(page: Page, what: string): Promise<void> {
  axe ??= axeSource();
  await page.evaluate(await axe);
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run: (o: object) => Promise<{ violations: Violation[] }> } };
    interface Violation {
      id: string;
      impact: string;
      nodes: { target: unknown; failureSummary: string }[];
    }
    // Forced colors are the user's own, which axe does not know: it compares what is not drawn.
    const rules = { 'target-size': { enabled: true }, 'color-contrast': { enabled: !matchMedia('(forced-colors: active)').matches } };
    const { violations } = await axe.run({ resultTypes: ['violations'], rules });
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(
        ({ id, nodes }) =>
          `${id}: ${nodes
            .slice(0, 3)
            .map((n) => `${JSON.stringify(n.target)} ${n.failureSummary}`)
            .join('; ')}`,
      );
  });
  assert.deepEqual(found, [], what);
}

/** Starts another logfence before the same Loki, and returns its URL with its base path. */
export async function startLogfence(settings: Record<string, string>): Promise<string> {
  const port = await freePort();
  const base = settings['LOGFENCE_BASE_PATH_STRIPPED'] ? '' : (settings['LOGFENCE_BASE_PATH'] ?? '');
  const child = start(needed('LOGFENCE_BIN'), ['serve'], {
    LOGFENCE_LOKI_URL: around.loki,
    LOGFENCE_JWT_ISSUER: around.issuer,
    LOGFENCE_JWT_JWKS_URL: around.jwks,
    LOGFENCE_JWT_AUDIENCE: around.audience,
    LOGFENCE_DANGEROUSLY_ALLOW_HTTP_JWKS: 'true',
    LOGFENCE_JWT_LEEWAY: '0s',
    LOGFENCE_ADDR: `127.0.0.1:${port}`,
    LOGFENCE_ADMIN_ADDR: '127.0.0.1:0',
    ...settings,
  });
  child.stderr?.resume();
  await untilReady(`http://127.0.0.1:${port}${base}/openapi.yaml`, child);
  return `http://127.0.0.1:${port}${base}`;
}

async function startAround(): Promise<Around> {
  const child = start(needed('STACK_BIN'), [], process.env);
  child.stderr?.pipe(process.stderr);
  assert.ok(child.stdout);
  for await (const line of createInterface(child.stdout)) return JSON.parse(line) as Around;
  throw new Error('what is around logfence did not start');
}

function start(command: string, args: string[], env: NodeJS.ProcessEnv): ChildProcess {
  const child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  children.push(child);
  return child;
}

async function untilReady(at: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    assert.equal(child.exitCode, null, `${child.spawnfile} has ended`);
    try {
      if ((await fetch(at)).ok) return;
    } catch {
      // Not yet.
    }
    await pause(25);
  }
  throw new Error(`${at} is not ready`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function needed(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set; run make test-explore`);
  return value;
}
