import { createLogfence, readLines, type Logfence } from '@logfence/client';

declare function push(line: string): Promise<void>;

const query = '{app="browser"}';

/** What the client does in this browser. */
export async function report(baseUrl: string, token: string): Promise<object> {
  const logfence = createLogfence({ baseUrl, token: async () => token });
  await push('before');
  return {
    queried: await queried(logfence),
    refused: await refused(logfence),
    aborted: await aborted(logfence),
    tailed: await tailed(logfence),
    exported: await exported(logfence),
  };
}

async function queried(logfence: Logfence): Promise<string[]> {
  const { data, error } = await logfence.queryLogs({ query }, { categorizeLabels: true });
  if (error) throw new Error(error.detail);
  if (data.data.resultType !== 'streams') return [];
  return data.data.result.flatMap(({ values }) => values.map(([, line]) => line));
}

async function refused(logfence: Logfence): Promise<unknown[]> {
  const { error, response } = await logfence.queryLogs({ query, since: '90d' });
  const id = response?.headers.get('X-Request-ID');
  return [error?.code, error?.status, error?.code === 'query_too_wide' && error.request_id === id];
}

async function aborted(logfence: Logfence): Promise<string | undefined> {
  const aborter = new AbortController();
  const pending = logfence.queryLogs({ query }, { signal: aborter.signal });
  aborter.abort();
  return (await pending).error?.code;
}

async function tailed(logfence: Logfence): Promise<string[]> {
  const lines: string[] = [];
  for await (const event of logfence.tailLogs({ query })) {
    if (event.type !== 'entries') throw new Error(event.type);
    lines.push(...event.streams.flatMap(({ values }) => values.map(([, line]) => line)));
    if (lines.length === 2) break;
    await push('after');
  }
  return lines;
}

/** What takes headers that a page of another origin has to be allowed: Last-Event-ID, Content-Disposition. */
export async function resumed(baseUrl: string, token: string): Promise<object> {
  const logfence = createLogfence({ baseUrl, token });
  await push('seen');
  let lastEventId = '';
  for await (const event of logfence.tailLogs({ query })) {
    if (event.type === 'entries') lastEventId = event.id;
    break;
  }
  await push('later');
  for await (const event of logfence.tailLogs({ query }, { lastEventId })) {
    const { data } = await logfence.exportLogs({ query, format: 'csv' });
    return { event, fileName: data?.fileName };
  }
  return {};
}

async function exported(logfence: Logfence): Promise<string[]> {
  const { data, error } = await logfence.exportLogs({ query });
  if (error) throw new Error(error.detail);
  const lines: string[] = [];
  for await (const { line } of readLines(data)) lines.push(line);
  return lines;
}
