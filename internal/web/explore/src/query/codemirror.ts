/**
 * The editor itself, in a chunk of its own: CodeMirror is most of the page's script, and the page is of use without it.
 *
 * It is in a shadow root. There CodeMirror's styles are constructed sheets, which the Content-Security-Policy
 * allows; in the document they would be style elements, which it does not.
 */
import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  closeCompletion,
  completionKeymap,
  completionStatus,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, LanguageSupport, LRLanguage, syntaxHighlighting } from '@codemirror/language';
import { Annotation, EditorState, Prec, StateEffect, StateField, type Extension, type Transaction } from '@codemirror/state';
import { Decoration, drawSelection, EditorView, keymap, placeholder, tooltips, type KeyBinding } from '@codemirror/view';
import { parser } from '@grafana/lezer-logql';
import { styleTags, tags as t } from '@lezer/highlight';

import { complete } from './complete';
import type { Lookup } from './lookup';
import type { Stretch } from './place';
import { theme } from './theme';

/** What the editor needs of its owner; read anew at each use. */
export interface Owner {
  onChange(value: string): void;
  onRun(): void;
  lookup(): Lookup;
  /** The queries that were run, the last first. */
  history(): string[];
}

export interface Editor {
  setValue(value: string): void;
  setMistake(stretch: Stretch | undefined): void;
  select(stretch: Stretch): void;
  focus(): void;
  destroy(): void;
}

export interface Start {
  value: string;
  label: string;
  hint: string;
  /** Where the cursor is, where a user is typing already. */
  selection?: { anchor: number; head: number } | undefined;
}

export function createEditor(parent: HTMLElement, owner: Owner, start: Start): Editor {
  const root = parent.shadowRoot ?? parent.attachShadow({ mode: 'open' });
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: start.value,
      ...(start.selection && { selection: start.selection }),
      extensions: extensions(owner, start),
    }),
  });
  if (start.selection) view.focus();
  return {
    setValue: (value) => setValue(view, value),
    setMistake: (stretch) => view.dispatch({ effects: mark.of(stretch) }),
    select: ({ from, to }) => {
      view.dispatch({ selection: { anchor: from, head: to }, scrollIntoView: true });
      view.focus();
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}

function extensions(owner: Owner, { label, hint }: Start): Extension[] {
  return [
    history(),
    drawSelection(),
    EditorView.lineWrapping,
    placeholder(hint),
    language,
    syntaxHighlighting(colors),
    bracketMatching(),
    closeBrackets(),
    autocompletion({ override: [(at) => complete(at, owner.lookup())], icons: false, maxRenderedOptions: 100 }),
    tooltips({ position: 'fixed' }),
    mistakes,
    theme,
    replacing,
    Prec.highest(keymap.of(running(owner))),
    // Tab is not bound: it leaves the editor.
    keymap.of([...closeBracketsKeymap, ...completionKeymap, ...earlier(owner), ...defaultKeymap, ...historyKeymap]),
    EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false', autocapitalize: 'off' }),
    EditorView.updateListener.of((update) => {
      const own = update.transactions.every((transaction) => !transaction.docChanged || transaction.annotation(fromOwner));
      if (update.docChanged && !own) owner.onChange(update.state.doc.toString());
    }),
  ];
}

const running = (owner: Owner): KeyBinding[] => [
  {
    key: 'Mod-Enter',
    preventDefault: true,
    stopPropagation: true, // the page runs the query on the same keys, wherever they are pressed
    run: (view) => {
      closeCompletion(view);
      owner.onRun();
      return true;
    },
  },
  {
    key: 'Enter',
    shift: insertNewlineAndIndent,
    run: (view) => {
      // What completion offers is not taken by accident, nor the query run in its place.
      if (completionStatus(view.state) !== 'active') owner.onRun();
      return true;
    },
  },
];

/** Arrow keys leaf through earlier queries where the editor is empty, or shows one of them as it was. */
function earlier(owner: Owner): KeyBinding[] {
  let shown: string | undefined;
  const step = (by: 1 | -1) => (view: EditorView) => {
    const text = view.state.doc.toString();
    if (completionStatus(view.state) || (text !== '' && text !== shown)) return false;
    const queries = owner.history();
    const at = text === '' ? -1 : queries.indexOf(text);
    const next = at + by < 0 ? '' : queries[at + by];
    if (next === undefined || (text === '' && by < 0)) return text !== '';
    shown = next;
    view.dispatch({ changes: { from: 0, to: text.length, insert: next }, selection: { anchor: next.length } });
    return true;
  };
  return [
    { key: 'ArrowUp', run: step(1) },
    { key: 'ArrowDown', run: step(-1) },
  ];
}

/**
 * Text typed over a selection. Chromium, left to it, writes the color of what it replaces into a style attribute, which
 * the page's policy refuses, and says so on the console.
 */
const replacing = EditorView.domEventHandlers({
  beforeinput: (event, view) => {
    const { from, to, empty } = view.state.selection.main;
    const text = event.data;
    if (event.inputType !== 'insertText' || text === null || empty || view.composing) return false;
    const insert = (): Transaction => view.state.update(view.state.replaceSelection(text), { userEvent: 'input.type' });
    const taken = view.state.facet(EditorView.inputHandler).some((handler) => handler(view, from, to, text, insert));
    if (!taken) view.dispatch(insert());
    return true;
  },
});

const fromOwner = Annotation.define<true>();

/** Changes only what differs, so that the cursor and what can be undone stay. */
function setValue(view: EditorView, value: string): void {
  const old = view.state.doc.toString();
  if (old === value) return;
  const most = Math.min(old.length, value.length);
  let head = 0;
  while (head < most && old[head] === value[head]) head++;
  let tail = 0;
  while (tail < most - head && old[old.length - 1 - tail] === value[value.length - 1 - tail]) tail++;
  view.dispatch({
    changes: { from: head, to: old.length - tail, insert: value.slice(head, value.length - tail) },
    annotations: fromOwner.of(true),
  });
}

const mark = StateEffect.define<Stretch | undefined>();
const wrong = Decoration.mark({ class: 'mistake' });

const mistakes = StateField.define({
  create: () => Decoration.none,
  update: (marks, transaction) => {
    let next = marks.map(transaction.changes);
    for (const effect of transaction.effects) {
      if (!effect.is(mark)) continue;
      const from = Math.min(effect.value?.from ?? 0, transaction.newDoc.length);
      const to = Math.min(effect.value?.to ?? 0, transaction.newDoc.length);
      next = from < to ? Decoration.set(wrong.range(from, to)) : Decoration.none;
    }
    return next;
  },
  provide: (field) => EditorView.decorations.from(field),
});

const language = new LanguageSupport(
  LRLanguage.define({
    name: 'logql',
    parser: parser.configure({
      props: [
        styleTags({
          LineComment: t.lineComment,
          String: t.string,
          'Number LiteralExpr': t.number,
          'Duration Bytes': t.unit,
          'Matcher/Identifier LabelFormatMatcher/Identifier': t.attributeName,
          'Labels/Identifier GroupingLabel/LabelName/Identifier IpLabelFilter/Identifier': t.attributeName,
          'DurationFilter/Identifier BytesFilter/Identifier NumberFilter/Identifier': t.attributeName,
          'UnwrapExpr/Identifier DropLabel/Identifier KeepLabel/Identifier': t.attributeName,
          'RangeOp/... VectorOp/... ConvOp/... LabelReplace Vector': t.function(t.name),
          'Json Logfmt Unpack Pattern Regexp Unwrap LabelFormat LineFormat Decolorize Drop Keep': t.keyword,
          'By Without On Ignoring GroupLeft GroupRight Bool Offset And Or Unless Ip': t.keyword,
          'Eq Neq Re Nre Gtr Gte Lss Lte Eql Add Sub Mul Div Mod Pow Pipe': t.operator,
          'PipeExact PipeMatch PipePattern Npa': t.operator,
          ParserFlag: t.meta,
          '⚠': t.invalid,
        }),
      ],
    }),
    languageData: { commentTokens: { line: '#' }, closeBrackets: { brackets: ['(', '[', '{', '"', '`'] } },
  }),
);

const colors = HighlightStyle.define([
  { tag: t.lineComment, color: 'var(--muted)', fontStyle: 'italic' },
  { tag: t.string, color: 'var(--ok)' },
  { tag: [t.number, t.unit], color: 'var(--warn)' },
  { tag: t.attributeName, color: 'var(--info)' },
  { tag: t.function(t.name), color: 'var(--level-critical)' },
  { tag: t.keyword, color: 'var(--level-debug)' },
  { tag: t.operator, color: 'var(--muted)' },
  { tag: t.meta, color: 'var(--level-debug)' },
]);
