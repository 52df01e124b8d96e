import { useEffect, useState } from 'preact/hooks';

import type { Client, Span } from '../model';

export interface LabelBrowserProps {
  value: string;
  onChange: (query: string) => void;
  onRun: () => void;
  client: Client;
  span: () => Span;
}

export function LabelBrowser({ onChange, client, span }: LabelBrowserProps) {
  const [names, setNames] = useState<string[]>([]);
  useEffect(() => {
    const aborter = new AbortController();
    void client.listLabels(span(), { signal: aborter.signal }).then(({ data }) => setNames(data?.data ?? []));
    return () => aborter.abort();
  }, [client]);
  return (
    <ul>
      {names.map((name) => (
        <li key={name}>
          <button type="button" onClick={() => onChange(`{${name}=~".+"}`)}>
            {name}
          </button>
        </li>
      ))}
    </ul>
  );
}
