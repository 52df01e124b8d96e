// A hundred thousand lines: what it takes to hold them, and to scroll through them.
import assert from 'node:assert/strict';

import { statusShows, openAs, push, test } from '../stack';

test('100,000 lines load as they are reached, and scroll', async (t) => {
  const count = Number(process.env['LOGFENCE_TEST_LINES'] ?? '20000');
  const begin = BigInt(Date.now() - 1_800_000) * 1_000_000n;
  const batch = 10_000;
  for (let done = 0; done < count; done += batch) {
    const lines = Array.from({ length: batch }, (_, i) => ({
      ns: begin + BigInt(done + i) * 10_000n,
      text: `level=${i % 50 ? 'info' : 'error'} msg="request ${done + i} served" path=/orders/${(done + i) * 7} status=200 duration=${i % 97}ms`,
    }));
    await push({ tenant_id: 'alpha', app: 'many' }, lines);
  }
  const page = await openAs(t, 'ana', { search: '?q={app="many"}&limit=5000' });
  const cdp = await page.context().newCDPSession(page);
  const heap = async (): Promise<number> => {
    await cdp.send('HeapProfiler.collectGarbage');
    const { usedSize } = await cdp.send('Runtime.getHeapUsage');
    return Math.round(usedSize / 1e6);
  };
  await statusShows(page, /^5,000 lines/);
  const small = await heap();
  // One page or two at a time: the end of the list may be seen again as soon as it has grown.
  // What is reached while a page is still read loads nothing: then one scrolls back, and to the end again.
  for (let loaded = 5000, tries = 0; loaded < count; tries++) {
    assert.ok(tries < 40, `${loaded} lines`);
    if (tries > 0) await page.evaluate(() => document.querySelector('[role=feed]')?.closest('.r-scroller')?.scrollBy(0, -5000));
    await page.getByRole('article').last().focus();
    await page.keyboard.press('End');
    const more = page.waitForFunction(
      (before) => {
        const lines = Number.parseInt((document.querySelector('.a-status')?.textContent ?? '').replaceAll(',', ''), 10);
        return lines > before && lines;
      },
      loaded,
      { timeout: 10_000 },
    );
    loaded = await more.then(
      async (lines) => Number(await lines.jsonValue()),
      () => loaded,
    );
  }
  const full = await heap();
  // A second of wheel, from the newest lines down.
  await page.keyboard.press('Home');
  const frames = await page.evaluate(async () => {
    const feed = document.querySelector('[role=feed]');
    const scroller = feed?.closest('.r-scroller');
    if (!scroller) throw new Error('nothing scrolls');
    const took: number[] = [];
    let last = performance.now();
    for (let i = 0; i < 120; i++) {
      scroller.scrollBy(0, 1500);
      const now = await new Promise<number>(requestAnimationFrame);
      took.push(now - last);
      last = now;
    }
    took.sort((a, b) => a - b);
    return { median: took[60] ?? 0, p95: took[114] ?? 0, worst: took[119] ?? 0 };
  });
  const rows = await page.getByRole('article').count();
  const ms = (n: number): string => `${n.toFixed(1)} ms`;
  t.diagnostic(
    `${count} lines: heap ${small} MB with 5,000, ${full} MB with all; ${rows} rows in the page; ` +
      `frames while scrolling: median ${ms(frames.median)}, 95 % ${ms(frames.p95)}, worst ${ms(frames.worst)}`,
  );
  assert.ok(rows < 300, `${rows} rows are in the page`);
});
