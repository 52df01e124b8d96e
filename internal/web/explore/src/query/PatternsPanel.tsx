import type { PatternSeries } from '@logfence/client';
import { Fragment } from 'preact';
import { useState } from 'preact/hooks';

import type { Client, Span } from '../model';
import { Failed, Loading, More, useResponse } from './response';
import { streamSelector } from './read';

export interface PatternsPanelProps {
  query: string;
  client: Client;
  span: Span;
  /** Narrows the query to lines of a pattern (or, negated, for others); see addPattern. */
  onFilter: (pattern: string, negate: boolean) => void;
}

const most = 100;
/** Bars of a sparkline. */
const bars = 40;

/** The patterns of the selected streams' lines, the most frequent first. */
export function PatternsPanel({ query, client, span, onFilter }: PatternsPanelProps) {
  const [sought, setSought] = useState('');
  const selector = streamSelector(query);
  const response = useResponse([client, selector, span.start, span.end], (signal) =>
    client.listPatterns({ query: selector, ...span, step: stepOf(span) }, { signal }),
  );
  if (response.state === 'loading') return <Loading what="patterns" />;
  if (response.state === 'failed') {
    return response.failure.code === 'not_enabled' ? (
      <p class="q-note">Loki has log patterns disabled. Ask your administrator to enable them.</p>
    ) : (
      <Failed {...response} />
    );
  }
  const patterns = response.data.data.map(counted).sort((a, b) => b.count - a.count);
  const shown = patterns.filter(({ pattern }) => pattern.toLowerCase().includes(sought.toLowerCase()));
  if (patterns.length === 0) {
    return (
      <p class="q-note">
        No patterns in <code>{selector}</code>. Loki keeps patterns for the last few hours only.
      </p>
    );
  }
  return (
    <section class="q-panel" aria-label="Patterns">
      <p class="q-note">
        Groups of similar lines in <code>{selector}</code>, with their counts.
      </p>
      {patterns.length > 8 && (
        <input
          type="search"
          placeholder={`Search ${patterns.length} patterns`}
          aria-label="Search patterns"
          value={sought}
          onInput={(e) => setSought(e.currentTarget.value)}
        />
      )}
      <ul class="q-list">
        {shown.slice(0, most).map((pattern) => (
          <Pattern key={`${pattern.level} ${pattern.pattern}`} {...pattern} onFilter={onFilter} />
        ))}
      </ul>
      {shown.length === 0 && <p class="q-note">No pattern contains this text.</p>}
      <More shown={most} of={shown.length} what="patterns" />
    </section>
  );
}

interface Counted {
  pattern: string;
  level: string;
  count: number;
  counts: number[];
}

function counted({ pattern, level, samples }: PatternSeries): Counted {
  const counts = samples.map(([, count]) => count);
  return { pattern, level: level ?? '', counts, count: counts.reduce((sum, count) => sum + count, 0) };
}

function Pattern({ pattern, level, count, counts, onFilter }: Counted & Pick<PatternsPanelProps, 'onFilter'>) {
  return (
    <li class="q-pattern">
      <div class="q-bar">
        <strong>{count.toLocaleString('en')}</strong>
        {level && <span class={`q-tag q-level-${level}`}>{level}</span>}
        <Sparkline counts={counts} />
        <button type="button" class="q-small" aria-label={`Only these: ${pattern}`} onClick={() => onFilter(pattern, false)}>
          Only
        </button>
        <button type="button" class="q-small" aria-label={`Without these: ${pattern}`} onClick={() => onFilter(pattern, true)}>
          Without
        </button>
      </div>
      <div class="q-text-of">
        {pattern.split('<_>').map((part, i) => (
          <Fragment key={i}>
            {i > 0 && <span class="q-hole">&lt;_&gt;</span>}
            {part}
          </Fragment>
        ))}
      </div>
    </li>
  );
}

function Sparkline({ counts }: { counts: number[] }) {
  const highest = Math.max(1, ...counts);
  return (
    <svg class="q-spark" viewBox={`0 0 ${counts.length} 16`} preserveAspectRatio="none" aria-hidden="true">
      {counts.map((count, i) => {
        const height = count === 0 ? 0 : Math.max(1, (count / highest) * 16);
        return <rect key={i} x={i + 0.1} y={16 - height} width={0.8} height={height} />;
      })}
    </svg>
  );
}

function stepOf({ start, end }: Span): string {
  const seconds = Number((BigInt(end) - BigInt(start)) / 1_000_000_000n);
  // Loki counts patterns by ten seconds.
  return String(Math.max(10, Math.ceil(seconds / bars / 10) * 10));
}
