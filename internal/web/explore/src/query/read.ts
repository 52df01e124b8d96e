/** What a query says, for what is shown beside it. Pure: text in, values out; a text that is no query says little. */
import { Filter, FilterOp, LabelFilter, LineFilter, LogRangeExpr, OrFilter, String as StringLiteral } from '@grafana/lezer-logql';
import type { SyntaxNode } from '@lezer/common';

import type { Term } from '../model';
import { literalOf, quote, unquote } from './strings';
import { all, isMetricTree, matchers, parse, sources, textOf } from './syntax';

/** Whether the query returns numbers, not lines. */
export function isMetric(query: string): boolean {
  return isMetricTree(parse(query));
}

/** Whether Loki may have to read all that the query selects: for lines without a filter it stops at the last that it returns. */
export function readsAll(query: string): boolean {
  const top = parse(query);
  return isMetricTree(top) || all(top, LineFilter).length > 0 || all(top, LabelFilter).length > 0;
}

/**
 * The first stream selector of the query, or `{}`: of a metric query with several legs the first leg's. What is not
 * complete in it is left out, so that it is valid while somebody is still writing.
 */
export function streamSelector(query: string): string {
  const [first] = sources(query);
  const complete = first ? matchers(query, first.selector) : [];
  return `{${complete.map(({ name, op, value }) => `${name}${op}${quote(value)}`).join(', ')}}`;
}

/** The log query within: the query itself, or what the first leg of a metric query counts. */
export function logQuery(query: string): string {
  const [first] = sources(query);
  if (!first) return streamSelector(query);
  if (first.node.type.id !== LogRangeExpr) return textOf(query, first.node).trim();
  // A range may stand between the selector and the pipeline.
  return [query.slice(first.selector.from, first.end), ...first.stages.map((node) => textOf(query, node))].join(' ');
}

/** What the query's line filters look for, `|=` and `|~`, each once. */
export function searchTerms(query: string): Term[] {
  const terms = all(parse(query), LineFilter).flatMap((filter) => termsOf(query, filter));
  return terms.filter((term, i) => i === terms.findIndex((other) => JSON.stringify(other) === JSON.stringify(term)));
}

function termsOf(query: string, filter: SyntaxNode): Term[] {
  const op = filter.getChild(Filter);
  if (!op || filter.getChild(FilterOp)) return [];
  const texts = lineFilterTexts(query, filter);
  switch (textOf(query, op)) {
    case '|=':
      return texts.filter(Boolean).map((text) => ({ text, regexp: false, caseless: false }));
    case '|~':
      return texts.filter(Boolean).flatMap((text) => termOfRegexp(text) ?? []);
    default:
      return [];
  }
}

/** What a line filter compares with, those behind its `or` included. */
export function lineFilterTexts(query: string, filter: SyntaxNode): string[] {
  const first = filter.getChild(StringLiteral);
  const more = all(filter, OrFilter).flatMap((or) => or.getChild(StringLiteral) ?? []);
  return (first ? [first, ...more] : []).flatMap((literal) => unquote(textOf(query, literal)) ?? []);
}

function termOfRegexp(regexp: string): Term | undefined {
  const caseless = regexp.startsWith('(?i)');
  const rest = caseless ? regexp.slice(4) : regexp;
  if (rest === '') return undefined;
  const literal = literalOf(rest);
  return { text: literal ?? rest, regexp: literal === undefined, caseless };
}
