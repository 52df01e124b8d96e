import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

import { createLogfence } from '@logfence/client';

import { home } from './gateway.js';

test('the client has each native operation, by its operationId', async () => {
  const generated = await readFile(join(home, 'src/gen/sdk.gen.ts'), 'utf8');
  const operations = [...generated.matchAll(/^export const (\w+) =/gm)].map(([, name]) => name);
  assert.ok(operations.length > 15, `only ${operations.length} operations found`);
  const client = createLogfence({ baseUrl: '', token: '' });
  // The forms are the same operations, for long queries: the client chooses.
  // streamLines is listLines with events as its response.
  assert.deepEqual(Object.keys(client).sort(), [...operations.filter((name) => !name?.endsWith('Form')), 'streamLines'].sort());
});

test('the package has the version of the API', async () => {
  const { version } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as { version: string };
  const spec = await readFile(join(home, '../../openapi.yaml'), 'utf8');
  assert.equal(/^info:\n(?: .*\n)*? {2}version: (\S+)$/m.exec(spec)?.[1], version);
});
