import { useMemo } from 'preact/hooks';

import type { Client, Line, OnFilter, Span, View, Zone } from '../model';
import { isMetric, logQuery, searchTerms } from '../query';
import { Lines, LiveTail, VectorTable } from '../results';
import { lazily } from './lazily';
import { nameOf } from '../results/mark';
import { coarseStamp, msOf } from '../results/time';
import { isSameSearch, mostLines, type SearchResult, type SearchRequest, type LinesResult } from './runQuery';
import { FailureBox } from './FailureBox';
import type { Search } from './search';
import { estimateText, percent, progressOf, summaryOf } from './summary';

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
  /** Opens the choice of a range. */
  onChooseRange: () => void;
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
        <p>Follow the log part of the query, {logQuery(followed)}, or use automatic refresh.</p>
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
          failed={(failure, again) => (
            <FailureBox failure={failure} onRetry={again} again="Start again" onSignIn={props.onSignIn} expires={props.expires} />
          )}
        />
      </section>
    );
  }
  return (
    <section class="a-results" aria-label="Results" aria-busy={running !== undefined}>
      <div class="a-status">{running ? <Progress request={running} search={search} /> : <Summary result={result} zone={view.zone} />}</div>
      {running && <Bar done={search.progress?.done} />}
      {search.pending && <Consent {...search.pending} onCancel={search.cancel} onChooseRange={props.onChooseRange} />}
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
      return isEmpty(result) ? <Empty {...props} /> : <ShownLines {...props} result={result} />;
  }
}

/** Whether there is nothing in the range, as far as is certain. */
function isEmpty({ lines, gaps, end }: LinesResult): boolean {
  return lines.length === 0 && gaps.length === 0 && end === 'complete';
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
  const read = result.end !== 'reading';
  const missing = useMemo(() => linked !== undefined && read && !lines.some((line) => nameOf(line) === linked), [linked, read, lines]);
  return (
    <>
      {missing && (
        <p class="a-older" role="note">
          The line that this link points to is not among these lines: it may have been deleted, or the query does not find it.
        </p>
      )}
      <VolumeChart query={request.query} client={client} span={request.span} zone={view.zone} onZoom={onZoom} />
      <Lines
        lines={lines}
        gaps={result.gaps}
        view={view}
        terms={terms}
        direction={request.direction}
        end={search.result === result ? result.end : undefined}
        reading={search.reading}
        progress={progressOf(search.progress)}
        onMore={search.loadMore}
        onGap={search.readGap}
        onCancel={search.cancel}
        onFilter={onFilter}
        client={client}
        tenants={tenants}
        linkTo={linkTo}
        linked={linked}
      />
      {result.failure && search.result === result && (
        <FailureBox
          key={result.failure.code}
          failure={result.failure}
          onRetry={() => void search.loadMore()}
          onSignIn={onSignIn}
          expires={expires}
        />
      )}
    </>
  );
}

/** The number of results, on screen and for screen readers. */
function Summary({ result, zone }: { result: SearchResult | undefined; zone: Zone }) {
  return (
    <p role="status">
      {summaryOf(result)}
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

/** What is searched. How far it is changes all the time, and is no part of what a screen reader reads by itself. */
function Progress({ request, search: { result, progress } }: { request: SearchRequest; search: Search }) {
  const { estimate } = request;
  const other = result && result.kind !== 'failed' && result.request.at !== request.at && !isSameSearch(result.request, request);
  const far = progressOf(progress);
  return (
    <p>
      <span role="status">
        Searching…
        {estimate && estimate.bytes > 0 && ` About ${estimateText(estimate)} to read.`}
        {other && ' The results below are those of the previous search.'}
      </span>
      {far && ` ${far}`}
    </p>
  );
}

/** The part of the range that has been searched, where that is known. */
function Bar({ done }: { done: number | undefined }) {
  if (done === undefined) return <div class="a-bar a-unknown" />;
  return (
    <div
      class="a-bar"
      role="progressbar"
      aria-label="Part of the time range that has been searched"
      aria-valuenow={Math.floor(done * 100)}
      aria-valuetext={percent(done)}
    >
      <div style={{ width: `${Math.min(1, Math.max(0, done)) * 100}%` }} />
    </div>
  );
}

interface ConsentProps extends NonNullable<Search['pending']> {
  onCancel: () => void;
  onChooseRange: () => void;
}

/** An expensive query is run when the user has seen what it reads. */
function Consent({ estimate, metric, agree, onCancel, onChooseRange }: ConsentProps) {
  const narrow = (): void => {
    onCancel();
    onChooseRange();
  };
  return (
    <section class="a-consent" role="alert" aria-label="Expensive query">
      <p>
        This query would read {metric ? 'about' : 'up to'} {estimateText(estimate)}. With a shorter time range, or with more labels in the
        selector, it reads less.
      </p>
      <p class="a-actions">
        <button type="button" class="a-primary" onClick={agree}>
          Run anyway
        </button>
        <button type="button" onClick={narrow}>
          Choose a shorter range
        </button>
      </p>
    </section>
  );
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
        <li>Remove filters from the query: a line must match all of them. Text is case-sensitive, unless the filter begins with (?i).</li>
        {view.tenant && <li>Only the tenant {view.tenant} is searched. You can choose another at the top.</li>}
      </ul>
    </div>
  );
}
