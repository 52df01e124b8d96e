// All tests in a browser, one after the other, with one stack for all of them. `--test-name-pattern` picks some.
import './app/draft.spec';
import './app/firefox.spec';
import './app/hostile.spec';
import './app/layout.spec';
import './app/many.spec';
import './app/prefix.spec';
import './app/reach.spec';
import './app/signin.spec';
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

const here = new URL('.', import.meta.url);
const named = readFileSync(new URL('main.ts', here), 'utf8');
for (const name of readdirSync(here, { recursive: true, encoding: 'utf8' })) {
  if (name.endsWith('.spec.ts')) assert.ok(named.includes(`'./${name.slice(0, -3)}'`), `main.ts does not import ${name}`);
}
