// Makes src/gen from openapi.yaml: `npm run generate`. What openapi.yaml says in words, since OpenAPI 3.0
// has no other way, is said to the generator in terms that it knows: tuples, and the codes of problems.
import { writeFile } from 'node:fs/promises';

import { createClient } from '@hey-api/openapi-ts';

const out = 'src/gen';
const statuses = new Map();

await createClient({
  input: '../../openapi.yaml',
  output: { path: out, module: { extension: '.js' } },
  parser: {
    // Loki's own API is for Loki's own clients. The events of a tail are orphans: OpenAPI 3.0 has no place
    // to refer to them from.
    filters: { tags: { exclude: ['Loki-compatible'] }, orphans: true },
    patch: {
      input: (spec) => {
        collectCodes(spec);
        sayTuples(spec);
        forgetHeaders(spec);
      },
    },
  },
  plugins: ['@hey-api/client-fetch', '@hey-api/sdk', '@hey-api/typescript'],
  logs: { file: false, level: 'warn' },
});
await writeFile(`${out}/codes.gen.ts`, codesFile());

/** Tuples, and null as a type, are of OpenAPI 3.1. */
function sayTuples(spec) {
  spec.openapi = '3.1.0';
  const { schemas } = spec.components;
  const text = { type: 'string' };
  const tuple = (...prefixItems) => ({ type: 'array', prefixItems });
  replace(schemas, 'Entry', {
    oneOf: [tuple(text, text), tuple(text, text, { $ref: '#/components/schemas/EntryLabels' })],
  });
  replace(schemas, 'Sample', tuple({ type: 'number' }, { $ref: '#/components/schemas/SampleValue' }));
  sayNull(spec);
}

function replace(schemas, name, schema) {
  if (schemas[name]?.type !== 'array') {
    throw new Error(`openapi.yaml: the schema ${name} is no array any more; look at what it is now`);
  }
  schemas[name] = { ...schema, description: schemas[name].description };
}

function sayNull(node) {
  if (typeof node !== 'object' || node === null) return;
  if (node.nullable === true && typeof node.type === 'string') {
    node.type = [node.type, 'null'];
    delete node.nullable;
  }
  Object.values(node).forEach(sayNull);
}

/** The generator has no use for the headers of responses, and says so for each of them. */
function forgetHeaders(spec) {
  for (const response of Object.values(spec.components.responses)) delete response.headers;
  delete spec.components.headers;
}

/** Each refusal of a native operation names its codes; those that no operation has are named by Problem. */
function collectCodes(spec) {
  for (const item of Object.values(spec.paths)) {
    for (const operation of [item.get, item.post]) {
      if (!operation || operation.tags.includes('Loki-compatible')) continue;
      for (const [status, response] of Object.entries(operation.responses)) {
        const { description } = response.$ref ? spec.components.responses[response.$ref.split('/').at(-1)] : response;
        noteCodes(Number(status), /Codes: ([^.]*)\./.exec(description)?.[1] ?? '');
      }
    }
  }
  const told = spec.components.schemas.Problem.properties.code.description.replaceAll(/\([^)]*\)/g, '');
  for (const [, status, codes] of told.matchAll(/(\d{3}): ([^.]*)\./g)) noteCodes(Number(status), codes);
  if (statuses.size < 20) {
    throw new Error(`openapi.yaml: only ${statuses.size} codes found; are they written in another way now?`);
  }
}

function noteCodes(status, text) {
  for (const [, code] of text.matchAll(/`([a-z0-9_]+)`/g)) {
    if (statuses.has(code) && statuses.get(code) !== status) {
      throw new Error(`openapi.yaml: ${code} has the statuses ${statuses.get(code)} and ${status}`);
    }
    statuses.set(code, status);
  }
}

function codesFile() {
  const lines = [...statuses].sort(([a, s], [b, t]) => s - t || (a < b ? -1 : 1)).map(([code, status]) => `    ${code}: ${status},\n`);
  return `// This file is auto-generated from openapi.yaml

/**
 * The codes of problems, each with its HTTP status.
 */
export const statusOfCode = {
${lines.join('')}} as const;
`;
}
