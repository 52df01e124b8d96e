import { useLayoutEffect, useRef } from 'preact/hooks';

import type { Sought } from './simple';

const empty: Sought = { text: '', exclude: false, caseless: true };

/** Texts that lines hold, or do not. There is always room for one. */
export function Texts({ texts, onChange }: { texts: Sought[]; onChange: (texts: Sought[]) => void }) {
  const shown = texts.length > 0 ? texts : [empty];
  const section = useRef<HTMLElement>(null);
  const added = useRef(false);
  // In the same moment as it is drawn: keys that follow at once are meant for it.
  useLayoutEffect(() => {
    if (added.current) [...(section.current?.querySelectorAll('input') ?? [])].at(-1)?.focus();
    added.current = false;
  }, [shown.length]);
  const set = (at: number, next: Sought): void => onChange(shown.map((old, i) => (i === at ? next : old)));
  return (
    <section aria-label="Text" class="q-section" ref={section}>
      <h3>Text</h3>
      {shown.map((sought, i) => (
        <div class="q-text" key={i}>
          <select
            aria-label={`Text ${i + 1}: how`}
            value={sought.exclude ? 'without' : 'with'}
            onChange={(e) => set(i, { ...sought, exclude: e.currentTarget.value === 'without' })}
          >
            <option value="with">contains</option>
            <option value="without">lacks</option>
          </select>
          <input
            type="text"
            aria-label={`Text ${i + 1}`}
            placeholder="any text"
            autocapitalize="off"
            spellcheck={false}
            value={sought.text}
            onInput={(e) => set(i, { ...sought, text: e.currentTarget.value })}
          />
          <button
            type="button"
            class="q-small"
            aria-pressed={!sought.caseless}
            aria-label={`Text ${i + 1}: match case`}
            title="Match case"
            onClick={() => set(i, { ...sought, caseless: !sought.caseless })}
          >
            Aa
          </button>
          {texts.length > 0 && (
            <button
              type="button"
              class="q-small"
              aria-label={`Text ${i + 1}: remove`}
              title="Remove"
              onClick={() => onChange(texts.filter((_, other) => other !== i))}
            >
              ✕
            </button>
          )}
        </div>
      ))}
      {shown.every(({ text }) => text !== '') && (
        <div>
          <button
            type="button"
            class="q-small q-add"
            onClick={() => {
              added.current = true;
              onChange([...shown, empty]);
            }}
          >
            + Another text
          </button>
        </div>
      )}
    </section>
  );
}
