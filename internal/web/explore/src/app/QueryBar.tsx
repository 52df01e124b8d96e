import type { Client, Mistake, Span, View } from '../model';
import { QueryEditor } from '../query';
import type { Search } from './search';

export interface QueryBarProps {
  view: View;
  client: Client;
  span: () => Span;
  search: Search;
  onChange: (query: string) => void;
  onRun: () => void;
}

/** The query, and what runs it. */
export function QueryBar({ view, client, span, search, onChange, onRun }: QueryBarProps) {
  return (
    <div class="a-querybar">
      <QueryEditor
        value={view.query}
        onChange={onChange}
        onRun={onRun}
        client={client}
        span={span}
        mistake={mistakeOf(search, view.query)}
        zone={view.zone}
      />
      {search.running ? (
        <button type="button" class="a-run" onClick={search.cancel} title="Cancel  Esc">
          Cancel
        </button>
      ) : (
        <button type="button" class="a-run a-primary" onClick={onRun} title="Run the query  Ctrl+Enter">
          Run
        </button>
      )}
    </div>
  );
}

/** What is wrong with the query as it stands, if that is what was run, and its place is known. */
function mistakeOf({ result }: Search, query: string): Mistake | undefined {
  if (result?.kind !== 'failed' || result.request.query !== query || !('line' in result.failure)) return undefined;
  const { line, column, detail } = result.failure;
  return line === undefined ? undefined : { place: { line, column: column ?? 1 }, text: detail };
}
