// A real logfence for the tests of what browsers are shown. There is no Loki behind it, and needs none: it
// says so at its start, and serves the pages all the same.
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Starts the binary on a port of its own, and resolves when it listens. */
export async function startLogfence(binary) {
  const folder = await mkdtemp(join(tmpdir(), 'logfence-'));
  const { publicKey } = generateKeyPairSync('ed25519');
  const keys = join(folder, 'keys.json');
  await writeFile(keys, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'test', alg: 'EdDSA', use: 'sig' }] }));
  const child = spawn(binary, ['serve'], {
    env: {
      LOGFENCE_ADDR: '127.0.0.1:0',
      LOGFENCE_ADMIN_ADDR: '127.0.0.1:0',
      LOGFENCE_LOKI_URL: 'http://127.0.0.1:9', // the discard port: refused at once
      LOGFENCE_JWT_ISSUER: 'https://id.example.com',
      LOGFENCE_JWT_AUDIENCE: 'logfence',
      LOGFENCE_JWT_KEYS_FILE: keys,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const said = [];
  const addr = new Promise((resolve, reject) => {
    child.once('error', reject);
    createInterface({ input: child.stderr }).on('line', (line) => {
      said.push(line);
      try {
        const { msg, addr } = JSON.parse(line);
        if (msg === 'ready') resolve(addr);
      } catch {
        // Not a line of its log: shown if it ends.
      }
    });
    void ended.then((code) => reject(new Error(`logfence ended with ${code}:\n${said.join('\n')}`)));
  });
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    await rm(folder, { recursive: true });
  };
  try {
    return { url: `http://${await addr}`, stop };
  } catch (error) {
    await rm(folder, { recursive: true });
    throw error;
  }
}
