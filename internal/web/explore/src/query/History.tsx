import { useState } from 'preact/hooks';

import { clear, forget, pin, read, type HistoryEntry } from './queryHistory';

export { claimHistory, forgetHistory, recentQueries, remember } from './queryHistory';

/** The queries that were run, the last first; those that are pinned before them. */
export function History({ onPick }: { onPick: (query: string) => void }) {
  const [kept, setKept] = useState(read);
  const [sought, setSought] = useState('');
  const shown = kept.filter(({ query }) => query.toLowerCase().includes(sought.toLowerCase()));
  const change = (act: () => void) => () => {
    act();
    setKept(read());
  };
  return (
    <section class="q-history" aria-label="History">
      <div class="q-bar">
        <input
          type="search"
          class="q-search"
          placeholder="Search"
          aria-label="Search the history"
          value={sought}
          onInput={(e) => setSought(e.currentTarget.value)}
        />
        <button type="button" onClick={change(clear)} disabled={!kept.some(({ pinned }) => !pinned)}>
          Clear
        </button>
      </div>
      {kept.length === 0 && <p class="q-note">The queries that you run are kept here, in this browser only.</p>}
      {kept.length > 0 && shown.length === 0 && <p class="q-note">No query contains this text.</p>}
      <ul class="q-list">
        {shown.map((entry) => (
          <Entry
            key={entry.query}
            entry={entry}
            onPick={() => onPick(entry.query)}
            onPin={change(() => pin(entry.query, !entry.pinned))}
            onForget={change(() => forget(entry.query))}
          />
        ))}
      </ul>
    </section>
  );
}

interface EntryProps {
  entry: HistoryEntry;
  onPick: () => void;
  onPin: () => void;
  onForget: () => void;
}

function Entry({ entry: { query, pinned }, onPick, onPin, onForget }: EntryProps) {
  return (
    <li class="q-entry">
      <button type="button" class="q-query" onClick={onPick} title={query}>
        {query}
      </button>
      <button type="button" class="q-small" aria-pressed={pinned} aria-label={`Pin ${query}`} onClick={onPin}>
        Pin
      </button>
      <button type="button" class="q-small" aria-label={`Forget ${query}`} onClick={onForget}>
        Forget
      </button>
    </li>
  );
}
