/**
 * Changes to the text of a query. Only what has to change does: layout and comments stay.
 *
 * Guarantee: a valid query stays valid, and selects nothing that it did not select before. A metric query may have
 * several selectors: each of them is narrowed, since a ratio of which one leg is narrowed says nothing.
 */
import {
  DropLabelsExpr,
  DecolorizeExpr,
  Filter,
  FilterOp,
  Json,
  KeepLabelsExpr,
  LabelFilter,
  LabelParser,
  LineFilter,
  LineFilters,
  LineFormatExpr,
  Logfmt,
  LogfmtParser,
  Matcher,
  Range,
  UnwrapExpr,
} from '@grafana/lezer-logql';
import type { SyntaxNode } from '@lezer/common';

import type { Origin } from '../model';
import { lineFilterTexts } from './read';
import { quote, quoteMeta } from './strings';
import { all, comparison, matchers, sources, textOf, type Comparison, type Source } from './syntax';

/** A text in place of another. */
interface Change {
  from: number;
  to: number;
  text: string;
}

export type LineFilterOp = '|=' | '!=' | '|~' | '!~' | '|>' | '!>';

/**
 * The query, narrowed to lines with (or, negated, without) a label or field of this value: a label of the stream
 * becomes a matcher, anything else a label filter, with the parser before it where the page found the field by itself.
 * The same filter is not added twice, and its opposite makes way for it. Without an origin a name is a stream's label
 * where the query matches it already.
 */
export function addFilter(query: string, name: string, value: string, negate: boolean, origin?: Origin): string {
  const found = sources(query);
  const known = found.some((source) => matchers(query, source.selector).some((matcher) => matcher.name === name));
  const from = origin ?? (known ? 'stream' : 'parsed');
  if (query.trim() === '') return addFilter('{}', name, value, negate, from);
  const wanted = { name, op: negate ? ('!=' as const) : ('=' as const), value };
  return apply(
    query,
    found.map((source) =>
      from === 'stream' && isWritable(name) ? matcherChange(query, source, wanted) : labelFilterChange(query, source, wanted, from),
    ),
  );
}

/** The query, narrowed to lines that contain the text, or as `op` says. It goes before what costs more. */
export function addLineFilter(query: string, text: string, op: LineFilterOp = '|='): string {
  if (text === '') return query;
  if (query.trim() === '') return addLineFilter('{}', text, op);
  return apply(
    query,
    sources(query).map((source) => lineFilterChange(query, source, text, op)),
  );
}

/**
 * The query, narrowed to lines of a pattern that Loki found (or, negated, for others). Loki's pattern filter takes
 * neither named captures, which a part of a line in angle brackets looks like, nor `<_>` alone or twice in a row.
 */
export function addPattern(query: string, pattern: string, negate = false): string {
  const text = pattern.replace(/(?:<_>){2,}/g, '<_>');
  if (text === '' || text === '<_>') return query;
  if (!/<[a-zA-Z][a-zA-Z0-9_]*>/.test(text)) return addLineFilter(query, text, negate ? '!>' : '|>');
  // Like a pattern, which is about all of a line.
  const regexp = `(?s)^${text.split('<_>').map(quoteMeta).join('.*')}$`;
  return addLineFilter(query, regexp, negate ? '!~' : '|~');
}

type Wanted = Pick<Comparison, 'name' | 'op' | 'value'>;

function matcherChange(query: string, { selector }: Source, wanted: Wanted): Change | undefined {
  const existing = matchers(query, selector);
  const change = inPlace(existing, wanted);
  if (change !== 'add') return change;
  const last = existing.at(-1);
  const text = print(wanted);
  if (last) return { from: last.node.to, to: last.node.to, text: `, ${text}` };
  return { from: selector.from + 1, to: selector.from + 1, text };
}

/** What becomes of a comparison that is there already; `add` where there is none. */
function inPlace(existing: Comparison[], wanted: Wanted): Change | undefined | 'add' {
  const same = existing.filter(({ name, value }) => name === wanted.name && value === wanted.value);
  if (same.some(({ op }) => op === wanted.op)) return undefined;
  const opposite = same.find(({ op }) => op === (wanted.op === '=' ? '!=' : '='));
  if (!opposite) return 'add';
  const op = opposite.node.firstChild?.nextSibling;
  return op ? { from: op.from, to: op.to, text: wanted.op } : undefined;
}

function labelFilterChange(query: string, source: Source, given: Wanted, origin: Origin): Change | undefined {
  const alias = aliasOf(given.name, origin);
  const wanted = { ...given, name: alias?.name ?? given.name };
  const change = inPlace(labelFilters(query, source.stages), wanted);
  if (change !== 'add') return change;
  const parser = origin === 'json' || origin === 'logfmt' ? origin : undefined;
  const missing = parser && !source.stages.some((stage) => isParser(stage, parser));
  const text = [missing && `| ${parser}`, alias?.stage, `| ${print(wanted)}`].filter(Boolean).join(' ');
  // A parser has to come before the line is written anew; a filter, before labels are dropped.
  const formatted = missing ? source.stages.findIndex((stage) => has(stage, [LineFormatExpr])) : -1;
  return insertStage(source, formatted >= 0 ? formatted : beforeShaping(source.stages), text);
}

/** Comparisons that are a stage of their own: within an `or` they mean something else. */
function labelFilters(query: string, stages: SyntaxNode[]): Comparison[] {
  return stages.flatMap((stage) => {
    const matcher = stage.getChild(LabelFilter)?.getChild(Matcher);
    return (matcher && comparison(query, matcher)) ?? [];
  });
}

/** What changes how a line is shown, and makes no label. */
const shaping = [LineFormatExpr, DropLabelsExpr, KeepLabelsExpr, DecolorizeExpr];

function beforeShaping(stages: SyntaxNode[]): number {
  let index = stages.length;
  for (let last = stages[index - 1]; last && has(last, shaping); last = stages[index - 1]) index--;
  return index;
}

function has(stage: SyntaxNode, types: number[]): boolean {
  return types.some((type) => stage.getChild(type) !== null);
}

/** Whether a stage reads all fields of a format: one with expressions reads those alone. */
function isParser(stage: SyntaxNode, format: 'json' | 'logfmt'): boolean {
  if (format === 'logfmt') return stage.getChild(LogfmtParser)?.getChild(Logfmt) != null;
  return stage.getChild(LabelParser)?.getChild(Json) != null;
}

function lineFilterChange(query: string, source: Source, text: string, op: LineFilterOp): Change | undefined {
  const leading = source.stages[0]?.getChild(LineFilters);
  const existing = leading ? all(leading, LineFilter) : [];
  for (const filter of existing) {
    const its = filter.getChild(Filter);
    const texts = lineFilterTexts(query, filter);
    if (!its || filter.getChild(FilterOp) || texts.length !== 1 || texts[0] !== text) continue;
    if (textOf(query, its) === op) return undefined;
    if (textOf(query, its) === opposites[op]) return { from: its.from, to: its.to, text: op };
  }
  return insertStage(source, leading ? 1 : 0, `${op} ${quote(text)}`);
}

const opposites: Record<LineFilterOp, LineFilterOp> = {
  '|=': '!=',
  '!=': '|=',
  '|~': '!~',
  '!~': '|~',
  '|>': '!>',
  '!>': '|>',
};

/** Puts a stage before the one with this index, or behind the last. */
function insertStage({ node, end, stages }: Source, index: number, text: string): Change {
  const previous = stages[index - 1];
  const next = stages[index];
  if (previous) return { from: previous.to, to: previous.to, text: ` ${text}` };
  if (next) return { from: next.from, to: next.from, text: `${text} ` };
  // Where a range precedes the unwrap, stages are between them.
  const range = node.getChild(Range);
  const unwrap = node.getChild(UnwrapExpr);
  if (range && unwrap && range.from < unwrap.from) return { from: unwrap.from, to: unwrap.from, text: `${text} ` };
  const gap = range?.from === end ? ' ' : '';
  return { from: end, to: end, text: ` ${text}${gap}` };
}

/** Words that Loki's grammar takes for something else wherever they stand. */
const reserved = new Set(
  (
    'and bool by decolorize drop group_left group_right ignoring json keep label_format line_format logfmt ' +
    'of offset on or pattern regexp unless unpack unwrap variants without'
  ).split(' '),
);

/** Whether LogQL can name a label so. */
function isWritable(name: string): boolean {
  return /^[\p{L}_][\p{L}\p{Nd}_]*$/u.test(name) && !reserved.has(name);
}

/** A name to compare in place of one that LogQL cannot write; templates can. */
function aliasOf(name: string, origin: Origin): { name: string; stage?: string } | undefined {
  if (isWritable(name)) return undefined;
  let plain = name.replace(/[^\p{L}\p{Nd}_]/gu, '_').replace(/^\p{Nd}/u, '_$&');
  // Loki's parsers name fields so by themselves.
  if ((origin === 'json' || origin === 'logfmt') && isWritable(plain)) return { name: plain };
  if (!isWritable(plain) || plain === name) plain = `${plain}_`;
  const template = `{{ index . ${JSON.stringify(name)} }}`;
  return { name: plain, stage: `| label_format ${plain}=${quote(template)}` };
}

function print({ name, op, value }: Wanted): string {
  return `${name}${op}${quote(value)}`;
}

function apply(query: string, changes: (Change | undefined)[]): string {
  return changes
    .filter((change) => change !== undefined)
    .sort((a, b) => b.from - a.from)
    .reduce((text, { from, to, text: inserted }) => text.slice(0, from) + inserted + text.slice(to), query);
}
