import type { Term } from '../model';

/** The query, asking only for lines with (or, negated, without) a label or field of this value. */
export function addFilter(query: string, name: string, value: string, negate: boolean): string {
  return `${query} | ${name}${negate ? '!=' : '='}${JSON.stringify(value)}`;
}

/** The query, asking only for lines that hold the text. */
export function addLineFilter(query: string, text: string): string {
  return `${query} |= ${JSON.stringify(text)}`;
}

/** What the query's line filters look for. */
export function searchTerms(query: string): Term[] {
  return [...query.matchAll(/\|= *"([^"\\]+)"/g)].map(([, text = '']) => ({ text, regexp: false, caseless: false }));
}

/** Whether the query answers with numbers, not lines. */
export function isMetric(query: string): boolean {
  return !query.trimStart().startsWith('{');
}

/** The first stream selector of the query, or `{}`. */
export function streamSelector(query: string): string {
  return /\{[^}]*\}/.exec(query)?.[0] ?? '{}';
}
