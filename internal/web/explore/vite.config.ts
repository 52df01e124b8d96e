import { fileURLToPath } from 'node:url';

import { defineConfig } from 'vite';

import { licences } from './licences.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// The output is the same, byte for byte, wherever the sources lie: names carry the hash of what is in the file.
export default defineConfig({
  root: here('.'),
  base: '/explore/',
  // Relative, so that all of it may be served below a path: the page's own address has no slash at its end.
  experimental: { renderBuiltUrl: (file, { hostType }) => (hostType === 'html' ? `explore/${file}` : { relative: true }) },
  resolve: { alias: { '@logfence/client': here('../../../gen/typescript/src/index.ts') } },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [licences('licences.txt')],
  build: {
    outDir: here('../../../gen/explore/dist'),
    emptyOutDir: true,
    target: 'es2022',
    // The Content-Security-Policy knows neither inline scripts nor data: URLs.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  // `npm run dev` shows the page with changes at once; the API is that of a running logfence.
  server: { proxy: { '/api': process.env['LOGFENCE_URL'] ?? 'http://127.0.0.1:8080' } },
});
