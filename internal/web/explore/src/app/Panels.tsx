import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

import type { Client, OnFilter, Span } from '../model';
import { FieldsPanel, History, isMetric, LabelBrowser, PatternsPanel } from '../query';

export type Panel = 'labels' | 'fields' | 'patterns' | 'history';

export const panels = [
  { name: 'labels', title: 'Labels', key: 'B' },
  { name: 'fields', title: 'Fields', key: 'F' },
  { name: 'patterns', title: 'Patterns', key: 'P' },
  { name: 'history', title: 'History', key: 'H' },
] as const;

export interface PanelsProps {
  panel: Panel | undefined;
  onClose: () => void;
  /** The query as it is written, and as it was run. */
  query: string;
  ran: string;
  client: Client;
  span: () => Span;
  ranSpan: Span | undefined;
  onChange: (query: string) => void;
  onRun: () => void;
  onQuery: (query: string) => void;
  onPattern: (pattern: string, negate: boolean) => void;
  onFilter: OnFilter;
}

/** The side panel: beside the lines, or over them where there is no room. */
export function Panels(props: PanelsProps) {
  const { panel, onClose, query, ran, client, span, ranSpan } = props;
  const aside = useRef<HTMLElement>(null);
  // In the same moment as it is drawn: keys that follow at once are meant for it.
  useLayoutEffect(() => {
    if (panel) aside.current?.querySelector<HTMLElement>('input, button:not(.a-close)')?.focus();
  }, [panel]);
  if (!panel) return null;
  const title = panels.find(({ name }) => name === panel)?.title ?? '';
  const content = (): ComponentChildren => {
    switch (panel) {
      case 'labels':
        return <LabelBrowser value={query} onChange={props.onChange} onRun={props.onRun} client={client} span={span} />;
      case 'history':
        return <History onPick={props.onQuery} />;
      case 'fields':
        return ranSpan && <FieldsPanel query={ran} client={client} span={ranSpan} onFilter={props.onFilter} />;
      case 'patterns':
        return ranSpan && <PatternsPanel query={ran} client={client} span={ranSpan} onFilter={props.onPattern} />;
    }
  };
  return (
    <aside class="a-panel" aria-label={title} ref={aside}>
      <header>
        <h2>{title}</h2>
        <button type="button" class="a-icon a-close" aria-label={`Close ${title}`} onClick={onClose}>
          ✕
        </button>
      </header>
      <div class="a-panel-in">
        {(panel === 'fields' || panel === 'patterns') && isMetric(ran) ? (
          <p class="a-muted">Metric queries have no {panel}. Run a log query to see them.</p>
        ) : (
          content()
        )}
      </div>
    </aside>
  );
}
