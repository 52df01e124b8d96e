// A real logfence in front of a real Loki, with an issuer of tokens.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

/** The folder of this package. */
export const home = fileURLToPath(new URL('../../', import.meta.url));

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const children: ChildProcess[] = [];
let logfence: ChildProcess | undefined;

// However we end, they end as well.
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

/** Serves the page in the test with a browser; its origin is the one that logfence knows. */
export const pages = createServer().listen(0, '127.0.0.1');
await once(pages, 'listening');
export const pageOrigin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`;

const folder = await mkdtemp(join(tmpdir(), 'logfence-client-'));
const lokiPort = await freePort();
const port = await freePort();
try {
  await startLoki();
  await startLogfence();
} catch (err) {
  // What is open would keep the process, and the tests would wait for ever.
  console.error(err);
  process.exit(1);
}

after(async () => {
  pages.close();
  pages.closeAllConnections();
  await Promise.all(children.map((child) => stop(child)));
  await rm(folder, { recursive: true, force: true });
});

/** Where logfence is. */
export const baseUrl = `http://127.0.0.1:${port}`;

/** A valid token of a tenant's. */
export function token(tenant: string | string[], seconds = 3600): string {
  const now = Math.floor(Date.now() / 1000);
  const part = (v: object): string => Buffer.from(JSON.stringify(v)).toString('base64url');
  const signed = `${part({ alg: 'ES256', kid: 'test', typ: 'JWT' })}.${part({
    iss: 'https://id.example.com',
    aud: 'logfence',
    sub: 'test',
    tenant_id: tenant,
    iat: now,
    exp: now + seconds,
  })}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

type Value = [nanoseconds: bigint, line: string, metadata?: Record<string, string>];

/** Writes lines of a tenant's into Loki, past logfence. They can be queried when it resolves. */
export async function push(labels: { tenant_id: string } & Record<string, string>, values: Value[]): Promise<void> {
  const streams = [{ stream: labels, values: values.map(([at, ...rest]) => [String(at), ...rest]) }];
  const response = await fetch(`http://127.0.0.1:${lokiPort}/loki/api/v1/push`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ streams }),
  });
  assert.equal(response.status, 204, await response.text());
}

/** Now, in nanoseconds. */
export const now = (): bigint => BigInt(Date.now()) * 1_000_000n;

/** Ends logfence, in order or at once, and starts it again at the same address. */
export async function restartLogfence(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  await stop(logfence, signal);
  await startLogfence();
}

async function startLoki(): Promise<void> {
  const settings: Record<string, string> = {
    MultiTenant: 'false',
    PersistPatterns: 'false',
    Replicas: '1',
    HTTPPort: String(lokiPort),
    GRPCPort: String(await freePort()),
    Dir: join(folder, 'loki'),
    Chunks: join(folder, 'chunks'),
    Rules: join(folder, 'rules'),
  };
  // The demo's, so that there is one configuration of a Loki for tests.
  const template = await readFile(join(home, '../../internal/demo/loki.yaml.tmpl'), 'utf8');
  const text = template.replaceAll(/\{\{(printf "%q" )?\.(\w+)\}\}/g, (_, quoted: string | undefined, name: string) => {
    const value = settings[name];
    assert.ok(value, `loki.yaml.tmpl needs ${name}`);
    return quoted ? JSON.stringify(value) : value;
  });
  await writeFile(join(folder, 'loki.yaml'), text);
  const child = start(needed('LOGFENCE_DEMO_LOKI'), [`-config.file=${join(folder, 'loki.yaml')}`], {});
  child.stderr?.resume();
  await untilReady(`http://127.0.0.1:${lokiPort}/ready`, child);
}

async function startLogfence(): Promise<void> {
  const keys = join(folder, 'keys.json');
  await writeFile(keys, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'test', alg: 'ES256', use: 'sig' }] }));
  const child = start(needed('LOGFENCE_BIN'), ['serve'], {
    LOGFENCE_LOKI_URL: `http://127.0.0.1:${lokiPort}`,
    LOGFENCE_JWT_ISSUER: 'https://id.example.com',
    LOGFENCE_JWT_AUDIENCE: 'logfence',
    LOGFENCE_JWT_KEYS_FILE: keys,
    LOGFENCE_JWT_LEEWAY: '0s',
    LOGFENCE_ADDR: `127.0.0.1:${port}`,
    LOGFENCE_ADMIN_ADDR: '127.0.0.1:0',
    LOGFENCE_CORS_ORIGINS: pageOrigin,
    LOGFENCE_LOG_FORMAT: 'json',
  });
  logfence = child;
  const said: string[] = [];
  assert.ok(child.stderr);
  for await (const line of createInterface(child.stderr)) {
    said.push(line);
    if (line.includes('"msg":"ready"')) {
      child.stderr.resume();
      return;
    }
  }
  assert.fail(`logfence did not start:\n${said.join('\n')}`);
}

function start(path: string, args: string[], settings: Record<string, string>): ChildProcess {
  const child = spawn(path, args, {
    env: { PATH: process.env.PATH, ...settings },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  child.on('error', (err) => console.error(err));
  children.push(child);
  return child;
}

async function stop(child: ChildProcess | undefined, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

function needed(name: string): string {
  const value = process.env[name];
  assert.ok(value, `${name} is not set: run \`make test-typescript\``);
  return value;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return address.port;
}

/** Waits until a server responds with success, or its process has ended. */
async function untilReady(url: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const ready = await fetch(url).then(
      (r) => r.ok,
      () => false,
    );
    if (ready) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`the server at ${url} ended with ${child.exitCode}`);
}
