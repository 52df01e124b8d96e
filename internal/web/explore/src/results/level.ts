import type { Labels, Line } from '../model';

/** How grave a line is, the gravest first: the order in which charts stack and legends list. */
export const levels = ['critical', 'error', 'warn', 'info', 'debug', 'trace', 'unknown'] as const;

export type Level = (typeof levels)[number];

/** A level as rows say it, in five letters at most. */
export function wordOf(level: Level): string {
  return level === 'unknown' ? '' : level === 'critical' ? 'crit' : level;
}

const words: Record<string, Level> = {
  emerg: 'critical',
  emergency: 'critical',
  alert: 'critical',
  fatal: 'critical',
  panic: 'critical',
  crit: 'critical',
  critical: 'critical',
  severe: 'error',
  error: 'error',
  eror: 'error',
  err: 'error',
  failure: 'error',
  warn: 'warn',
  warning: 'warn',
  notice: 'info',
  info: 'info',
  information: 'info',
  informational: 'info',
  debug: 'debug',
  dbug: 'debug',
  dbg: 'debug',
  fine: 'debug',
  trace: 'trace',
  trc: 'trace',
  verbose: 'trace',
  finer: 'trace',
  finest: 'trace',
};

// The names in which Loki looks for a level, and its own finding first: it has read the complete line.
const names = ['detected_level', 'level', 'lvl', 'severity', 'loglevel', 'log_level', 'severity_text'];

/** The level that a label's value names; `unknown` where it names none. */
export function levelNamed(value: string): Level {
  const word = value.trim().toLowerCase();
  return words[word] ?? (/^\d{1,2}$/.test(word) ? numbered(Number(word)) : 'unknown');
}

/** Numbers below 10 are syslog's severities, those from 10 on are pino's and bunyan's. */
function numbered(n: number): Level {
  if (n < 10) return (['critical', 'critical', 'critical', 'error', 'warn', 'info', 'info', 'debug'] as const)[n] ?? 'unknown';
  if (n >= 60) return 'critical';
  if (n >= 50) return 'error';
  if (n >= 40) return 'warn';
  if (n >= 30) return 'info';
  return n >= 20 ? 'debug' : 'trace';
}

/** The level among labels. */
export function levelAmong(...sets: Labels[]): Level {
  for (const name of names) {
    for (const set of sets) {
      const value = set[name];
      const level = value === undefined ? 'unknown' : levelNamed(value);
      if (level !== 'unknown') return level;
    }
  }
  return 'unknown';
}

/** How far into a line a level is looked for. */
const beginning = 160;

const spelled = Object.keys(words).join('|');

// level=warn and "level":"warn", then WARN, [warn] or <warn>, then warn: at the very beginning. Each finds its
// words at one place, without going back: lines are written by strangers.
const assigned = new RegExp(`\\b(?:level|lvl|severity|loglevel|log_level)"?\\s?[=:]\\s?"?(${spelled})\\b`, 'i');
const shouted = new RegExp(`(?:^|[^A-Za-z0-9_])(${spelled.toUpperCase()})(?![A-Za-z0-9_])`);
const bracketed = new RegExp(`[[<(](${spelled})[\\]>)]`, 'i');
const leading = new RegExp(`^\\s?(${spelled})\\b[:\\s]`, 'i');

/** A guess by what a line begins with. */
export function levelGuessed(text: string): Level {
  const start = text.slice(0, beginning);
  for (const pattern of [assigned, bracketed, shouted, leading]) {
    const word = pattern.exec(start)?.[1];
    if (word !== undefined) return words[word.toLowerCase()] ?? 'unknown';
  }
  return 'unknown';
}

/** The level of a line: what its labels say and, where they say nothing, what it begins with. */
export function levelOf(line: Pick<Line, 'stream' | 'metadata' | 'parsed' | 'text'>): Level {
  const said = levelAmong(line.metadata, line.parsed, line.stream);
  return said === 'unknown' ? levelGuessed(line.text) : said;
}
