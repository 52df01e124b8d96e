import { useEffect, useState } from 'preact/hooks';

import type { Client, OnFilter, Term, Zone } from '../model';

export interface LiveTailProps {
  query: string;
  client: Client;
  zone: Zone;
  wrap: boolean;
  terms: Term[];
  limit: number;
  onFilter: OnFilter;
  onStop: () => void;
}

export function LiveTail({ query, client, onStop }: LiveTailProps) {
  const [texts, setTexts] = useState<string[]>([]);
  useEffect(() => {
    const aborter = new AbortController();
    void (async () => {
      for await (const event of client.tailLogs({ query }, { signal: aborter.signal })) {
        if (event.type !== 'entries') continue;
        const come = event.streams.flatMap(({ values }) => values.map(([, text]) => text));
        setTexts((old) => [...come, ...old].slice(0, 500));
      }
    })();
    return () => aborter.abort();
  }, [client, query]);
  return (
    <div>
      <button type="button" onClick={onStop}>
        Stop
      </button>
      {texts.map((text, i) => (
        <div key={i}>{text}</div>
      ))}
    </div>
  );
}
