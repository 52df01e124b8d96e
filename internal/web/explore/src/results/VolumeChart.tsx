import type { ComponentChildren } from 'preact';
import uPlot from 'uplot';
import { useEffect, useRef, useState } from 'preact/hooks';

import type { Client, Span, Zone } from '../model';
import { color } from '../theme';
import { useCounts, type State } from './lineCounts';
import type { Level } from './level';
import { paintOf } from './pattern';
import { plot, wholeIncrements, type Plot, type PlotData } from './plot';
import { shortBytes, shortNumber } from './series';
import { coarseStamp, msOf, nsOfMs, spoken } from './time';
import type { Counts } from './volume';
import { ZoomBar } from './ZoomBar';

export interface VolumeChartProps {
  /** The query as it was run: what is counted is for the chart to say. */
  query: string;
  client: Client;
  span: Span;
  zone: Zone;
  onZoom: (span: Span) => void;
}

const height = 66;
const kept = 'logfence.histogram';

/** How many lines there are over time, by level; folded by the user or where there is little room, none are counted. */
export function VolumeChart(props: VolumeChartProps) {
  const [open, setOpen] = useState(() => (localStorage.getItem(kept) ?? (innerHeight < 600 ? 'folded' : 'open')) === 'open');
  const toggle = (): void => {
    localStorage.setItem(kept, open ? 'folded' : 'open');
    setOpen(!open);
  };
  const fold = (
    <button type="button" class="r-fold" aria-expanded={open} onClick={toggle}>
      Histogram
    </button>
  );
  if (open) return <OpenChart {...props} fold={fold} />;
  return (
    <section class="r-volume" aria-label="Lines over time">
      <div class="r-bar">
        {fold}
        <span class="r-tools">
          <ZoomBar span={props.span} onZoom={props.onZoom} />
        </span>
      </div>
    </section>
  );
}

function OpenChart({ query, client, span, zone, onZoom, fold }: VolumeChartProps & { fold: ComponentChildren }) {
  const { counts, state, count } = useCounts(query, client, span);
  const [point, setPoint] = useState<number>();
  const [table, setTable] = useState(false);
  const element = useRef<HTMLDivElement>(null);
  const chart = useRef<Plot>();
  const zoomTo = (from: number, to: number): void => onZoom(clipped(span, from, to));
  const latest = useRef({ zoomTo, counts });
  latest.current = { zoomTo, counts };
  // An interval of another span is none of this one.
  useEffect(() => setPoint(undefined), [span.start, span.end]);

  useEffect(() => {
    if (!element.current) return;
    const drawn = plot(element.current, dataOf(counts), {
      height,
      zone,
      from: counts.begin(0),
      to: counts.begin(counts.length),
      series: counts.levels.map(bars).reverse(),
      value: shortNumber,
      increments: wholeIncrements,
      onSelect: (from, to) => latest.current.zoomTo(from, to),
      onPoint: (ms) => setPoint(ms === undefined ? undefined : intervalAt(latest.current.counts, ms)),
    });
    chart.current = drawn.chart;
    return drawn.end;
  }, [counts, zone]);

  const step = counts.intervals.step;
  const moved = (by: number): void => {
    show(Math.max(0, Math.min(counts.length - 1, (point ?? (by > 0 ? -1 : counts.length)) + by)));
  };
  const show = (index: number): void => {
    const left = chart.current?.valToPos(counts.begin(index + 0.5), 'x') ?? -10;
    chart.current?.setCursor({ left, top: 0 }, false);
    setPoint(index);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'ArrowRight') moved(1);
    else if (event.key === 'ArrowLeft') moved(-1);
    else if (event.key === 'Home') show(0);
    else if (event.key === 'End') show(counts.length - 1);
    else if (event.key === 'Escape') setPoint(undefined);
    else if (event.key === 'Enter' && point !== undefined) zoomTo(counts.begin(point), counts.begin(point + 1));
    else return;
    event.preventDefault();
  };
  const told = point === undefined ? counts.summary() : describe(counts, point, zone);
  return (
    <section class="r-volume" aria-label="Lines over time">
      <div class="r-bar">
        {fold}
        <Told counts={counts} point={point} zone={zone} state={state} />
        <span class="r-tools">
          <button type="button" aria-pressed={table} onClick={() => setTable(!table)}>
            Table
          </button>
          <ZoomBar span={span} onZoom={onZoom} />
        </span>
      </div>
      {state.kind === 'expensive' && (
        <p class="r-note">
          This range has about {shortBytes(state.bytes)} of logs. Counting its lines reads all of it.{' '}
          <button type="button" class="r-link" onClick={count}>
            Count anyway
          </button>
        </p>
      )}
      {state.kind === 'failed' && (
        <p class="r-note">
          The lines could not be counted. {state.failure.title}: {state.failure.detail}{' '}
          <button type="button" class="r-link" onClick={count}>
            Try again
          </button>
        </p>
      )}
      {state.kind !== 'expensive' && (
        <div
          class={state.kind === 'counting' ? 'r-plot r-partial' : 'r-plot'}
          tabIndex={0}
          role="slider"
          aria-label={`Intervals of ${spoken(step)}: arrows choose one, Enter zooms into it`}
          aria-valuemin={0}
          aria-valuemax={counts.length - 1}
          aria-valuenow={point ?? 0}
          aria-valuetext={told}
          aria-busy={state.kind === 'counting'}
          onKeyDown={onKeyDown}
          ref={element}
        />
      )}
      {table && <CountsTable counts={counts} zone={zone} onZoom={zoomTo} />}
    </section>
  );
}

interface ToldProps {
  counts: Counts;
  point: number | undefined;
  zone: Zone;
  state: State;
}

/** What the chart shows as a whole, or at one interval, by level. */
function Told({ counts, point, zone, state }: ToldProps) {
  const each = counts.levels.map((level) => [level, point === undefined ? counts.total(level) : counts.of(level, point)] as const);
  const total = each.reduce((sum, [, count]) => sum + count, 0);
  return (
    <span class="r-told">
      {point === undefined ? (
        <strong>
          {state.kind === 'counting' ? 'Counting… ' : ''}
          {state.kind === 'expensive' ? 'Not counted' : `${total.toLocaleString('en')} ${total === 1 ? 'line' : 'lines'}`}
        </strong>
      ) : (
        <>
          <span class="r-interval">{intervalName(counts, point, zone)}</span> <strong>{total.toLocaleString('en')}</strong>
        </>
      )}
      {each.map(([level, count]) => (
        <span key={level} class={`r-legend r-${level}`}>
          {level} {count.toLocaleString('en')}
        </span>
      ))}
    </span>
  );
}

interface CountsTableProps {
  counts: Counts;
  zone: Zone;
  onZoom: (from: number, to: number) => void;
}

function CountsTable({ counts, zone, onZoom }: CountsTableProps) {
  const filled = Array.from({ length: counts.length }, (_, i) => i).filter((i) => counts.at(i) > 0);
  return (
    <div class="r-table" tabIndex={0} role="region" aria-label="Lines by interval">
      <table>
        <thead>
          <tr>
            <th scope="col">Interval</th>
            {counts.levels.map((level) => (
              <th scope="col" key={level}>
                {level}
              </th>
            ))}
            <th scope="col">
              <span class="r-hidden">Zoom</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {filled.map((i) => (
            <tr key={i}>
              <th scope="row">{intervalName(counts, i, zone)}</th>
              {counts.levels.map((level) => (
                <td key={level}>{counts.of(level, i).toLocaleString('en')}</td>
              ))}
              <td>
                <button type="button" class="r-link" onClick={() => onZoom(counts.begin(i), counts.begin(i + 1))}>
                  Zoom<span class="r-hidden"> into {intervalName(counts, i, zone)}</span>
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function intervalAt(counts: Counts, ms: number): number | undefined {
  const index = Math.floor((ms - counts.intervals.from) / counts.intervals.step);
  return index >= 0 && index < counts.length ? index : undefined;
}

function intervalName(counts: Counts, index: number, zone: Zone): string {
  const { step } = counts.intervals;
  const [from, to] = [counts.begin(index), counts.begin(index + 1)].map((ms) => coarseStamp(ms, zone, step));
  return step >= 86_400_000 ? `${from}` : `${from} – ${to?.slice(11)}`;
}

function describe(counts: Counts, index: number, zone: Zone): string {
  const each = counts.levels.map((level) => [level, counts.of(level, index)] as const).filter(([, count]) => count > 0);
  const told = each.map(([level, count]) => `${count} ${level}`).join(', ');
  return `${intervalName(counts, index, zone)}: ${told || 'no lines'}`;
}

/** What was chosen, but not beyond the span: intervals begin before it and end after it. */
function clipped(span: Span, from: number, to: number): Span {
  const [low, high] = [msOf(span.start), msOf(span.end)];
  return {
    start: from <= low ? span.start : nsOfMs(from),
    end: to >= high ? span.end : nsOfMs(Math.max(to, from + 1)),
  };
}

/** Cumulative rows, the whole stack first: each later one is drawn over it, so that the gravest stands on the axis. */
function dataOf(counts: Counts): PlotData {
  const times = Array.from({ length: counts.length }, (_, i) => counts.begin(i));
  const sums = new Array<number>(counts.length).fill(0);
  const rows = counts.levels.map((level) => times.map((_, i) => (sums[i] = (sums[i] ?? 0) + counts.of(level, i))));
  return [times, ...rows.reverse()];
}

const barPaths = uPlot.paths.bars?.({ size: [1, Infinity], align: 1, gap: 1 });

function bars(level: Level): uPlot.Series {
  return {
    stroke: () => color(`--level-${level}`),
    fill: () => paintOf(level),
    width: 0,
    points: { show: false },
    ...(barPaths && { paths: barPaths }),
  };
}
