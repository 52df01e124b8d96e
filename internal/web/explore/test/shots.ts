import { test } from 'node:test';
import { feed, now, openAs, push, statusShows } from './stack';
const minute = 60_000_000_000n;
const iso = (ns: bigint): string => `${new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 23)}000000Z`;
test('shots', async (t) => {
  const begin = ((now() - 50n * minute) / 1_000_000n) * 1_000_000n;
  const at = (i: number): bigint => begin + BigInt(i) * minute;
  await push(
    { tenant_id: 'alpha', app: 'shots' },
    Array.from({ length: 40 }, (_, i) => ({
      ns: at(i),
      text: `level=${['info', 'warn', 'error'][i % 3]} msg="request ${i} served" path=/orders/${i * 7} status=200 duration=${i}ms`,
    })),
  );
  for (const [width, colorScheme] of [
    [1440, 'light'],
    [1024, 'dark'],
    [390, 'light'],
    [390, 'dark'],
  ] as const) {
    const page = await openAs(t, 'ana', {
      search: '?q={app="shots"}',
      colorScheme,
      viewport: { width, height: width === 390 ? 844 : 800 },
    });
    await statusShows(page, /^40 lines ·/);
    const shot = (name: string) => page.screenshot({ path: `/tmp/shot-${name}-${width}-${colorScheme}.png`, animations: 'disabled' });
    const lines = await feed(page, '/logs/lines', 'application/x-ndjson');
    const record = (event: string, data: object): string => `${JSON.stringify({ event, id: 'AQ', data })}\n`;
    const some = Array.from({ length: 6 }, (_, i) => 39 - i).map((i) => ({
      timestamp: iso(at(i)),
      line: `level=${['info', 'warn', 'error'][i % 3]} msg="request ${i} served" path=/orders/${i * 7} status=200 duration=${i}ms`,
      labels: { app: 'shots', tenant_id: 'alpha' },
      metadata: {},
      id: String(i),
    }));
    const more = some.map((l, i) => ({ ...l, timestamp: iso(at(5 - i)), id: `m${i}` }));
    const gap = {
      from: iso(at(6)),
      to: iso(at(34)),
      code: 'loki_timeout',
      detail:
        'Loki did not respond within 60 s. Choose a shorter time range, or add labels to the selector, so that there is less to read.',
    };
    await page.keyboard.press('Control+Enter');
    await lines.write(
      record('progress', { done: 0.456, lines: 12, bytes: 2_600_000, seconds: 1.5 }) +
        record('lines', { lines: some }) +
        record('gap', gap) +
        record('lines', { lines: more }),
    );
    await page.getByText('are missing').waitFor();
    await shot('reading');
    await page.getByRole('button', { name: 'Cancel' }).click();
    await statusShows(page, /not all/);
    await shot('stopped');
    await lines.restore();
    await page.route('**/logs/explain', (route) =>
      route.fulfill({
        json: {
          valid: true,
          kind: 'log',
          fenced: '{}',
          selectors: [],
          estimate: { streams: 1234, chunks: 45_678, bytes: 12e9, entries: 1e8 },
        },
      }),
    );
    await page.getByRole('textbox', { name: 'Query' }).click();
    await page.keyboard.press('Control+End');
    await page.keyboard.insertText(' |= "e"');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('alert', { name: 'Expensive query' }).waitFor();
    await shot('consent');
    await page.context().close();
  }
});
