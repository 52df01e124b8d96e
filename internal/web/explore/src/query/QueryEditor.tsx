import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';

import type { Client, Mistake, Span, Zone } from '../model';
import type { Editor } from './codemirror';
import { useExplained } from './explain';
import { recentQueries } from './History';
import { lookup } from './lookup';
import { stretchAt } from './place';

export interface QueryEditorProps {
  value: string;
  onChange: (value: string) => void;
  onRun: () => void;
  client: Client;
  span: () => Span;
  /** What is wrong with the value, as running it has told; forgotten when the value changes. */
  mistake?: Mistake | undefined;
  zone: Zone;
}

const label = 'Query in LogQL';
const hint = 'Text to find, or LogQL such as {app="…"} |= "text"';

export function QueryEditor(props: QueryEditorProps) {
  const { value, client, mistake } = props;
  const explained = useExplained(value, client, mistake);
  const stretch = explained?.place && stretchAt(value, explained.place);
  const host = useRef<HTMLDivElement>(null);
  const editor = useEditor(host, props);
  const id = useId();

  // Before the next key comes: later, it would take back what has been written in between.
  useLayoutEffect(() => editor?.setValue(value), [editor, value]);
  useLayoutEffect(() => editor?.setMistake(stretch), [editor, stretch?.from, stretch?.to, value]);

  return (
    <div class={`q-editor${explained ? ' q-wrong' : ''}`}>
      <div class="q-frame" ref={host} hidden={!editor} />
      {!editor && <Plain {...props} describedBy={id} invalid={explained !== undefined} />}
      <p class="q-mistake" role="status" id={id}>
        {explained && (
          <>
            {stretch && explained.place && (
              <button type="button" onClick={() => editor?.select(stretch)} disabled={!editor}>
                {where(value, explained.place)}
              </button>
            )}{' '}
            {explained.text}
          </>
        )}
      </p>
    </div>
  );
}

function where(value: string, { line, column }: { line: number; column: number }): string {
  return value.includes('\n') ? `Line ${line}, column ${column}` : `Column ${column}`;
}

/** The editor, as soon as it is loaded; where it cannot be, the plain field stays. */
function useEditor(host: { current: HTMLDivElement | null }, props: QueryEditorProps) {
  const [editor, setEditor] = useState<Editor>();
  const latest = useRef(props);
  latest.current = props;
  useEffect(() => {
    let gone = false;
    let made: Editor | undefined;
    import('./codemirror').then(
      ({ createEditor }) => {
        if (gone || !host.current) return;
        const owner = {
          onChange: (value: string) => latest.current.onChange(value),
          onRun: () => latest.current.onRun(),
          lookup: () => lookup(latest.current.client, () => latest.current.span()),
          history: recentQueries,
        };
        const { value } = latest.current;
        host.current.hidden = false;
        made = createEditor(host.current, owner, { value, label, hint, selection: selectionOf(host.current) });
        setEditor(made);
      },
      () => undefined, // the plain field stays
    );
    return () => {
      gone = true;
      made?.destroy();
    };
  }, []);
  return editor;
}

/** A user who is typing in the plain field continues at the same place in the editor. */
function selectionOf(host: HTMLElement): { anchor: number; head: number } | undefined {
  const plain = host.nextElementSibling;
  if (!(plain instanceof HTMLTextAreaElement) || document.activeElement !== plain) return undefined;
  return { anchor: plain.selectionStart, head: plain.selectionEnd };
}

interface PlainProps extends QueryEditorProps {
  describedBy: string;
  invalid: boolean;
}

/** What stands in for the editor while it loads. */
function Plain({ value, onChange, onRun, describedBy, invalid }: PlainProps) {
  return (
    <textarea
      class="q-plain"
      aria-label={label}
      aria-describedby={describedBy}
      aria-invalid={invalid}
      placeholder={hint}
      spellcheck={false}
      autocapitalize="off"
      rows={Math.min(8, value.split('\n').length)}
      value={value}
      onInput={(e) => onChange(e.currentTarget.value)}
      onKeyDown={(e) => {
        if (e.key !== 'Enter' || e.shiftKey || e.isComposing) return;
        e.preventDefault();
        e.stopPropagation();
        onRun();
      }}
    />
  );
}
