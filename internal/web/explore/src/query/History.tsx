const stored = 'logfence.history';

/** The queries that were run, the last first. */
export function History({ onPick }: { onPick: (query: string) => void }) {
  return (
    <ul>
      {read().map((query) => (
        <li key={query}>
          <button type="button" onClick={() => onPick(query)}>
            {query}
          </button>
        </li>
      ))}
    </ul>
  );
}

/** Puts a query first. */
export function remember(query: string): void {
  localStorage.setItem(stored, JSON.stringify([query, ...read().filter((old) => old !== query)].slice(0, 50)));
}

function read(): string[] {
  try {
    const queries: unknown = JSON.parse(localStorage.getItem(stored) ?? '[]');
    return Array.isArray(queries) ? queries.filter((query) => typeof query === 'string') : [];
  } catch {
    return [];
  }
}
