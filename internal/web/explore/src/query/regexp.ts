/**
 * Mistakes in the regular expressions of line filters. Loki compiles those of selectors while it parses, and reports
 * them; those of line filters it compiles while it reads, and a mistake in one can look like an empty result. Pure.
 *
 * Guarantee: what is valid in RE2 has no mistake here. Not every mistake is found.
 */
import { Filter, FilterOp, LineFilter } from '@grafana/lezer-logql';

import { lineFilterTexts } from './read';
import { all, parse, textOf } from './syntax';

/** The first regular expression of a line filter that cannot be compiled, and why; undefined where none is known. */
export function brokenRegexp(query: string): { regexp: string; mistake: string } | undefined {
  for (const filter of all(parse(query), LineFilter)) {
    const op = filter.getChild(Filter);
    if (!op || filter.getChild(FilterOp) || !textOf(query, op).endsWith('~')) continue;
    for (const regexp of lineFilterTexts(query, filter)) {
      const mistake = mistakeIn(regexp);
      if (mistake) return { regexp, mistake };
    }
  }
  return undefined;
}

// One element of RE2's syntax: an escape, a class, the beginning of a group with its flags or name, or a character.
const element = /\\[^]|\[\^?\]?(?:\\[^]|\[:\^?\w+:\]|[^\]\\])*\]|\((?:\?(?:P?<\w+>|[a-zA-Z-]*:|[a-zA-Z-]+(?=\))))?|[^]/gu;

/** Why a regular expression cannot be compiled. */
export function mistakeIn(regexp: string): string | undefined {
  if (regexp.includes('\\Q')) return undefined; // quotes what follows
  let open = 0;
  /** Whether something precedes that can be repeated. */
  let repeatable = false;
  for (const [part] of regexp.matchAll(element)) {
    if (part === '\\') return 'it ends with a backslash';
    if (part === '[') return 'a [ has no closing ]';
    if (part === ')' && open-- === 0) return 'a ) has no opening (';
    if ('*+?'.includes(part) && !repeatable) return `there is nothing that ${part} can repeat`;
    if (part.startsWith('(')) open++;
    // A flag such as (?i) is a group of its own, after which nothing can be repeated; "a*" can only be made lazy.
    repeatable = !part.startsWith('(') && part !== '|';
  }
  return open > 0 ? 'a ( has no closing )' : undefined;
}
