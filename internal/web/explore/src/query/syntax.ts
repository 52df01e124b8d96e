/** LogQL's tree, as the pure functions of this folder see it. */
import {
  Expr,
  LogExpr,
  LogRangeExpr,
  Matcher,
  Matchers,
  MetricExpr,
  parser,
  PipelineExpr,
  PipelineStage,
  Selector,
  String as StringLiteral,
} from '@grafana/lezer-logql';
import type { SyntaxNode } from '@lezer/common';

import { unquote } from './strings';

export type Op = '=' | '!=' | '=~' | '!~';

/** One comparison of a label, in a selector or behind a `|`. */
export interface Comparison {
  name: string;
  op: Op;
  value: string;
  node: SyntaxNode;
}

/** A selector with what is done to its lines. */
export interface Source {
  /** From the selector to the end of what belongs to it, a range included. */
  node: SyntaxNode;
  selector: SyntaxNode;
  /** Behind the selector's brace: the grammar knows no `{}`, and lets it end anywhere. */
  end: number;
  stages: SyntaxNode[];
}

/**
 * The tree of a query. The grammar is narrower than Loki's lexer, which knows Go's comments too, functions in any case,
 * and letters of any script: these are put in its words first, in a text of the same length, so that places stay.
 */
export function parse(query: string): SyntaxNode {
  return parser.parse(plain(query)).topNode;
}

const piece = /("(?:[^"\\\n]|\\.)*"|`[^`]*`)|(#[^\n]*|\/\/[^\n]*|\/\*[^]*?\*\/)|\d[\w.]*|([\p{L}_][\p{L}\p{Nd}_]*)/gu;

function plain(query: string): string {
  return query.replace(piece, (all, literal?: string, comment?: string, word?: string) => {
    if (comment) return ' '.repeat(all.length);
    return word && !literal ? word.replace(/[^\w]/g, 'x').toLowerCase() : all;
  });
}

export function hasComment(query: string): boolean {
  return [...query.matchAll(piece)].some(([, , comment]) => comment !== undefined);
}

/** All nodes of a type below this one, in the order of the text. */
export function all(node: SyntaxNode, type: number): SyntaxNode[] {
  const found: SyntaxNode[] = [];
  node.cursor().iterate((at) => {
    if (at.type.id === type) found.push(at.node);
  });
  return found;
}

/** Every selector of a query with its pipeline: several in a metric query of several legs. */
export function sources(query: string): Source[] {
  return all(parse(query), Selector).flatMap((selector) => {
    const node = selector.parent;
    if (!node || (node.type.id !== LogExpr && node.type.id !== LogRangeExpr)) return [];
    const pipeline = node.getChild(PipelineExpr);
    const brace = selector.getChild(Matchers) ? -1 : plain(query).indexOf('}', selector.from);
    const end = brace < 0 ? selector.to : brace + 1;
    return [{ node, selector, end, stages: pipeline ? all(pipeline, PipelineStage) : [] }];
  });
}

export function isMetricTree(top: SyntaxNode): boolean {
  return top.getChild(Expr)?.getChild(MetricExpr) !== null && top.getChild(Expr) !== null;
}

/** What a `Matcher` compares; undefined where it is not complete. */
export function comparison(query: string, node: SyntaxNode): Comparison | undefined {
  const literal = node.getChild(StringLiteral);
  const value = literal && unquote(query.slice(literal.from, literal.to));
  const name = node.firstChild;
  const op = name?.nextSibling && query.slice(name.nextSibling.from, name.nextSibling.to);
  if (value == null || !name || name.type.isError || !isOp(op)) return undefined;
  return { name: query.slice(name.from, name.to), op, value, node };
}

/** The complete comparisons within a selector. */
export function matchers(query: string, selector: SyntaxNode): Comparison[] {
  return all(selector, Matcher).flatMap((node) => comparison(query, node) ?? []);
}

export function textOf(query: string, node: SyntaxNode): string {
  return query.slice(node.from, node.to);
}

function isOp(text: unknown): text is Op {
  return text === '=' || text === '!=' || text === '=~' || text === '!~';
}
