import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Direction, Line, View } from '../model';
import { namesIn } from '../results/tags';
import { usePopover } from './popover';
import { limits, mostColumns } from './view';

export interface DisplayProps {
  view: View;
  /** The lines that are shown, whose labels and fields can be columns. */
  lines: readonly Line[];
  /** How many lines one query may request. */
  mostLines: number;
  open: boolean;
  onOpen: (open: boolean) => void;
  /** Changes the request, and runs it. */
  onChange: (change: Partial<View>) => void;
  /** Changes how it looks. */
  onLook: (change: Partial<View>) => void;
}

/** How lines are requested and shown, under a button. */
export function Display(props: DisplayProps) {
  const { open, onOpen } = props;
  const { box, button, onKeyDown } = usePopover(open, onOpen);
  return (
    <div class="a-display" ref={box} onKeyDown={onKeyDown}>
      <button type="button" ref={button} aria-haspopup="dialog" aria-expanded={open} title="Display  D" onClick={() => onOpen(!open)}>
        Display
      </button>
      {open && <DisplayForm {...props} />}
    </div>
  );
}

const switches = [
  ['wrap', 'Wrap long lines'],
  ['nanoseconds', 'Show nanoseconds'],
  ['fold', 'Fold consecutive equal lines'],
  ['join', 'Join the lines of a stack trace'],
] as const;

function DisplayForm({ view, lines, mostLines, onChange, onLook }: DisplayProps) {
  const form = useRef<HTMLDivElement>(null);
  // In the same moment as it is drawn: keys that follow at once are meant for it.
  useLayoutEffect(() => form.current?.querySelector('select')?.focus(), []);
  const choices = [...new Set([...limits, view.limit])].filter((n) => n <= mostLines).sort((a, b) => a - b);
  return (
    <div class="a-popover a-display-in" role="dialog" aria-label="Display" ref={form}>
      <div class="a-row">
        <select
          aria-label="Limit"
          title="How many lines are loaded at a time"
          value={view.limit}
          onChange={(e) => onChange({ limit: Number(e.currentTarget.value) })}
        >
          {choices.map((n) => (
            <option key={n} value={n}>
              {n} lines per page
            </option>
          ))}
        </select>
        <select aria-label="Order" value={view.direction} onChange={(e) => onChange({ direction: e.currentTarget.value as Direction })}>
          <option value="backward">Newest first</option>
          <option value="forward">Oldest first</option>
        </select>
      </div>
      {switches.map(([part, text]) => (
        <label key={part} class="a-check">
          <input type="checkbox" checked={view[part]} onChange={(e) => onLook({ [part]: e.currentTarget.checked })} /> {text}
        </label>
      ))}
      <Columns chosen={view.columns} lines={lines} onChange={(columns) => onLook({ columns })} />
    </div>
  );
}

interface ColumnsProps {
  chosen: string[];
  lines: readonly Line[];
  onChange: (columns: string[]) => void;
}

/** Labels and fields of the lines, each of which can be a column. */
function Columns({ chosen, lines, onChange }: ColumnsProps) {
  const [sought, setSought] = useState('');
  const names = useMemo(() => namesIn(lines), [lines]);
  // A name keeps its place when it is chosen: the focus would be lost with it.
  const all = [...chosen.filter((name) => !names.includes(name)), ...names];
  const shown = all.filter((name) => name.toLowerCase().includes(sought.trim().toLowerCase()));
  const full = chosen.length >= mostColumns;
  return (
    <fieldset class="a-columns">
      <legend>Columns</legend>
      <div class="a-row">
        <input
          type="search"
          aria-label="Search labels and fields"
          placeholder="Search labels and fields"
          value={sought}
          onInput={(e) => setSought(e.currentTarget.value)}
        />
        <button type="button" disabled={chosen.length === 0} onClick={() => onChange([])}>
          Clear
        </button>
      </div>
      {all.length === 0 && <p class="a-muted">No lines are loaded, so there are no labels and fields to choose from.</p>}
      <div class="a-names" role="group" aria-label="Labels and fields" tabIndex={0}>
        {shown.map((name) => (
          <label key={name} class="a-check">
            <input
              type="checkbox"
              checked={chosen.includes(name)}
              disabled={full && !chosen.includes(name)}
              onChange={(e) => onChange(e.currentTarget.checked ? [...chosen, name] : chosen.filter((other) => other !== name))}
            />{' '}
            {name}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
