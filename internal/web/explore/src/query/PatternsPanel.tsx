import { useEffect, useState } from 'preact/hooks';

import type { Client, Span } from '../model';

export interface PatternsPanelProps {
  query: string;
  client: Client;
  span: Span;
  onFilter: (text: string) => void;
}

export function PatternsPanel({ query, client, span }: PatternsPanelProps) {
  const [patterns, setPatterns] = useState<string[]>([]);
  useEffect(() => {
    const aborter = new AbortController();
    void client
      .listPatterns({ query, ...span }, { signal: aborter.signal })
      .then(({ data }) => setPatterns(data?.data.map(({ pattern }) => pattern) ?? []));
    return () => aborter.abort();
  }, [query, client, span.start, span.end]);
  return (
    <ul>
      {patterns.map((pattern) => (
        <li key={pattern}>{pattern}</li>
      ))}
    </ul>
  );
}
