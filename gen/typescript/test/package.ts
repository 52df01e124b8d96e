// The package as npm would publish it: packed, installed into an empty project, compiled there with strict,
// and used in Node and in Chromium.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';

import type { TailEvent } from '@logfence/client';
import { chromium } from 'playwright-core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

import { baseUrl, home, now, pageOrigin, pages, push, token } from './gateway.js';

const run = promisify(execFile);
let project = '';
let tarball = '';
let packed: string[] = [];

before(async () => {
  project = await mkdtemp(join(tmpdir(), 'logfence-project-'));
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project], {
    cwd: home,
  });
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }];
  tarball = join(project, filename);
  packed = files.map(({ path }) => path).sort();
  await writeFile(join(project, 'package.json'), '{"private": true, "type": "module"}');
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball], { cwd: project });
  await cp(join(home, 'test/project'), join(project, 'src'), { recursive: true });
  await writeFile(join(project, 'src/examples.ts'), await examples());
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify(tsconfig));
  await push({ tenant_id: 'alpha', app: 'checkout', level: 'error' }, [[now(), '{"level":"error","msg":"declined"}']]);
});

after(() => rm(project, { recursive: true, force: true }));

/** Stricter than most: what compiles here compiles anywhere. */
const tsconfig = {
  compilerOptions: {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noPropertyAccessFromIndexSignature: true,
    skipLibCheck: false,
    target: 'ES2022',
    module: 'NodeNext',
    types: ['node'],
    typeRoots: [join(home, 'node_modules/@types')],
    rootDir: 'src',
    outDir: 'out',
  },
  include: ['src'],
};

/** The examples of the README, each as a function. */
async function examples(): Promise<string> {
  const readme = await readFile(join(home, 'README.md'), 'utf8');
  const imports = new Set([`import * as app from './app.js';`]);
  const functions = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, text = ''], i) => {
    const body = text
      .replaceAll(/^import .*\n+/gm, (line) => (imports.add(line.trim()), ''))
      .replaceAll('https://logs.example.com', baseUrl);
    const inBrowser = body.includes('document.');
    return `export async function ${inBrowser ? 'browser' : 'node'}${i}(): Promise<void> {\n${body}}\n`;
  });
  assert.ok(functions.length >= 6, `only ${functions.length} examples found`);
  const given =
    'session, show, addLine, addPoint, markError, retryAfter, input, cancelButton, leaving, ' +
    'addRow, addGap, offerMore, bar, query, signal, useQuery, useInfiniteQuery, useSWR';
  return `${[...imports].join('\n')}\nconst { logfence, ${given} } = app;\n\n${functions.join('\n')}`;
}

test('the archive holds what is used, and nothing else', async () => {
  const sources = (await readdir(join(home, 'src'), { recursive: true })).filter((name) => name.endsWith('.ts'));
  const built = sources.flatMap((name) => ['.js', '.js.map', '.d.ts'].map((ending) => `dist/${name.replace(/\.ts$/, ending)}`));
  assert.deepEqual(packed, [...built, 'LICENSE', 'NOTICE', 'README.md', 'package.json'].sort());
});

test('publint finds nothing', async () => {
  const bytes = await readFile(tarball);
  const { messages, pkg } = await publint({ pack: { tarball: new Uint8Array(bytes).buffer }, strict: true });
  assert.deepEqual(
    messages.map((m) => formatMessage(m, pkg ?? {})),
    [],
  );
});

test('the lock names no registry', async () => {
  assert.doesNotMatch(await readFile(join(home, 'package-lock.json'), 'utf8'), /"resolved"/);
});

test('installed into an empty project it brings nothing else', async () => {
  assert.deepEqual(
    (await readdir(join(project, 'node_modules'))).filter((name) => !name.startsWith('.')),
    ['@logfence'],
  );
  assert.deepEqual(await readdir(join(project, 'node_modules/@logfence')), ['client']);
});

test('the project compiles with strict, and the examples of the README do in Node what they say', async () => {
  await compile();
  const { stdout } = await run('node', ['out/node.js'], {
    cwd: project,
    env: { ...process.env, LOGFENCE_URL: baseUrl, LOGFENCE_TOKEN: token('alpha') },
  });
  const { lines, mistakes, shown } = JSON.parse(stdout) as {
    lines: string[];
    mistakes: unknown[][];
    shown: string[][];
  };
  assert.deepEqual(shown, []);
  // By the query, the tail and the export.
  assert.ok(lines.filter((line) => line.includes('declined')).length >= 3, String(lines));
  assert.equal(mistakes.length, 1);
  const written = (await readdir(project)).filter((name) => name.startsWith('logs-'));
  assert.match(written.join(' '), /^logs-alpha-[0-9TZ-]+\.csv$/);
  assert.match(await readFile(join(project, written[0] ?? ''), 'utf8'), /^timestamp,labels,.*declined/s);
});

let compiled: Promise<unknown> | undefined;
const compile = (): Promise<unknown> =>
  (compiled ??= run(join(home, 'node_modules/.bin/tsc'), ['-p', project]).catch(({ stdout }: { stdout: string }) => assert.fail(stdout)));

/** Calls a function of the project in a page of another origin than logfence's, and what the page complained of. */
async function inChromium(t: TestContext, executablePath: string, name: string): Promise<{ result: unknown; complaints: string[] }> {
  await compile();
  const browser = await chromium.launch({ executablePath, args: flags });
  t.after(() => browser.close());
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (err) => complaints.push(String(err)));
  page.on('request', (r) => [baseUrl, pageOrigin].includes(new URL(r.url()).origin) || complaints.push(r.url()));
  await page.exposeFunction('push', (line: string) => push({ tenant_id: 'alpha', app: 'browser' }, [[now(), line]]));
  await page.goto(pageOrigin);
  const given = JSON.stringify([baseUrl, token('alpha')]);
  // As text: the page's modules are not this one's.
  const result: unknown = await page.evaluate(`import('/out/browser.js').then((m) => m.${name}(...${given}))`);
  return { result, complaints };
}

test('a page of another origin uses it in Chromium', async (t) => {
  const executablePath = process.env.CHROMIUM;
  if (!executablePath) return t.skip('there is no Chromium');
  await push({ tenant_id: 'beta', app: 'browser' }, [[now(), 'of beta']]);
  const { result, complaints } = await inChromium(t, executablePath, 'report');
  assert.deepEqual(result, {
    queried: ['before'],
    refused: ['query_too_wide', 422, true],
    aborted: 'aborted',
    tailed: ['before', 'after'],
    exported: ['before', 'after'],
  });
  // The browser itself reports the one refusal.
  assert.deepEqual(
    complaints.filter((text) => !text.includes('422')),
    [],
  );
});

test('a page of another origin resumes a tail, and learns the name of a file', async (t) => {
  const executablePath = process.env.CHROMIUM;
  if (!executablePath) return t.skip('there is no Chromium');
  const { result, complaints } = await inChromium(t, executablePath, 'resumed');
  assert.deepEqual(complaints, []);
  const { event, fileName } = result as { event: TailEvent; fileName: string };
  assert.ok(event.type === 'entries');
  assert.deepEqual(
    event.streams.flatMap(({ values }) => values.map(([, line]) => line)),
    ['later'],
  );
  assert.match(fileName, /^logs-alpha-[0-9TZ-]+\.csv$/);
});

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Serves the project, and a page with the import map that its packages need. */
const entry = '/node_modules/@logfence/client/';
pages.on('request', (request, response) => {
  void (async () => {
    const path = new URL(request.url ?? '/', pageOrigin).pathname;
    if (path === '/') {
      const manifest = JSON.parse(await readFile(join(project, entry, 'package.json'), 'utf8')) as {
        exports: { '.': { default: string } };
      };
      const imports = { '@logfence/client': entry + manifest.exports['.'].default.replace('./', '') };
      response.setHeader('Content-Type', 'text/html');
      response.end(`<!doctype html><link rel="icon" href="data:,"><script type="importmap">${JSON.stringify({ imports })}</script>`);
      return;
    }
    response.setHeader('Content-Type', 'text/javascript');
    response.end(await readFile(join(project, path)));
  })().catch(() => response.writeHead(404).end());
});
