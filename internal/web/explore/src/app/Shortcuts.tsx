import { useEffect } from 'preact/hooks';

import { basePath } from './base';
import { Dialog } from './Dialog';

/** What keys do, by what they are called here. */
export const shortcuts = [
  { keys: 'Ctrl+Enter', does: 'Run the query' },
  { keys: 'Ctrl+K', does: 'Find a command' },
  { keys: '/', does: 'Edit the query' },
  { keys: 'T', does: 'Choose a time range' },
  { keys: '[', does: 'Earlier time range' },
  { keys: ']', does: 'Later time range' },
  { keys: '-', does: 'Zoom out' },
  { keys: 'R', does: 'Run the query again' },
  { keys: 'L', does: 'Start or stop the live tail' },
  { keys: 'J', does: 'Go to the lines, then to the next line' },
  { keys: 'K', does: 'Go to the lines, then to the previous line' },
  { keys: 'D', does: 'Choose columns, and how lines are shown' },
  { keys: 'W', does: 'Wrap long lines' },
  { keys: 'U', does: 'Switch between UTC and local time' },
  { keys: 'B', does: 'Browse labels' },
  { keys: 'F', does: 'Browse fields' },
  { keys: 'P', does: 'Browse patterns' },
  { keys: 'H', does: 'Show earlier queries' },
  { keys: 'Esc', does: 'Cancel or close' },
  { keys: '?', does: 'Show this list' },
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
        In the query, Enter runs it and Shift+Enter starts a new line. Shortcuts of a single key work outside of text fields.
      </p>
      <p class="a-small-text">
        <a href={`${basePath}/docs`} target="_blank" rel="noreferrer">
          API reference
        </a>
        {' · '}
        <a href={`${basePath}/explore/licences.txt`} target="_blank" rel="noreferrer">
          Licences of the software in this page
        </a>
      </p>
    </Dialog>
  );
}
