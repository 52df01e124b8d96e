import { useEffect, useState } from 'preact/hooks';

import type { Client, OnFilter, Span } from '../model';

export interface FieldsPanelProps {
  query: string;
  client: Client;
  span: Span;
  onFilter: OnFilter;
}

export function FieldsPanel({ query, client, span }: FieldsPanelProps) {
  const [fields, setFields] = useState<string[]>([]);
  useEffect(() => {
    const aborter = new AbortController();
    void client
      .listFields({ query, ...span }, { signal: aborter.signal })
      .then(({ data }) => setFields(data?.fields?.map(({ label }) => label) ?? []));
    return () => aborter.abort();
  }, [query, client, span.start, span.end]);
  return (
    <ul>
      {fields.map((field) => (
        <li key={field}>{field}</li>
      ))}
    </ul>
  );
}
