import { useId, useLayoutEffect, useRef, useState } from 'preact/hooks';

import { Dialog } from './Dialog';

/** Something to do, by its name. */
export interface Command {
  name: string;
  /** The shortcut that does the same. */
  keys?: string;
  run: () => void;
}

/** How many are shown: typing finds the others. */
const most = 12;

/** All commands by name: some letters of one find it, and Enter runs it. */
export function Palette({ commands, onClose }: { commands: Command[]; onClose: () => void }) {
  const [all] = useState(commands);
  const [sought, setSought] = useState('');
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  useLayoutEffect(() => input.current?.focus(), []);
  const found = matching(all, sought).slice(0, most);
  const take = (command: Command | undefined): void => {
    if (!command) return;
    onClose();
    // After the dialog has given the focus back: what runs may take it.
    queueMicrotask(command.run);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    const by = moves[event.key];
    if (by !== undefined) setAt((at + by + found.length) % Math.max(1, found.length));
    else if (event.key === 'Enter') take(found[at]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Commands" onClose={onClose} class="a-palette">
      <input
        ref={input}
        role="combobox"
        aria-label="Find a command"
        aria-expanded={true}
        aria-controls={id}
        aria-activedescendant={found[at] && `${id}-${at}`}
        autocomplete="off"
        spellcheck={false}
        placeholder="Command, time range or earlier query"
        value={sought}
        onInput={(e) => {
          setSought(e.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul role="listbox" id={id} aria-label="Commands">
        {found.map((command, i) => (
          <li key={command.name} role="option" id={`${id}-${i}`} aria-selected={i === at} onClick={() => take(command)}>
            <span>{command.name}</span>
            {command.keys && <kbd>{command.keys}</kbd>}
          </li>
        ))}
      </ul>
      {found.length === 0 && <p class="a-muted">No command has these letters.</p>}
    </Dialog>
  );
}

/** The commands that have all words, those that begin with the text first. */
export function matching(commands: Command[], sought: string): Command[] {
  const text = sought.trim().toLowerCase();
  const words = text.split(/\s+/);
  const found = commands.filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)));
  const begins = ({ name }: Command): boolean => name.toLowerCase().startsWith(text);
  return [...found.filter(begins), ...found.filter((command) => !begins(command))];
}
