// Time zones: that of the browser, UTC, and any of the IANA database that the browser knows. Pure but for that.

/** `local`, `utc`, or a name such as `Asia/Tokyo`. */
export type Zone = string;

/** A moment as a wall clock shows it; the month is from 0, and a day may be beyond its month's. */
export type Clock = [year: number, month: number, day: number, hour: number, minute: number, second: number];

/** Whether the browser knows a zone by this name. */
export function isZone(name: string): boolean {
  if (name === 'local' || name === 'utc') return true;
  try {
    return /^[A-Za-z]/.test(name) && format(name) !== undefined;
  } catch {
    return false;
  }
}

/** The names of all zones that the browser knows, to choose from. */
export function zoneNames(): string[] {
  const { supportedValuesOf } = Intl as { supportedValuesOf?: (of: 'timeZone') => string[] };
  return supportedValuesOf?.('timeZone') ?? [];
}

/** How far a zone's clocks are ahead of UTC at a moment, in milliseconds. */
export function offsetAt(ms: number, zone: Zone): number {
  if (zone === 'utc') return 0;
  if (zone === 'local') return -new Date(ms).getTimezoneOffset() * 60_000;
  // Intl is fifty times slower than Date: it is called once for each quarter of an hour, between which no clock is moved.
  const quarter = Math.floor(ms / 900_000);
  const key = `${zone} ${quarter}`;
  let offset = offsets.get(key);
  if (offset === undefined) {
    if (offsets.size >= mostOffsets) offsets.clear();
    offset = clockIn(quarter * 900_000, zone) - quarter * 900_000;
    offsets.set(key, offset);
  }
  return offset;
}

/** The moment at which a zone's clocks show this; of a time that is left out in spring, the one that far after the last. */
export function momentAt(clock: Clock, zone: Zone): number {
  if (zone === 'local') return new Date(...clock).getTime();
  const shown = Date.UTC(...clock);
  const guess = shown - offsetAt(shown, zone);
  return shown - offsetAt(guess, zone);
}

/** What a zone's clocks show at a moment. */
export function clockAt(ms: number, zone: Zone): Clock {
  // Date's own getters, where they do: this is called for each line that is drawn.
  const d = new Date(zone === 'local' ? ms : ms + offsetAt(ms, zone));
  return zone === 'local'
    ? [d.getFullYear(), d.getMonth(), d.getDate(), d.getHours(), d.getMinutes(), d.getSeconds()]
    : [d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate(), d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds()];
}

const offsets = new Map<string, number>();
const mostOffsets = 5000;
const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: Zone): Intl.DateTimeFormat {
  let made = formats.get(zone);
  if (!made) {
    made = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(zone, made);
  }
  return made;
}

function clockIn(ms: number, zone: Zone): number {
  const part: Record<string, number> = {};
  for (const { type, value } of format(zone).formatToParts(ms)) part[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}
