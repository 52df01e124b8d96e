import { useLayoutEffect, useRef, useState } from 'preact/hooks';

import type { Zone } from '../model';
import { clockAt } from '../zone';

/** A day, as a number that Date.UTC makes of it. */
type Day = number;

const length = 86_400_000;
const monthNames = 'January February March April May June July August September October November December'.split(' ');

export interface CalendarProps {
  /** The first and the last day that are chosen. */
  from: Day | undefined;
  to: Day | undefined;
  zone: Zone;
  /** Told with each day that is chosen, and with all from one to another. */
  onChoose: (from: Day, to: Day) => void;
}

/** A month of days: one is chosen, or two and those between them. */
export function Calendar({ from, to, zone, onChoose }: CalendarProps) {
  const [year, month, day] = clockAt(Date.now(), zone);
  const today = Date.UTC(year, month, day);
  const [focused, setFocused] = useState(to ?? today);
  const [first, setFirst] = useState<Day>();
  const grid = useRef<HTMLDivElement>(null);
  const moved = useRef(false);
  // In the same moment as it is drawn: the day before it may be gone, and the next key is meant for this one.
  useLayoutEffect(() => {
    if (moved.current) grid.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
    moved.current = false;
  }, [focused]);
  const shown = new Date(focused);
  const begin = Date.UTC(shown.getUTCFullYear(), shown.getUTCMonth(), 1);
  const count = Math.round((Date.UTC(shown.getUTCFullYear(), shown.getUTCMonth() + 1, 1) - begin) / length);
  const days = Array.from({ length: count }, (_, i) => begin + i * length);
  // The week begins on Monday.
  const skipped = (new Date(begin).getUTCDay() + 6) % 7;
  const choose = (chosen: Day): void => {
    onChoose(Math.min(chosen, first ?? chosen), Math.max(chosen, first ?? chosen));
    setFirst(first === undefined ? chosen : undefined);
    setFocused(chosen);
  };
  const turn = (by: 1 | -1): void => setFocused(Date.UTC(shown.getUTCFullYear(), shown.getUTCMonth() + by, 1));
  const onKeyDown = (event: KeyboardEvent): void => {
    const steps: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7 };
    const by = steps[event.key];
    if (by === undefined) return;
    event.preventDefault();
    moved.current = true;
    setFocused(focused + by * length);
  };
  const within = (one: Day): boolean => from !== undefined && to !== undefined && one >= from && one <= to;
  return (
    <div class="a-calendar" role="group" aria-label="Calendar">
      <div class="a-month">
        <button type="button" aria-label="Previous month" onClick={() => turn(-1)}>
          ‹
        </button>
        <strong role="status">
          {monthNames[shown.getUTCMonth()]} {shown.getUTCFullYear()}
        </strong>
        <button type="button" aria-label="Next month" onClick={() => turn(1)}>
          ›
        </button>
      </div>
      <div class="a-days" ref={grid} onKeyDown={onKeyDown}>
        {['Mo', 'Tu', 'We', 'Th', 'Fr', 'Sa', 'Su'].map((name) => (
          <span key={name} class="a-muted" aria-hidden="true">
            {name}
          </span>
        ))}
        {days.map((one, i) => (
          <button
            key={one}
            type="button"
            tabIndex={one === focused ? 0 : -1}
            aria-pressed={within(one)}
            aria-current={one === today ? 'date' : undefined}
            aria-label={`${i + 1} ${monthNames[shown.getUTCMonth()]} ${shown.getUTCFullYear()}`}
            style={i === 0 ? { gridColumnStart: skipped + 1 } : undefined}
            onClick={() => choose(one)}
          >
            {i + 1}
          </button>
        ))}
      </div>
      <p class="a-muted a-small-text">
        {first === undefined ? 'Choose a day, or the first and the last day of a range.' : 'Choose the last day, or Apply.'}
      </p>
    </div>
  );
}

/** A day as it is typed: `2026-11-23`. */
export function textOf(day: Day): string {
  return new Date(day).toISOString().slice(0, 10);
}

/** The day that a text begins with; undefined where it begins with none. */
export function dayIn(text: string): Day | undefined {
  const day = Date.parse(`${/^\d{4}-\d\d-\d\d/.exec(text)?.[0] ?? ''}T00:00:00Z`);
  return Number.isNaN(day) ? undefined : day;
}
