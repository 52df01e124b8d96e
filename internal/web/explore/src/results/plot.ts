import uPlot from 'uplot';

import type { Zone } from '../model';
import { color, onTheme } from '../theme';
import { tick } from './time';

export type Plot = uPlot;
export type PlotData = uPlot.AlignedData;

/** What a chart is told that is not the same for all. */
export interface PlotOptions {
  height: number;
  zone: Zone;
  series: uPlot.Series[];
  /** The times of the axis, in milliseconds. */
  from: number;
  to: number;
  value: (value: number) => string;
  /** Distances between the ticks of values, from which the chart chooses; its own where it is missing. */
  increments?: number[] | undefined;
  /** The reader has dragged over this part. */
  onSelect: (from: number, to: number) => void;
  /** The pointer is at this time, or nowhere. */
  onPoint: (ms: number | undefined) => void;
}

const gap = 64;

/** Ticks of whole numbers: 1, 2, 5, 10 and so on. */
export const wholeIncrements = Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();
/** Ticks of bytes: powers of two. */
export const byteIncrements = Array.from({ length: 60 }, (_, power) => 2 ** power);

/**
 * Draws into an element, as wide as it is, in the colors of the theme, until the function that it returns is called.
 * uPlot styles its elements through the CSSOM alone, which the Content-Security-Policy allows.
 */
export function plot(element: HTMLElement, data: PlotData, options: PlotOptions): { chart: uPlot; end: () => void } {
  const chart = new uPlot({ ...settings(options), width: Math.max(200, element.clientWidth) }, data, element);
  const resized = new ResizeObserver(() => {
    if (element.clientWidth !== chart.width) chart.setSize({ width: Math.max(200, element.clientWidth), height: options.height });
  });
  resized.observe(element);
  const themed = onTheme(() => chart.redraw(false, true));
  return {
    chart,
    end: () => {
      resized.disconnect();
      themed();
      chart.destroy();
    },
  };
}

function settings({ height, zone, series, from, to, value, increments, onSelect, onPoint }: PlotOptions): Omit<uPlot.Options, 'width'> {
  // Two rows under the axis would be half of a low chart.
  const low = height < 100;
  const font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const axis: uPlot.Axis = {
    font,
    stroke: () => color('--muted'),
    grid: { stroke: () => color('--border'), width: 1 },
    ticks: { show: false },
  };
  return {
    height,
    ms: 1,
    tzDate: (ms) => (zone === 'local' ? new Date(ms) : uPlot.tzDate(new Date(ms), zone === 'utc' ? 'Etc/UTC' : zone)),
    padding: [low ? 4 : 8, 20, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { show: series.length < 40, size: 6 } },
    scales: {
      x: { range: () => [from, to] },
      y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.05 : low < 0 ? 0 : 1] },
    },
    axes: [
      {
        ...axis,
        size: low ? 20 : 36,
        space: low ? 96 : 76,
        grid: { show: false },
        values: (_, splits, __, ___, increment) => splits.map((ms, i) => tick(ms, splits[i - 1], zone, increment, low ? ' ' : '\n')),
      },
      {
        ...axis,
        size: gap,
        space: low ? 18 : 28,
        values: (_, splits) => splits.map((n) => value(n)),
        ...(increments && { incrs: increments }),
      },
    ],
    series: [{}, ...series],
    hooks: {
      setCursor: [(u) => onPoint((u.cursor.left ?? -1) < 0 ? undefined : u.posToVal(u.cursor.left ?? 0, 'x'))],
      setSelect: [
        (u) => {
          if (u.select.width < 4) return;
          const selected = [u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x')] as const;
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          onSelect(...selected);
        },
      ],
    },
  };
}
