import { useEffect, useMemo, useState } from 'preact/hooks';

import type { Client, Line, OnFilter, Span, View, Zone } from '../model';
import { isMetric, logQuery, searchTerms, streamSelector } from '../query';
import { Lines, LiveTail, VectorTable } from '../results';
import { lazily } from './lazily';
import { nameOf } from '../results/mark';
import { coarseStamp, msOf } from '../results/time';
import { mostLines, type SearchResult, type SearchRequest, type LinesResult } from './runQuery';
import { FailureBox } from './FailureBox';
import type { Search } from './search';

// Lines are shown before the charts, which are as large as all the rest.
const MetricChart = lazily(async () => (await import('../results/MetricChart')).MetricChart, <p class="r-note">Loading the chart…</p>);
const VolumeChart = lazily(async () => (await import('../results/VolumeChart')).VolumeChart, <div class="r-volume-room" />);

export interface ResultsProps {
  view: View;
  /** The query that is followed live. */
  followed: string | undefined;
  client: Client;
  search: Search;
  /** When the session ends, in milliseconds since 1970. */
  expires: number | undefined;
  signIns: number;
  /** All tenants of the user. */
  tenants: readonly string[];
  onFilter: OnFilter;
  onZoom: (span: Span) => void;
  onRange: (from: string, to: string) => void;
  onRetry: () => void;
  /** Chooses between values over time, and those at the end of the range. */
  onInstant: (instant: boolean) => void;
  linkTo: (line: Line) => string;
  onSignIn: () => void;
  onLabels: () => void;
  onStop: () => void;
}

/** The result of the search, or why there is none. */
export function Results(props: ResultsProps) {
  const { view, followed, client, search, onFilter } = props;
  const { result, running } = search;
  if (followed !== undefined && isMetric(followed)) {
    return (
      <section class="a-results a-empty" aria-label="Live">
        <h2>Metric queries have no live tail</h2>
        <p>Take the log part of the query, {logQuery(followed)}, or turn on automatic refresh.</p>
      </section>
    );
  }
  if (followed !== undefined) {
    return (
      <section class="a-results" aria-label="Live">
        <LiveTail
          query={followed}
          client={client}
          zone={view.zone}
          wrap={view.wrap}
          terms={searchTerms(followed)}
          limit={mostLines / 10}
          onFilter={onFilter}
          tenants={props.tenants}
          signIns={props.signIns}
          onStop={props.onStop}
        />
      </section>
    );
  }
  return (
    <section class="a-results" aria-label="Results" aria-busy={running !== undefined}>
      <div class="a-status">
        {running ? (
          <Progress key={running.at} request={running} shown={result} client={client} />
        ) : (
          <Summary result={result} zone={view.zone} />
        )}
      </div>
      {running && <div class="a-bar" />}
      {result && <Shown {...props} result={result} />}
    </section>
  );
}

function Shown(props: ResultsProps & { result: SearchResult }) {
  const { result, view, onRetry, onSignIn } = props;
  switch (result.kind) {
    case 'failed':
      return (
        <>
          <FailureBox key={result.request.at} failure={result.failure} onRetry={onRetry} onSignIn={onSignIn} expires={props.expires} />
          {result.before && (
            <>
              <p class="a-older" role="note">
                Older results: <Provenance request={result.before.request} zone={view.zone} />
              </p>
              <Shown {...props} result={result.before} />
            </>
          )}
        </>
      );
    case 'matrix':
      return result.series.length === 0 ? (
        <Empty {...props} metric />
      ) : (
        <MetricChart
          matrix={result.series}
          query={result.request.query}
          span={result.request.span}
          step={result.step}
          zone={view.zone}
          kind={<Kind instant={false} onInstant={props.onInstant} />}
          onZoom={props.onZoom}
        />
      );
    case 'vector':
      return (
        <VectorTable
          vector={result.series}
          query={result.request.query}
          at={msOf(result.request.span.end)}
          zone={view.zone}
          kind={<Kind instant={true} onInstant={props.onInstant} />}
        />
      );
    case 'lines':
      return result.lines.length === 0 ? <Empty {...props} /> : <ShownLines {...props} result={result} />;
  }
}

/** Whether a metric query is evaluated over time, or once. */
function Kind({ instant, onInstant }: { instant: boolean; onInstant: (instant: boolean) => void }) {
  return (
    <span class="a-group" role="group" aria-label="Kind of query">
      <button type="button" aria-pressed={!instant} title="Values over the time range" onClick={() => onInstant(false)}>
        Range
      </button>
      <button
        type="button"
        aria-pressed={instant}
        title="One value for each series, at the end of the time range"
        onClick={() => onInstant(true)}
      >
        Instant
      </button>
    </span>
  );
}

function ShownLines({
  result,
  view,
  client,
  search,
  onFilter,
  onZoom,
  linkTo,
  onSignIn,
  expires,
  tenants,
}: ResultsProps & { result: LinesResult }) {
  const { request, lines } = result;
  const terms = useMemo(() => searchTerms(request.query), [request]);
  const linked = request.line;
  const missing = useMemo(() => linked !== undefined && !lines.some((line) => nameOf(line) === linked), [linked, lines]);
  return (
    <>
      {missing && (
        <p class="a-older" role="note">
          The line of this link is not among these lines: it may have been deleted, or the query does not find it.
        </p>
      )}
      <VolumeChart query={request.query} client={client} span={request.span} zone={view.zone} onZoom={onZoom} />
      <Lines
        lines={lines}
        view={view}
        terms={terms}
        direction={request.direction}
        loadOlder={search.loadMore}
        loading={search.more.busy}
        atEnd={result.atEnd || search.more.failure !== undefined || search.result !== result}
        onFilter={onFilter}
        client={client}
        tenants={tenants}
        linkTo={linkTo}
        linked={linked}
      />
      {search.more.failure && (
        <FailureBox failure={search.more.failure} onRetry={() => void search.loadMore()} onSignIn={onSignIn} expires={expires} />
      )}
    </>
  );
}

/** The number of results, on screen and for screen readers. */
function Summary({ result, zone }: { result: SearchResult | undefined; zone: Zone }) {
  let text = '';
  if (result?.kind === 'lines') {
    const { lines, atEnd, took, request, crowded } = result;
    const n = lines.length;
    const rest =
      n >= mostLines
        ? ', the most that this page holds'
        : atEnd || n === 0
          ? ''
          : `, more ${request.direction === 'backward' ? 'before' : 'after'}: a page has ${request.limit.toLocaleString('en')}`;
    text = `${n.toLocaleString('en')} ${n === 1 ? 'line' : 'lines'}${rest} · ${seconds(took)}`;
    if (crowded) text += ` · some lines of ${crowded === 1 ? 'one moment' : `${crowded} moments`} are missing: too many at once`;
  } else if (result?.kind === 'matrix' || result?.kind === 'vector') {
    text = `${result.series.length} series · ${seconds(result.took)}`;
  }
  return (
    <p role="status">
      {text}
      {result && result.kind !== 'failed' && (
        <>
          {' · '}
          <Provenance request={result.request} zone={zone} />
        </>
      )}
    </p>
  );
}

/** The query, the range and the moment of a result: what is on screen may be older than what is being typed. */
function Provenance({ request, zone }: { request: SearchRequest; zone: Zone }) {
  const { query, span, at } = request;
  const [from, to] = [coarseStamp(msOf(span.start), zone, 1000), coarseStamp(msOf(span.end), zone, 1000)];
  return (
    <span class="a-provenance">
      <code title={query}>{query}</code> from {from} to {from.slice(0, 10) === to.slice(0, 10) ? to.slice(11) : to}, loaded at{' '}
      {coarseStamp(at, zone, 1000).slice(11)}
    </span>
  );
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** After two seconds the page shows how much there is to read, from Loki's index. */
function Progress({ request, shown, client }: { request: SearchRequest; shown: SearchResult | undefined; client: Client }) {
  const [text, setText] = useState('Searching…');
  const other = shown && shown.kind !== 'failed' && !isSameSearch(shown.request, request);
  useEffect(() => {
    const aborter = new AbortController();
    const timer = setTimeout(() => {
      setText('Searching… No response yet.');
      void client.getStats({ query: streamSelector(request.query), ...request.span }, { signal: aborter.signal }).then(({ data }) => {
        if (!data || aborter.signal.aborted) return;
        setText(`Searching… About ${bytes(data.bytes)} in ${data.streams.toLocaleString('en')} streams to read.`);
      });
    }, 2000);
    return () => {
      clearTimeout(timer);
      aborter.abort();
    };
  }, []);
  return (
    <p role="status">
      {text}
      {other && ' The results below are of the search before.'}
    </p>
  );
}

function isSameSearch(a: SearchRequest, b: SearchRequest): boolean {
  const length = ({ span }: SearchRequest): bigint => BigInt(span.end) - BigInt(span.start);
  return a.query === b.query && a.direction === b.direction && length(a) === length(b);
}

function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) [n, unit] = [n / 1000, unit + 1];
  return `${n < 10 && unit > 0 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

const wider: Record<string, string> = { 'now-5m': 'now-1h', 'now-15m': 'now-3h', 'now-30m': 'now-6h', 'now-1h': 'now-24h' };

/** Nothing was found: what to try. */
function Empty({ view, onRange, onLabels, metric = false }: ResultsProps & { metric?: boolean }) {
  const next = view.to === 'now' ? (wider[view.from] ?? 'now-7d') : 'now-24h';
  return (
    <div class="a-empty">
      <h2>{metric ? 'No series in this range' : 'No lines in this range'}</h2>
      <ul>
        <li>
          Look further back:{' '}
          <button type="button" class="a-small" onClick={() => onRange(next, 'now')}>
            the last {next === 'now-7d' ? '7 days' : next.slice(4).replace('h', ' hours')}
          </button>
        </li>
        <li>
          Browse the labels:{' '}
          <button type="button" class="a-small" onClick={onLabels}>
            Labels
          </button>
        </li>
        <li>Remove filters from the query. Text is case-sensitive, and every filter must match.</li>
        {view.tenant && <li>Only the tenant {view.tenant} is searched. You can choose another at the top.</li>}
      </ul>
    </div>
  );
}
