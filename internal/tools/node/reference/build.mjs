// Makes what of the reference needs Node, in gen/reference: the renderer out of @redocly/cli's package,
// its licences, and the `openapi` section of redocly.yaml as the renderer's settings.
import { readFile, writeFile } from 'node:fs/promises';
import { parse } from 'yaml';

const here = (path) => new URL(path, import.meta.url);
const cli = (path) => here(`../node_modules/@redocly/cli/${path}`);
const out = (name) => here(`../../../../gen/reference/${name}`);

// The maker's name in place of the logo that would be loaded, as wide as the sidebar has room for.
const name = (width, text) =>
  `data:image/svg+xml,${encodeURIComponent(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="14"><text y="11" font-family="sans-serif" font-size="11" fill="#1d2939">${text}</text></svg>`,
  )}`;

// What is changed in the renderer. Each must be found just once: a renderer that has changed is looked at
// again by a person.
const changes = [
  // The reference is complete without any other host.
  ['https://cdn.redoc.ly/redoc/logo-mini-full.svg', name(46, 'Redocly')],
  ['https://cdn.redoc.ly/redoc/logo-mini.svg', name(10, 'R')],
  // The policy refuses style attributes. The colors of code are those of the same classes, in docs.css.
  ['i?` style="color: var(${i})"`:``', '``'],
  // Choices are called by what they show as well, not by another name to those who cannot see it.
  ['"aria-label":r,children:(0,V.jsx)(cI,{', '"aria-label":i?r+": "+i.label:r,children:(0,V.jsx)(cI,{'],
];

let renderer = await readFile(cli('lib/chunks/redoc.standalone.js'), 'utf8');
for (const [from, to] of changes) {
  const found = renderer.split(from).length - 1;
  if (found !== 1) {
    throw new Error(`the renderer holds ${from} ${found} times, not once: see what became of it, and change ${import.meta.url}`);
  }
  renderer = renderer.replace(from, () => to);
}
await writeFile(out('redoc.js'), renderer);

const licences = [
  'redoc.js is Redoc, out of the package @redocly/cli, changed in three things: the logo of its maker\nis not loaded, and the name stands in its place; code is colored by classes, not by style attributes; choices\nare labelled by what they show as well.\n',
  await readFile(cli('LICENSE'), 'utf8'),
  await readFile(cli('THIRD_PARTY_NOTICES'), 'utf8'),
];
await writeFile(out('redoc.LICENSE.txt'), licences.join('\n'));

const { openapi } = parse(await readFile(here('../../../../redocly.yaml'), 'utf8'));
const settings = JSON.stringify(openapi, null, 2);
await writeFile(
  out('settings.js'),
  `// Code generated from redocly.yaml by \`make reference\`; DO NOT EDIT.\nexport default ${settings};\n`,
);
