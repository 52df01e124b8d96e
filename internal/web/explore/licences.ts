import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Plugin } from 'vite';

/** Packages that name their licence only: where its text is. */
const withoutFile: Record<string, { license: string; path: string }> = {
  '@grafana/lezer-logql': {
    license: 'Apache-2.0',
    path: fileURLToPath(new URL('../../../gen/typescript/LICENSE', import.meta.url)),
  },
};

/** Writes the licences of every package that is in the bundle: they have to be shown with it. */
export function licences(fileName: string): Plugin {
  return {
    name: 'licences',
    apply: 'build',
    generateBundle(_, bundle) {
      const packages = new Map<string, string>();
      for (const output of Object.values(bundle)) {
        if (output.type !== 'chunk') continue;
        for (const id of output.moduleIds) {
          const folder = packageOf(id);
          if (folder) packages.set(folder.slice(folder.lastIndexOf(`node_modules${sep}`) + 13), folder);
        }
      }
      const texts = [...packages].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, folder]) => licenceOf(name, folder));
      this.emitFile({ type: 'asset', fileName, source: texts.join(`\n${'-'.repeat(80)}\n\n`) });
    },
  };
}

function packageOf(id: string): string | undefined {
  const parts = id.split('?', 1).join('').replace('\0', '').split(sep);
  const at = parts.lastIndexOf('node_modules');
  if (at < 0) return undefined;
  return parts.slice(0, at + (parts[at + 1]?.startsWith('@') ? 3 : 2)).join(sep);
}

function licenceOf(name: string, folder: string): string {
  const about = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string; license: string };
  const file = readdirSync(folder).find((entry) => /^licen[sc]e(\.|$)/i.test(entry));
  const path = file ? join(folder, file) : withoutFile[name]?.license === about.license && withoutFile[name].path;
  if (!path) throw new Error(`${dirname(folder)}: ${name} has no licence file; find its licence, and say it here`);
  return `${name} ${about.version} (${about.license})\n\n${readFileSync(path, 'utf8').trim()}\n`;
}
