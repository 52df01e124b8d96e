// All tests in a browser, one after the other, with one stack for all of them. `--test-name-pattern` picks some.
import { readdirSync } from 'node:fs';

const here = new URL('.', import.meta.url);
const specs = readdirSync(here, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.spec.ts'));
for (const name of specs.sort()) await import(new URL(name, here).href);
