import type { MatrixSeries } from '@logfence/client';
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Span, Zone } from '../model';
import { selectsPerStep, unitOf, type Unit } from '../query/logql';
import { color } from '../theme';
import { byteIncrements, plot, wholeIncrements, type Plot } from './plot';
import { chartOf, isolated, isWhole, unitWords, withUnit, type Chart, type Series } from './series';
import { coarseStamp, msOf, nsOfMs } from './time';
import { ZoomBar } from './ZoomBar';

export interface MetricChartProps {
  matrix: MatrixSeries[];
  query: string;
  /** The requested range, which is the axis whatever the series have. */
  span: Span;
  /** Between points, in milliseconds. */
  step: number;
  zone: Zone;
  /** What chooses between this and a table. */
  kind: ComponentChildren;
  onZoom: (span: Span) => void;
}

const height = 300;
/** How many series are drawn unasked; more cannot be told apart. */
const few = 20;
/** How many are drawn and listed at all. */
const most = 500;
/** How many colors there are. */
const hues = 10;

/** The result of a metric query: series over time. */
export function MetricChart({ matrix, query, span, step, zone, kind, onZoom }: MetricChartProps) {
  const chart = useMemo(() => chartOf(matrix, step), [matrix, step]);
  const unit = useMemo(() => unitOf(query), [query]);
  const [all, setAll] = useState(false);
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const [at, setAt] = useState<number>();
  const element = useRef<HTMLDivElement>(null);
  const drawn = useRef<Plot>();
  const latest = useRef(onZoom);
  latest.current = onZoom;
  const shown = chart.series.slice(0, all ? most : few);
  const [from, to] = [msOf(span.start), Math.max(msOf(span.end), msOf(span.start) + 1)];

  useEffect(() => {
    if (!element.current) return;
    const { chart: made, end } = plot(element.current, [chart.times, ...shown.map(({ values }) => values)], {
      height,
      zone,
      from,
      to,
      series: shown.map((one, i) => ({
        stroke: () => color(hueOf(one, i)),
        width: 1.5,
        spanGaps: false,
        points: { show: true, size: 5, fill: () => color(hueOf(one, i)), filter: () => isolated(one.values) },
      })),
      value: (number) => withUnit(number, unit),
      increments: unit === 'bytes' ? byteIncrements : isWhole(shown) ? wholeIncrements : undefined,
      onSelect: (a, b) => latest.current({ start: nsOfMs(a), end: nsOfMs(b) }),
      onPoint: (ms) => setAt(ms === undefined ? undefined : nearest(chart, ms)),
    });
    drawn.current = made;
    return end;
  }, [chart, unit, zone, all]);
  useEffect(() => {
    shown.forEach((_, i) => drawn.current?.setSeries(i + 1, { show: !hidden.has(i) }));
  }, [hidden, chart, unit, zone, all]);

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
  const time = at === undefined ? undefined : chart.times[at];
  return (
    <section class="r-metric" aria-label="Series over time">
      <div class="r-bar">
        {kind}
        <span class="r-told">
          {time === undefined
            ? `${chart.series.length.toLocaleString('en')} series${unitWords[unit]}`
            : coarseStamp(time, zone, chart.step)}
        </span>
        <span class="r-tools">
          <ZoomBar span={span} onZoom={onZoom} />
        </span>
      </div>
      {selectsPerStep(query) && (
        <p class="r-note">topk and bottomk select series at each step, so more series can appear than the number given.</p>
      )}
      <div class="r-plot" ref={element} role="img" aria-label={`Lines of ${shown.length} series; the table below has their values`} />
      <table class="r-series">
        <thead>
          <tr>
            <th scope="col">Series</th>
            <th scope="col">{time === undefined ? 'Last' : 'At this time'}</th>
            <th scope="col">Max</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((one, i) => (
            <tr key={i}>
              <th scope="row">
                <button
                  type="button"
                  class={`r-link ${one.level === 'unknown' ? `r-hue-${i % hues}` : `r-${one.level}`}`}
                  aria-pressed={!hidden.has(i)}
                  title="Click to show or hide; Shift+click to show this series alone"
                  onClick={(e) => toggle(i, e.shiftKey)}
                >
                  <span class="r-swatch" />
                  <bdi>{one.name}</bdi>
                </button>
              </th>
              <td>{value(at === undefined ? one.last : one.values[at], unit)}</td>
              <td>{value(one.most, unit)}</td>
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

function hueOf({ level }: Series, index: number): `--${string}` {
  return level === 'unknown' ? `--series-${index % hues}` : `--level-${level}`;
}

function value(number: number | null | undefined, unit: Unit): string {
  return number === null || number === undefined || number === -Infinity ? '–' : withUnit(number, unit);
}
