import { LogfenceError, type ExportFormat } from '@logfence/client';
import { useEffect, useRef, useState } from 'preact/hooks';

import type { Client, Failure, Span } from '../model';
import { download, endings, held, mostHeld, picked, TooLarge, write, type Progress } from './exporting';
import { shortBytes } from './series';
import { rfc3339 } from './time';

export interface ExportButtonProps {
  query: string;
  client: Client;
  span: Span;
  limit: number;
}

type State =
  | { kind: 'ready' }
  | { kind: 'running'; progress: Progress }
  | { kind: 'done'; progress: Progress; name: string }
  | { kind: 'failed'; title: string; detail: string };

/** Takes the lines of the query and its time range away as a file. */
export function ExportButton(props: ExportButtonProps) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        Export
      </button>
      {open && <ExportDialog {...props} onClose={() => setOpen(false)} />}
    </>
  );
}

const formats: [ExportFormat, string][] = [
  ['ndjson', 'one JSON object per line'],
  ['csv', 'for spreadsheets'],
  ['text', 'the log lines alone'],
];

function ExportDialog({ query, client, span, limit, onClose }: ExportButtonProps & { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const aborter = useRef<AbortController>();
  const [format, setFormat] = useState<ExportFormat>('ndjson');
  const [some, setSome] = useState(false);
  const [most, setMost] = useState(limit);
  const [state, setState] = useState<State>({ kind: 'ready' });
  useEffect(() => {
    dialog.current?.showModal();
    return () => aborter.current?.abort();
  }, []);

  const start = async (): Promise<void> => {
    const own = (aborter.current = new AbortController());
    const sink = await picked(`logs-${rfc3339(span.end).slice(0, 19).replace(/[:-]/g, '')}Z.${endings[format]}`);
    if (sink === 'cancelled' || own.signal.aborted) return;
    setState({ kind: 'running', progress: { bytes: 0, lines: 0 } });
    // Who chooses CSV opens it in a spreadsheet, where a log line must not become a formula.
    const params = { query, ...span, format, ...(some && { limit: most }), ...(format === 'csv' && { spreadsheet: true }) };
    const { data, error } = await client.exportLogs(params, { signal: own.signal });
    if (error) {
      await sink?.abort();
      return setState(failed(error));
    }
    let shown = 0;
    const onProgress = (progress: Progress): void => {
      if (performance.now() - shown < 100) return; // it is read, not watched
      shown = performance.now();
      setState({ kind: 'running', progress });
    };
    try {
      const progress = await write(data, sink ?? held(data.contentType, download(data.fileName)), format, onProgress);
      setState({ kind: 'done', progress, name: data.fileName });
    } catch (thrown) {
      setState(failedBy(thrown));
    }
  };
  const running = state.kind === 'running';
  return (
    <dialog ref={dialog} class="r-dialog r-export" aria-labelledby="r-export-title" onClose={onClose}>
      <header>
        <h2 id="r-export-title">Export</h2>
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </header>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void start();
        }}
      >
        <fieldset disabled={running}>
          <legend>Format</legend>
          {formats.map(([name, what]) => (
            <label key={name}>
              <input type="radio" name="format" checked={format === name} onChange={() => setFormat(name)} />
              <span>{name}</span> <span class="r-muted">{what}</span>
            </label>
          ))}
        </fieldset>
        <fieldset disabled={running}>
          <legend>Lines</legend>
          <label>
            <input type="radio" name="lines" checked={!some} onChange={() => setSome(false)} /> All lines of the time range
          </label>
          <label>
            <input type="radio" name="lines" checked={some} onChange={() => setSome(true)} /> The oldest{' '}
            <input
              type="number"
              min={1}
              aria-label="Maximum lines"
              value={most}
              disabled={!some}
              onChange={(e) => setMost(Math.max(1, Number(e.currentTarget.value) || limit))}
            />{' '}
            lines
          </label>
        </fieldset>
        {!('showSaveFilePicker' in window) && (
          <p class="r-muted">This browser keeps the file in memory until it is complete, so its size is at most {shortBytes(mostHeld)}.</p>
        )}
        <div class="r-actions">
          {running ? (
            <button type="button" onClick={() => aborter.current?.abort()}>
              Cancel
            </button>
          ) : (
            <button type="submit" class="r-primary">
              Export
            </button>
          )}
          <Outcome state={state} />
        </div>
      </form>
    </dialog>
  );
}

function Outcome({ state }: { state: State }) {
  if (state.kind === 'ready') return null;
  if (state.kind === 'failed') {
    return (
      <span role="alert" class="r-problem">
        {state.title}: {state.detail}
      </span>
    );
  }
  const { bytes, lines } = state.progress;
  const amount = `${lines.toLocaleString('en')} lines, ${shortBytes(bytes)}`;
  return <span role="status">{state.kind === 'done' ? `Done: ${amount} in ${state.name}` : `${amount} so far`}</span>;
}

function failed({ code, title, detail }: Failure): State {
  if (code === 'aborted') return { kind: 'failed', title: 'Cancelled', detail: 'No file was kept.' };
  return { kind: 'failed', title, detail };
}

function failedBy(thrown: unknown): State {
  if (thrown instanceof LogfenceError) return failed(thrown.failure);
  if (thrown instanceof TooLarge) {
    const detail = `The file is larger than ${shortBytes(mostHeld)}, the most that this browser can hold in memory. Choose a shorter time range, or fewer lines.`;
    return { kind: 'failed', title: 'Too large', detail };
  }
  return { kind: 'failed', title: 'The file could not be written', detail: String(thrown) };
}
