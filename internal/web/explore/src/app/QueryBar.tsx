import type { Client, Mistake, Span, Zone } from '../model';
import { QueryEditor } from '../query';
import type { Search } from './search';
import type { Notice } from './useView';

export interface QueryBarProps {
  /** The text in the editor. */
  draft: string;
  notice: Notice | undefined;
  zone: Zone;
  client: Client;
  span: () => Span;
  search: Search;
  onChange: (query: string) => void;
  onRun: () => void;
}

/** The query, and what runs it. */
export function QueryBar({ draft, notice, zone, client, span, search, onChange, onRun }: QueryBarProps) {
  return (
    <div class="a-querybar">
      <QueryEditor
        value={draft}
        onChange={onChange}
        onRun={onRun}
        client={client}
        span={span}
        mistake={mistakeOf(search, draft)}
        zone={zone}
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
      {notice && (
        <p class={`a-querynote a-${notice.kind}`} role={notice.kind === 'problem' ? 'alert' : 'status'}>
          {notice.text}
        </p>
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
