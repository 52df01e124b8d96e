import { createLogfence } from '@logfence/client';
import { useMemo, useState } from 'preact/hooks';

import type { Client, Failure, Line, Span } from '../model';
import { QueryEditor, searchTerms, streamSelector } from '../query';
import { Lines, VolumeChart } from '../results';

export function App() {
  const [token, setToken] = useState('');
  const client = useMemo(() => createLogfence({ baseUrl: '', token }), [token]);
  return token ? (
    <Explore client={client} />
  ) : (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        setToken(String(new FormData(e.currentTarget).get('token')).trim());
      }}
    >
      <label>
        Token <input name="token" autocomplete="off" required />
      </label>
      <button type="submit">Use it</button>
    </form>
  );
}

function Explore({ client }: { client: Client }) {
  const [query, setQuery] = useState('{app=~".+"}');
  const [answer, setAnswer] = useState<{ query: string; span: Span; lines: Line[] }>();
  const [failure, setFailure] = useState<Failure>();
  const run = async (): Promise<void> => {
    const asked = lastHour();
    const { data, error } = await client.queryLogs({ query, limit: 100, ...asked }, { categorizeLabels: true });
    setFailure(error);
    if (data?.data.resultType !== 'streams') return;
    const lines = data.data.result
      .flatMap(({ stream, values }) =>
        values.map(([ns, text, more]) => ({
          ns,
          text,
          stream,
          metadata: more?.structuredMetadata ?? {},
          parsed: more?.parsed ?? {},
        })),
      )
      .sort((a, b) => (a.ns < b.ns ? 1 : -1));
    setAnswer({ query, span: asked, lines: lines.map((line, key) => ({ ...line, key })) });
  };
  const shared = { client, zone: 'local' as const, onFilter: () => undefined };
  return (
    <main>
      <QueryEditor value={query} onChange={setQuery} onRun={() => void run()} span={lastHour} {...shared} />
      <button type="button" onClick={() => void run()}>
        Run
      </button>
      {failure && <p role="alert">{failure.detail}</p>}
      {answer && (
        <>
          <VolumeChart query={streamSelector(answer.query)} span={answer.span} onZoom={() => undefined} {...shared} />
          <Lines
            lines={answer.lines}
            span={answer.span}
            terms={searchTerms(answer.query)}
            wrap={false}
            direction="backward"
            loading={false}
            atEnd={true}
            {...shared}
          />
        </>
      )}
    </main>
  );
}

function lastHour(): Span {
  const end = BigInt(Date.now()) * 1_000_000n;
  return { start: String(end - 3_600_000_000_000n), end: String(end) };
}
