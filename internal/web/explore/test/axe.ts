import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

/** axe's source, to be evaluated in a page: by the debugger, to which the page's policy does not apply. */
export async function axeSource(): Promise<string> {
  return await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
}
