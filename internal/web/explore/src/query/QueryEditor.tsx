import type { Client, Mistake, Span, Zone } from '../model';

export interface QueryEditorProps {
  value: string;
  onChange: (value: string) => void;
  onRun: () => void;
  client: Client;
  span: () => Span;
  mistake?: Mistake | undefined;
  zone: Zone;
}

export function QueryEditor({ value, onChange, onRun, mistake }: QueryEditorProps) {
  return (
    <textarea
      class="q-plain"
      aria-label="Query"
      aria-invalid={mistake !== undefined}
      spellcheck={false}
      rows={2}
      value={value}
      onInput={(e) => onChange(e.currentTarget.value)}
      onKeyDown={(e) => {
        if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) {
          e.preventDefault();
          e.stopPropagation();
          onRun();
        }
      }}
    />
  );
}
