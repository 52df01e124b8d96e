// All tests in a browser, some at a time, with one stack for all of them. `--test-name-pattern` picks some.
import './app/draft.spec';
import './app/firefox.spec';
import './app/hostile.spec';
import './app/layout.spec';
import './app/many.spec';
import './app/prefix.spec';
import './app/reach.spec';
import './app/signin.spec';
import './app/stream.spec';
import './app/view.spec';
import './query/query.spec';
import './results/charts.spec';
import './results/display.spec';
import './results/levels.spec';
import './results/lines.spec';
import './results/opened.spec';
import './results/tail.spec';

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';

import { runTests } from './stack';

runTests();

const here = new URL('.', import.meta.url);
const named = readFileSync(new URL('main.ts', here), 'utf8');
for (const name of readdirSync(here, { recursive: true, encoding: 'utf8' })) {
  if (!name.endsWith('.spec.ts')) continue;
  assert.ok(named.includes(`'./${name.slice(0, -3)}'`), `main.ts does not import ${name}`);
  const spec = readFileSync(new URL(name, here), 'utf8');
  assert.doesNotMatch(
    spec,
    /import \{[^}]*\btest\b[^}]*\} from 'node:test'/,
    `${name} takes test from stack.ts, which runs it beside others`,
  );
}
