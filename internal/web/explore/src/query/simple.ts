/**
 * Queries for users who write no LogQL: labels with their values, texts to find, levels. Pure.
 *
 * Guarantee: what `parseSimple` gives says all that the query says, and `printSimple` writes a query of that meaning.
 * A query that says more is not simple, and undefined.
 */
import { Expr, Filter, FilterOp, LabelFilter, LineFilter, LineFilters, LogExpr, Matcher } from '@grafana/lezer-logql';
import type { SyntaxNode } from '@lezer/common';

import { lineFilterTexts } from './read';
import { alternativesOf, literalOf, quote, quoteMeta } from './strings';
import { all, comparison, hasComment, matchers, parse, sources, textOf, type Comparison, type Source } from './syntax';

export interface Choice {
  name: string;
  /** One of these, or (negated) none of them. Without any: whatever has the label. */
  values: string[];
  negate: boolean;
}

export interface Sought {
  text: string;
  exclude: boolean;
  caseless: boolean;
}

export interface Simple {
  labels: Choice[];
  texts: Sought[];
  levels: string[];
}

/** Where Loki writes the level that it has found in a line. */
const levelField = 'detected_level';

export const levels = ['critical', 'error', 'warn', 'info', 'debug', 'trace', 'unknown'];

export function parseSimple(query: string): Simple | undefined {
  if (query.trim() === '') return { labels: [], texts: [], levels: [] };
  const top = parse(query);
  const [source, ...others] = sources(query);
  const expression = top.getChild(Expr)?.getChild(LogExpr);
  if (!source || others.length > 0 || !expression || source.node.from !== expression.from) return undefined;
  if (hasComment(query) || isBroken(query, top, source)) return undefined;
  const labels = choicesOf(query, source.selector);
  const simple: Simple = { labels: labels ?? [], texts: [], levels: [] };
  const known = source.stages.every((stage) => readStage(query, stage, simple));
  return labels && known ? simple : undefined;
}

/** Whether there is anything that is no LogQL; the grammar takes an empty selector for that. */
function isBroken(query: string, top: SyntaxNode, { selector, end }: Source): boolean {
  const empty = /^\{\s*\}$/.test(query.slice(selector.from, end));
  let broken = false;
  top.cursor().iterate((at) => {
    const within = at.from >= selector.from && at.to <= end;
    if (at.type.isError && !(empty && within)) broken = true;
  });
  return broken;
}

function choicesOf(query: string, selector: SyntaxNode): Choice[] | undefined {
  const found = matchers(query, selector);
  if (found.length !== all(selector, Matcher).length) return undefined;
  const choices: Choice[] = [];
  for (const matcher of found) {
    const choice = choiceOf(matcher);
    if (!choice) return undefined;
    const same = choices.find(({ name }) => name === choice.name);
    if (!same) choices.push(choice);
    else if (same.negate && choice.negate) same.values.push(...choice.values.filter((v) => !same.values.includes(v)));
    else return undefined; // both are to hold, which is more than a choice
  }
  return choices;
}

function choiceOf({ name, op, value }: Comparison): Choice | undefined {
  const negate = op.startsWith('!');
  if (!op.endsWith('~')) return { name, values: [value], negate };
  if (value === '.+' && !negate) return { name, values: [], negate };
  const values = alternativesOf(value);
  return values && { name, values: [...new Set(values)], negate };
}

function readStage(query: string, stage: SyntaxNode, into: Simple): boolean {
  const filters = stage.getChild(LineFilters);
  if (filters) return all(filters, LineFilter).every((filter) => readLineFilter(query, filter, into));
  const matcher = stage.getChild(LabelFilter)?.getChild(Matcher);
  const compared = matcher && comparison(query, matcher);
  const choice = compared && choiceOf(compared);
  if (choice?.name !== levelField || choice.negate || choice.values.length === 0 || into.levels.length > 0) return false;
  into.levels = choice.values;
  return true;
}

function readLineFilter(query: string, filter: SyntaxNode, into: Simple): boolean {
  const op = filter.getChild(Filter);
  const [text, ...others] = lineFilterTexts(query, filter);
  if (!op || !text || others.length > 0 || filter.getChild(FilterOp)) return false;
  const exclude = textOf(query, op).startsWith('!');
  switch (textOf(query, op)) {
    case '|=':
    case '!=':
      into.texts.push({ text, exclude, caseless: false });
      return true;
    case '|~':
    case '!~': {
      const caseless = text.startsWith('(?i)');
      const literal = literalOf(caseless ? text.slice(4) : text);
      if (literal) into.texts.push({ text: literal, exclude, caseless });
      return literal !== undefined && literal !== '';
    }
    default:
      return false;
  }
}

export function printSimple({ labels, texts, levels: chosen }: Simple): string {
  const selector = `{${labels.map(printChoice).join(', ')}}`;
  const filters = texts.filter(({ text }) => text !== '').map(printSought);
  const level = chosen.length > 0 ? [`| ${printChoice({ name: levelField, values: chosen, negate: false })}`] : [];
  return [selector, ...filters, ...level].join(' ');
}

function printChoice({ name, values, negate }: Choice): string {
  const [first, ...others] = values;
  if (first === undefined) return `${name}=~".+"`;
  if (others.length === 0) return `${name}${negate ? '!=' : '='}${quote(first)}`;
  return `${name}${negate ? '!~' : '=~'}${quote(values.map(quoteMeta).join('|'))}`;
}

function printSought({ text, exclude, caseless }: Sought): string {
  if (!caseless) return `${exclude ? '!=' : '|='} ${quote(text)}`;
  return `${exclude ? '!~' : '|~'} ${quote(`(?i)${quoteMeta(text)}`)}`;
}

/** The selector of all choices but one: what the values of that one are looked for in. */
export function selectorWithout({ labels }: Simple, name: string): string {
  return printSimple({ labels: labels.filter((choice) => choice.name !== name), texts: [], levels: [] });
}
