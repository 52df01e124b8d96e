/** Completion: what `contextAt` says may stand at a place, filled with what the server knows. Part of the lazy chunk. */
import { startCompletion, type Completion, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import type { EditorView } from '@codemirror/view';
import type { Field } from '@logfence/client';

import { contextAt, type Context } from './context';
import type { Lookup } from './lookup';
import { streamSelector } from './read';
import { quote, quoteMeta, splitAlternatives, unquote } from './strings';
import { sources } from './syntax';
import * as words from './words';

type Of<K extends Context['kind']> = Context & { kind: K };

export async function complete(at: CompletionContext, known: Lookup): Promise<CompletionResult | null> {
  const before = at.state.sliceDoc(0, at.pos);
  const context = contextAt(before);
  if (!context) return null;
  const aborter = new AbortController();
  at.addEventListener('abort', () => aborter.abort(), { onDocChange: true });
  const options = await optionsFor(context, before, at, known, aborter.signal);
  return options.length > 0 && !at.aborted ? { from: fromOf(context, before), options, validFor: validFor(context) } : null;
}

/** Where the part of the text begins that options are compared with. */
function fromOf(context: Context, before: string): number {
  if (context.kind === 'range') return before.lastIndexOf('[') + 1;
  if (context.kind !== 'value' || !context.op.endsWith('~')) return context.from;
  return before.length - (splitAlternatives(before.slice(context.from)).at(-1)?.length ?? 0);
}

function validFor(context: Context): RegExp {
  if (context.kind === 'value') return context.op.endsWith('~') ? /^[^"`|\\]*$/ : /^[^"`\\]*$/;
  return context.kind === 'range' ? /^\w*$/ : /^[\p{L}_][\p{L}\p{N}_]*$/u;
}

async function optionsFor(
  context: Context,
  before: string,
  at: CompletionContext,
  known: Lookup,
  signal: AbortSignal,
): Promise<Completion[]> {
  const whole = at.state.doc.toString();
  const typed = before.length > context.from;
  switch (context.kind) {
    case 'expression':
      if (!typed && !at.explicit && whole.trim() !== '') return [];
      return [selector, ...words.rangeFunctions.map(word('function')), ...words.aggregations.map(word('function'))];
    case 'label':
      return (await known.labels(selectorAt(before), signal)).map(labelOption);
    case 'operator':
      return (context.of === 'label' ? words.labelOperators : words.fieldOperators).map(word('operator', true));
    case 'value':
      return valueOptions(context, before, known, signal);
    case 'stage':
      return stageOptions(context, before, at, known, signal);
    case 'field':
      return [
        ...(await known.fields(selectorAt(before), signal)).map(fieldOption),
        ...(context.unwrap ? words.conversions.map(word('function')) : []),
      ];
    case 'grouping': {
      const query = streamSelector(whole);
      const [labels, fields] = await Promise.all([known.labels(query, signal), known.fields(query, signal)]);
      return [...labels.map((label) => ({ label, type: 'label' })), ...fields.map(fieldOption)];
    }
    case 'aggregation':
      return words.groupings.map(word('keyword'));
    case 'range':
      return words.ranges.map(({ name }, i) => ({ label: name, type: 'duration', boost: -i }));
  }
}

const selector: Completion = {
  label: '{',
  displayLabel: '{label="value"}',
  detail: 'streams',
  type: 'keyword',
  boost: 90,
  apply: (view, _, from, to) => write(view, from, to, '{‸}'),
};

/** The selector that the place is in or behind, without what is not complete in it. */
function selectorAt(before: string): string {
  const last = sources(before).at(-1);
  return last ? streamSelector(before.slice(last.selector.from, last.selector.to)) : '{}';
}

async function valueOptions(context: Of<'value'>, before: string, known: Lookup, signal: AbortSignal): Promise<Completion[]> {
  const values =
    context.of === 'label'
      ? await known.labelValues(context.name, selectorAt(before.slice(0, context.from)), signal)
      : await known.fieldValues(context.name, selectorAt(before), signal);
  return values.map((value) => ({
    label: value,
    type: 'value',
    apply: (view: EditorView, _: Completion, __: number, to: number) => writeValue(view, context, value, to),
  }));
}

async function stageOptions(
  context: Of<'stage'>,
  before: string,
  at: CompletionContext,
  known: Lookup,
  signal: AbortSignal,
): Promise<Completion[]> {
  if (!context.piped) {
    // Behind a blank only: after a closing brace the query may be complete.
    if (!at.explicit && !/\s$/.test(before)) return [];
    return besidePipe(context, before, await known.fields(selectorAt(before), signal));
  }
  const fields = await known.fields(selectorAt(before), signal);
  const piped = (name: string): Completion => ({ ...word('keyword')(stageNamed(name), 0), boost: 50 });
  return [
    ...parsersOf(before, fields).map((name, i) => ({ ...piped(name), boost: 60 - i })),
    ...words.stages.filter(({ name }) => !parsers.includes(name)).map((stage, i) => ({ ...word('keyword')(stage, i), boost: 10 - i })),
    ...(context.metric ? [word('keyword')(words.unwrap, 0)] : []),
    ...fields.slice(0, mostFields).map((field, i) => ({ ...filterOf(field, before), boost: Math.max(11, 40 - i) })),
  ];
}

const parsers = ['json', 'logfmt', 'pattern', 'regexp', 'unpack'];
const mostFields = 100;

const stageNamed = (name: string): words.Word => words.stages.find((stage) => stage.name === name) ?? { name, signature: '', about: '' };

/** The parsers: those first that find fields in these lines. None where one has read the fields already. */
function parsersOf(before: string, fields: Field[]): string[] {
  if (/\|\s*(?:json|logfmt|unpack)\b/.test(before)) return [];
  const finding = (name: string): number => fields.filter((field) => field.parsers?.includes(name)).length;
  return [...parsers].sort((a, b) => finding(b) - finding(a) || parsers.indexOf(a) - parsers.indexOf(b));
}

/** What may follow a selector or a stage: a parser, a field, then a line filter. The range of a metric comes first. */
function besidePipe(context: Of<'stage'>, before: string, fields: Field[]): Completion[] {
  const range: words.Word = { name: '[', signature: '5m]', about: 'The time range of each value.', text: '[‸5m]' };
  const behind = (option: Completion, text: string, boost: number): Completion => ({
    ...option,
    label: `| ${option.label}`,
    apply: `| ${text}`,
    boost,
  });
  return [
    ...(context.metric ? [{ ...word('keyword')(range, 0), boost: 70 }] : []),
    ...parsersOf(before, fields)
      .slice(0, 2)
      .map((name, i) => behind(word('keyword')(stageNamed(name), 0), name, 60 - i)),
    ...fields.slice(0, 10).map((field, i) => behind(fieldOption(field), textOf(field, before), 40 - i)),
    ...words.lineFilters.map(word('operator', true)),
    { label: '|', displayLabel: '| …', detail: 'parse, filter, format', type: 'keyword', apply: '| ', boost: -10 },
  ];
}

/** A field, behind the parser that finds it where the query has none yet. */
function textOf({ label, parsers: finding }: Field, before: string): string {
  const parser = finding?.[0];
  return parser && !new RegExp(`\\|\\s*${parser}\\b`).test(before) ? `${parser} | ${label}` : label;
}

function filterOf(field: Field, before: string): Completion {
  return { ...fieldOption(field), apply: textOf(field, before) };
}

function labelOption(name: string): Completion {
  return {
    label: name,
    type: 'label',
    apply: (view, _, from, to) => {
      // Where it is compared already, only its name is wanted.
      const compared = /^\s*[=!]/.test(view.state.sliceDoc(to, to + 10));
      write(view, from, to, compared ? name : `${name}="‸"`);
      if (!compared) startCompletion(view);
    },
  };
}

function fieldOption({ label, type, parsers }: Field): Completion {
  return { label, type: 'field', detail: [type, ...(parsers ?? ['metadata'])].join(', ') };
}

function word(type: string, steady = false): (word: words.Word, index: number) => Completion {
  return ({ name, signature, about, text }, index) => ({
    label: name,
    type,
    ...(signature && { detail: signature.trim() }),
    ...(about && { info: about }),
    ...(steady && { boost: 20 - index }),
    apply: (view, _, from, to) => write(view, from, to, text ?? name),
  });
}

/** Writes a text in which `‸` is where the cursor goes. */
function write(view: EditorView, from: number, to: number, text: string): void {
  const cursor = text.indexOf('‸');
  replace(view, from, to, text.replace('‸', ''), cursor < 0 ? text.length : cursor);
}

function replace(view: EditorView, from: number, to: number, text: string, cursor: number): void {
  view.dispatch({
    changes: { from, to, insert: text },
    selection: { anchor: from + cursor },
    userEvent: 'input.complete',
    scrollIntoView: true,
  });
}

/** Writes a value as a literal, in place of the one that has been begun; in a regular expression, of its last part. */
function writeValue(view: EditorView, { literal, from, op }: Of<'value'>, value: string, to: number): void {
  const open = literal === undefined ? '' : view.state.sliceDoc(literal, literal + 1);
  // What is left of the literal behind the cursor; no more than a word of it, or it is another one's quote.
  const left = open && new RegExp(`^[\\w.:/-]*${open}`).exec(view.state.sliceDoc(to));
  const begun = open ? (unquote(open + view.state.sliceDoc(from, to) + open) ?? '') : '';
  const others = splitAlternatives(begun).slice(0, -1);
  const text = quote(op.endsWith('~') ? [...others, quoteMeta(value)].join('|') : value);
  replace(view, literal ?? from, to + (left ? left[0].length : 0), text, text.length);
}
