import { useEffect } from 'preact/hooks';

import { basePath } from './base';
import { Dialog } from './Dialog';

/** What keys do, by what they are called here. */
export const shortcuts = [
  { keys: 'Ctrl+Enter', does: 'Run the query' },
  { keys: 'Ctrl+K', does: 'Find a command' },
  { keys: '/', does: 'Edit the query' },
  { keys: 'T', does: 'Choose a time range' },
  { keys: '[', does: 'Earlier' },
  { keys: ']', does: 'Later' },
  { keys: '-', does: 'Zoom out' },
  { keys: 'R', does: 'Run again, up to now' },
  { keys: 'L', does: 'Live tail, on or off' },
  { keys: 'J', does: 'To the lines, and to the next one' },
  { keys: 'K', does: 'To the lines, and to the one before' },
  { keys: 'D', does: 'Choose how lines are shown, and columns' },
  { keys: 'W', does: 'Wrap long lines, or not' },
  { keys: 'U', does: 'UTC or local time' },
  { keys: 'B', does: 'Browse labels' },
  { keys: 'F', does: 'Fields' },
  { keys: 'P', does: 'Patterns' },
  { keys: 'H', does: 'History' },
  { keys: 'Esc', does: 'Cancel, or close' },
  { keys: '?', does: 'This list' },
] as const;

export type Shortcut = (typeof shortcuts)[number]['keys'];

/** Calls back for keys that are pressed outside of fields; Ctrl and another key, and Esc, count everywhere. */
export function useShortcuts(pressed: (keys: Shortcut) => boolean): void {
  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      const keys = nameOf(e);
      const everywhere = keys.startsWith('Ctrl+') || keys === 'Esc';
      if (e.defaultPrevented || document.querySelector('dialog[open]')) return;
      if (!everywhere && (e.ctrlKey || e.metaKey || e.altKey || isField(e.composedPath()[0]))) return;
      const known = shortcuts.find((s) => s.keys === (keys.length === 1 ? keys.toUpperCase() : keys));
      if (known && pressed(known.keys)) e.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  });
}

function nameOf({ key, ctrlKey, metaKey }: KeyboardEvent): string {
  if ((ctrlKey || metaKey) && key === 'Enter') return 'Ctrl+Enter';
  if ((ctrlKey || metaKey) && key.toLowerCase() === 'k') return 'Ctrl+K';
  return key === 'Escape' ? 'Esc' : key;
}

/** Whether the key belongs to what is written into. The editor is in a shadow root, so the path tells. */
function isField(target: EventTarget | undefined): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.matches('input:not([type=radio], [type=checkbox]), textarea, select');
}

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl class="a-shortcuts">
        {shortcuts.map(({ keys, does }) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <p class="a-muted a-small-text">
        In the query, Enter runs it and Shift+Enter starts a new line. Single keys count outside of fields. What this page is made of, and
        its licences:{' '}
        <a href={`${basePath}/explore/licences.txt`} target="_blank" rel="noreferrer">
          licences
        </a>
        . The API:{' '}
        <a href={`${basePath}/docs`} target="_blank" rel="noreferrer">
          reference
        </a>
        .
      </p>
    </Dialog>
  );
}
