import type { Client, Direction, Line, OnFilter, Span, Term, Zone } from '../model';

export interface LinesProps {
  lines: Line[];
  /** How many there are, where that is known. */
  total?: number;
  wrap: boolean;
  zone: Zone;
  terms: Term[];
  direction: Direction;
  /** Loads more on reaching the end; missing where there are none. */
  loadOlder?: () => Promise<void>;
  loading: boolean;
  atEnd: boolean;
  onFilter: OnFilter;
  client: Client;
  span: Span;
}

export function Lines({ lines, loadOlder, atEnd }: LinesProps) {
  return (
    <div class="r-lines" tabIndex={0} role="region" aria-label="Lines">
      {lines.slice(0, 1000).map(({ key, text }) => (
        <div key={key}>{text}</div>
      ))}
      {!atEnd && loadOlder && (
        <button type="button" onClick={() => void loadOlder()}>
          Load more
        </button>
      )}
    </div>
  );
}
