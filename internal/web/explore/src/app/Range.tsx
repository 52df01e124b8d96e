import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

import type { Span, Zone } from '../model';
import { recentRanges, rememberRange } from '../query/queryHistory';
import { isZone, zoneNames } from '../zone';
import { Calendar, dayIn, textOf } from './Calendar';
import { usePopover } from './popover';
import { described, moved, relative, shown, spanOf } from './range';
import { typed } from './typed';

export interface RangeProps {
  from: string;
  to: string;
  zone: Zone;
  onChange: (from: string, to: string) => void;
  onZone: (zone: Zone) => void;
  /** Opens, as the keyboard shortcut does. */
  open: boolean;
  onOpen: (open: boolean) => void;
}

/** The time range: a button that tells it, and what opens under it to choose another. */
export function Range({ from, to, zone, onChange, onZone, open, onOpen }: RangeProps) {
  const { box, button, close, onKeyDown } = usePopover(open, onOpen);
  const move = (by: -1 | 0 | 1): void => {
    const span = spanOf(from, to, Date.now());
    if (!span) return;
    const next = moved(span, by);
    onChange(next.from, next.to);
  };
  return (
    <div class="a-range" ref={box} onKeyDown={onKeyDown}>
      <div class="a-group">
        <button type="button" aria-label="Earlier" title="Earlier  [" onClick={() => move(-1)}>
          ‹
        </button>
        <button
          type="button"
          ref={button}
          class="a-range-button"
          aria-haspopup="dialog"
          aria-expanded={open}
          title="Time range  T"
          onClick={() => onOpen(!open)}
        >
          {described(from, to, zone)} <span class="a-muted">{zoneLabel(zone)}</span>
        </button>
        <button type="button" aria-label="Later" title="Later  ]" onClick={() => move(1)}>
          ›
        </button>
        <button type="button" aria-label="Zoom out" title="Zoom out  -" onClick={() => move(0)}>
          −
        </button>
      </div>
      {open && (
        <RangeForm
          from={from}
          to={to}
          zone={zone}
          onZone={onZone}
          onChoose={(a, b) => {
            close();
            onChange(a, b);
          }}
        />
      )}
    </div>
  );
}

const forms = 'Enter 15m, last 2 hours, yesterday, 14:00, 2026-11-23 14:00:00, or seconds since 1970.';

interface RangeFormProps {
  from: string;
  to: string;
  zone: Zone;
  onZone: (zone: Zone) => void;
  onChoose: (from: string, to: string) => void;
}

function RangeForm({ from, to, zone, onZone, onChoose }: RangeFormProps) {
  const [texts, setTexts] = useState({ from: shown(from, zone), to: shown(to, zone) });
  const [problem, setProblem] = useState('');
  const [recent] = useState(recentRanges);
  const first = useRef<HTMLDivElement>(null);
  // In the same moment as it is drawn: keys that follow at once are meant for it.
  useLayoutEffect(() => {
    const chosen = first.current?.querySelector<HTMLElement>('[aria-pressed=true]');
    (chosen ?? first.current?.querySelector('button'))?.focus();
  }, []);
  useEffect(() => setTexts({ from: shown(from, zone), to: shown(to, zone) }), [zone]);
  const take = (): void => {
    const now = Date.now();
    const [a, b] = [typed(texts.from, zone, now), typed(texts.to, zone, now, true)];
    const span: Span | undefined = a && b ? spanOf(a, b, now) : undefined;
    if (!a || !b) setProblem(`${a ? 'The end' : 'The start'} cannot be read. ${forms}`);
    else if (!span) setProblem('The end must be after the start.');
    else {
      rememberRange(a, b);
      onChoose(a, b);
    }
  };
  const chooseDays = (first: number, last: number): void => {
    setProblem('');
    setTexts({ from: textOf(first), to: `${textOf(last + 86_400_000)} 00:00:00` });
  };
  const last = dayIn(texts.to);
  const field = (name: 'from' | 'to', label: string) => (
    <label>
      {label}
      <input
        value={texts[name]}
        autocomplete="off"
        spellcheck={false}
        aria-invalid={problem !== ''}
        aria-describedby={problem ? 'a-range-problem' : undefined}
        onInput={(e) => setTexts({ ...texts, [name]: e.currentTarget.value })}
      />
    </label>
  );
  return (
    <div class="a-popover" role="dialog" aria-label="Time range">
      <div class="a-quick" role="group" aria-label="Ending now" ref={first}>
        {relative.map((ago) => (
          <button key={ago} type="button" aria-pressed={from === ago && to === 'now'} onClick={() => onChoose(ago, 'now')}>
            {described(ago, 'now', zone)}
          </button>
        ))}
        {recent.length > 0 && <h3 class="a-muted a-small-text">Recent</h3>}
        {recent.map(([a, b]) => (
          <button key={`${a} ${b}`} type="button" onClick={() => onChoose(a, b)}>
            {described(a, b, zone)}
          </button>
        ))}
      </div>
      <form
        class="a-absolute"
        onSubmit={(e) => {
          e.preventDefault();
          take();
        }}
      >
        <Calendar
          from={dayIn(texts.from)}
          to={last === undefined ? undefined : / 00:00(:00)?$/.test(texts.to) ? last - 86_400_000 : last}
          zone={zone}
          onChoose={chooseDays}
        />
        {field('from', 'From')}
        {field('to', 'To')}
        {problem ? (
          <p class="a-problem a-small-text" id="a-range-problem" role="alert">
            {problem}
          </p>
        ) : (
          <p class="a-muted a-small-text">{forms}</p>
        )}
        <ZoneChoice zone={zone} onZone={onZone} />
        <button type="submit" class="a-primary">
          Apply
        </button>
      </form>
    </div>
  );
}

/** The zone that times are shown in: two that are chosen often, and any other by its name. */
function ZoneChoice({ zone, onZone }: { zone: Zone; onZone: (zone: Zone) => void }) {
  const usual = zone === 'local' || zone === 'utc';
  const [text, setText] = useState(usual ? '' : zone);
  return (
    <fieldset class="a-zone">
      <legend>Times are shown in</legend>
      {(['local', 'utc'] as const).map((z) => (
        <label key={z}>
          <input type="radio" name="zone" checked={zone === z} onChange={() => onZone(z)} />{' '}
          {z === 'utc' ? 'UTC' : `Local time (${localZone()})`}
        </label>
      ))}
      <input
        list="a-zones"
        aria-label="Another time zone"
        placeholder="Another, such as Asia/Tokyo"
        autocomplete="off"
        spellcheck={false}
        value={text}
        aria-invalid={text !== '' && !isZone(text)}
        onInput={(e) => {
          const name = e.currentTarget.value;
          setText(name);
          if (isZone(name)) onZone(name);
        }}
      />
      <datalist id="a-zones">
        {zoneNames().map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </fieldset>
  );
}

/** A zone as the range's button tells it. */
function zoneLabel(zone: Zone): string {
  return zone === 'utc' ? 'UTC' : zone === 'local' ? localZone() : zone;
}

/** The browser's zone, such as `UTC+1`. */
export function localZone(): string {
  const minutes = -new Date().getTimezoneOffset();
  const hours = Math.trunc(Math.abs(minutes) / 60);
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? '−' : '+'}${hours}${rest ? `:${String(rest).padStart(2, '0')}` : ''}`;
}
