import { useEffect, useMemo, useState } from 'preact/hooks';

import type { Client, Line, OnFilter, Span, View } from '../model';
import { isMetric, logQuery, searchTerms, streamSelector } from '../query';
import { Lines, LiveTail, MetricChart, VolumeChart } from '../results';
import { mostLines, type Answer, type Asked, type LinesAnswer } from './ask';
import { FailureBox } from './FailureBox';
import type { Search } from './search';

export interface ResultsProps {
  view: View;
  /** The query that is followed live. */
  followed: string | undefined;
  client: Client;
  search: Search;
  onFilter: OnFilter;
  onZoom: (span: Span) => void;
  onRange: (from: string, to: string) => void;
  onRetry: () => void;
  linkTo: (line: Line) => string;
  onSignIn: () => void;
  onLabels: () => void;
  onStop: () => void;
}

/** The answer, or why there is none. */
export function Results(props: ResultsProps) {
  const { view, followed, client, search, onFilter } = props;
  const { answer, running } = search;
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
          onStop={props.onStop}
        />
      </section>
    );
  }
  return (
    <section class="a-results" aria-label="Results" aria-busy={running !== undefined}>
      <div class="a-status">{running ? <Progress key={running.at} asked={running} client={client} /> : <Summary answer={answer} />}</div>
      {running && <div class="a-bar" />}
      {answer && <Shown {...props} answer={answer} />}
    </section>
  );
}

function Shown(props: ResultsProps & { answer: Answer }) {
  const { answer, view, onRetry, onSignIn } = props;
  switch (answer.kind) {
    case 'failed':
      return (
        <>
          <FailureBox failure={answer.failure} onRetry={onRetry} onSignIn={onSignIn} />
          {answer.before && <Shown {...props} answer={answer.before} />}
        </>
      );
    case 'matrix':
      return answer.series.length === 0 ? (
        <Empty {...props} metric />
      ) : (
        <MetricChart matrix={answer.series} zone={view.zone} onZoom={props.onZoom} />
      );
    case 'lines':
      return answer.lines.length === 0 ? <Empty {...props} /> : <ShownLines {...props} answer={answer} />;
  }
}

function ShownLines({ answer, view, client, search, onFilter, onZoom, linkTo }: ResultsProps & { answer: LinesAnswer }) {
  const { asked, lines } = answer;
  const terms = useMemo(() => searchTerms(asked.query), [asked]);
  return (
    <>
      <VolumeChart query={asked.query} client={client} span={asked.span} zone={view.zone} onZoom={onZoom} />
      <Lines
        lines={lines}
        wrap={view.wrap}
        zone={view.zone}
        terms={terms}
        direction={asked.direction}
        loadOlder={search.loadMore}
        loading={search.more.busy}
        atEnd={answer.atEnd || search.more.failure !== undefined || search.answer !== answer}
        onFilter={onFilter}
        client={client}
        span={asked.span}
        linkTo={linkTo}
      />
      {search.more.failure && <FailureBox failure={search.more.failure} onRetry={() => void search.loadMore()} />}
    </>
  );
}

/** The number of results, on screen and for screen readers. */
function Summary({ answer }: { answer: Answer | undefined }) {
  let text = '';
  if (answer?.kind === 'lines') {
    const { lines, atEnd, took, asked, crowded } = answer;
    const n = lines.length;
    const rest =
      n >= mostLines
        ? ', the most that this page holds'
        : atEnd || n === 0
          ? ''
          : `, more ${asked.direction === 'backward' ? 'before' : 'after'}`;
    text = `${n.toLocaleString('en')} ${n === 1 ? 'line' : 'lines'}${rest} · ${seconds(took)}`;
    if (crowded) text += ` · some lines of ${crowded === 1 ? 'one moment' : `${crowded} moments`} are missing: too many at once`;
  } else if (answer?.kind === 'matrix') {
    text = `${answer.series.length} series · ${seconds(answer.took)}`;
  }
  return <p role="status">{text}</p>;
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** After two seconds the page shows how much there is to read, from Loki's index. */
function Progress({ asked, client }: { asked: Asked; client: Client }) {
  const [text, setText] = useState('Searching…');
  useEffect(() => {
    const aborter = new AbortController();
    const timer = setTimeout(() => {
      setText('Searching… No response yet.');
      void client.getStats({ query: streamSelector(asked.query), ...asked.span }, { signal: aborter.signal }).then(({ data }) => {
        if (!data || aborter.signal.aborted) return;
        setText(`Searching… About ${bytes(data.bytes)} in ${data.streams.toLocaleString('en')} streams to read.`);
      });
    }, 2000);
    return () => {
      clearTimeout(timer);
      aborter.abort();
    };
  }, []);
  return <p role="status">{text}</p>;
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
