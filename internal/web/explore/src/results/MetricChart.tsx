import 'uplot/dist/uPlot.min.css';

import type { MatrixSeries, VectorSeries } from '@logfence/client';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Span, Zone } from '../model';
import { color } from '../theme';
import { plot, type Plot } from './plot';
import { chartOf, namesOf, numberOf, shortNumber, type Chart } from './series';
import { coarseStamp, nsOfMs } from './time';
import { ZoomBar } from './ZoomBar';

export interface MetricChartProps {
  matrix?: MatrixSeries[];
  vector?: VectorSeries[];
  zone: Zone;
  onZoom: (span: Span) => void;
}

/** The result of a metric query: lines over time, or a table of what is now. */
export function MetricChart({ matrix, vector, zone, onZoom }: MetricChartProps) {
  if (matrix && matrix.length > 0) return <LinesOverTime matrix={matrix} zone={zone} onZoom={onZoom} />;
  return vector && vector.length > 0 ? <VectorTable vector={vector} /> : <p class="r-note">No series.</p>;
}

const height = 300;
/** How many series are drawn unasked; more cannot be told apart. */
const few = 20;
/** How many are drawn and listed at all. */
const most = 500;
/** How many colors there are. */
const hues = 10;

function LinesOverTime({ matrix, zone, onZoom }: { matrix: MatrixSeries[]; zone: Zone; onZoom: (span: Span) => void }) {
  const chart = useMemo(() => chartOf(matrix), [matrix]);
  const [all, setAll] = useState(false);
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const [at, setAt] = useState<number>();
  const element = useRef<HTMLDivElement>(null);
  const drawn = useRef<Plot>();
  const latest = useRef(onZoom);
  latest.current = onZoom;
  const shown = chart.series.slice(0, all ? most : few);
  const [from, to] = [chart.times[0] ?? 0, (chart.times.at(-1) ?? 0) + (chart.times.length > 1 ? 0 : chart.step)];

  useEffect(() => {
    if (!element.current) return;
    const { chart: made, end } = plot(element.current, [chart.times, ...shown.map(({ values }) => values)], {
      height,
      zone,
      from,
      to,
      series: shown.map((_, i) => ({
        stroke: () => color(hueOf(i)),
        width: 1.5,
        spanGaps: false,
        points: { show: chart.times.length < 2 },
      })),
      value: shortNumber,
      onSelect: (a, b) => latest.current({ start: nsOfMs(a), end: nsOfMs(b) }),
      onPoint: (ms) => setAt(ms === undefined ? undefined : nearest(chart, ms)),
    });
    drawn.current = made;
    return end;
  }, [chart, zone, all]);
  useEffect(() => {
    shown.forEach((_, i) => drawn.current?.setSeries(i + 1, { show: !hidden.has(i) }));
  }, [hidden, chart, zone, all]);

  const toggle = (index: number, alone: boolean): void =>
    setHidden((old) => {
      if (alone) {
        const others = shown.map((_, i) => i).filter((i) => i !== index);
        return new Set(others.every((i) => old.has(i)) ? [] : others);
      }
      const next = new Set(old);
      if (!next.delete(index)) next.add(index);
      return next;
    });
  const span = { start: nsOfMs(from), end: nsOfMs(Math.max(to, from + 1)) };
  const time = at === undefined ? undefined : chart.times[at];
  return (
    <section class="r-metric" aria-label="Series over time">
      <div class="r-bar">
        <span class="r-told">
          {time === undefined ? `${chart.series.length.toLocaleString('en')} series` : coarseStamp(time, zone, chart.step)}
        </span>
        <span class="r-space-between" />
        <ZoomBar span={span} onZoom={onZoom} />
      </div>
      <div class="r-plot" ref={element} role="img" aria-label={`Lines of ${shown.length} series; the table below has their values`} />
      <table class="r-series">
        <thead>
          <tr>
            <th scope="col">Series</th>
            <th scope="col">{time === undefined ? 'Last' : 'There'}</th>
            <th scope="col">Most</th>
          </tr>
        </thead>
        <tbody>
          {shown.map(({ name, last, most: peak, values }, i) => (
            <tr key={i}>
              <th scope="row">
                <button
                  type="button"
                  class={`r-link r-hue-${i % hues}`}
                  aria-pressed={!hidden.has(i)}
                  title="Show or hide; with Shift, show this one alone"
                  onClick={(e) => toggle(i, e.shiftKey)}
                >
                  <span class="r-swatch" />
                  <bdi>{name}</bdi>
                </button>
              </th>
              <td>{value(at === undefined ? last : values[at])}</td>
              <td>{value(peak)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {chart.series.length > shown.length && (
        <p class="r-note">
          The {shown.length} largest of {chart.series.length.toLocaleString('en')} series are shown.{' '}
          {!all && (
            <button type="button" class="r-link" onClick={() => setAll(true)}>
              Show {chart.series.length > most ? `the ${most} largest` : 'all'}
            </button>
          )}
        </p>
      )}
    </section>
  );
}

function nearest({ times, step }: Chart, ms: number): number | undefined {
  const index = times.findIndex((time) => Math.abs(time - ms) <= step / 2);
  return index < 0 ? undefined : index;
}

function hueOf(index: number): `--${string}` {
  return `--series-${index % hues}`;
}

function value(number: number | null | undefined): string {
  return number === null || number === undefined || number === -Infinity ? '–' : shortNumber(number);
}

function VectorTable({ vector }: { vector: VectorSeries[] }) {
  const rows = useMemo(() => {
    const names = namesOf(vector.map(({ metric }) => metric));
    return vector
      .map(({ value: sample }, i) => ({ name: names[i] ?? '', text: sample[1], number: numberOf(sample) }))
      .sort((a, b) => b.number - a.number);
  }, [vector]);
  return (
    <table class="r-series">
      <thead>
        <tr>
          <th scope="col">Series</th>
          <th scope="col">Value</th>
        </tr>
      </thead>
      <tbody>
        {rows.slice(0, most).map(({ name, text, number }, i) => (
          <tr key={i}>
            <th scope="row">
              <bdi>{name}</bdi>
            </th>
            <td title={text}>{shortNumber(number)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
