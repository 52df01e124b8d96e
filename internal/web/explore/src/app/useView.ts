// What is shown, what is being typed, and the history of the browser.
import { useEffect, useRef, useState } from 'preact/hooks';

import type { View } from '../model';
import { prepare } from './draft';
import { readView, searchOf } from './view';

/** Something to say about the query: why it was not run, or how it was read. */
export type Notice = { kind: 'problem' | 'note'; text: string };

export interface ViewState {
  /** What was run last. Everything but the editor acts on this. */
  view: View;
  /** The text in the editor, which nothing runs but the user. */
  draft: string;
  setDraft: (text: string) => void;
  notice: Notice | undefined;
  /** Parts of the URL that could not be read. */
  problems: string[];
  dismiss: () => void;
  /** The query that is followed live. */
  followed: string | undefined;
  /** Grows with each run. */
  runs: number;
  /** Runs what was run before, with changes; the editor keeps its text. */
  run: (change?: Partial<View>) => void;
  /** Runs another query, which replaces the text in the editor. */
  runQuery: (query: string) => void;
  /** Changes the query that was run, and the text in the editor alike. */
  narrow: (ran: string, change: (query: string) => string) => void;
  /** Runs the text in the editor, or follows it live. */
  submit: (live: boolean) => void;
  /** Ends following. */
  unfollow: () => void;
  /** Changes how results are shown; sends no request. */
  look: (change: Partial<View>) => void;
}

export function useView(): ViewState {
  const [first] = useState(() => readView(location.search));
  const [view, setView] = useState(first.view);
  const [problems, setProblems] = useState(first.problems);
  const [draft, setText] = useState(view.query);
  const [notice, setNotice] = useState<Notice>();
  const [followed, setFollowed] = useState<string>();
  const [runs, setRuns] = useState(0);

  /** Shows a view: an entry of its own in the browser's history, unless it is the same. */
  const show = (next: View): void => {
    setView(next);
    setFollowed(undefined);
    const url = searchOf(next);
    if (url !== location.search) history.pushState(null, '', url);
  };
  const run = (change: Partial<View> = {}): void => {
    const next = { ...view, ...change };
    if ('tenant' in change && change.tenant === undefined) delete next.tenant;
    if (!('line' in change)) delete next.line; // a link's line is of what the link opened
    show(next);
    setRuns((n) => n + 1);
  };
  const setDraft = (text: string): void => {
    setText(text);
    setNotice(undefined);
  };
  const latest = useRef(view);
  latest.current = view;
  useEffect(() => {
    history.replaceState(null, '', searchOf(latest.current));
    const back = (): void => {
      const { view: next, problems: unread } = readView(location.search);
      setView(next);
      setDraft(next.query);
      setProblems(unread);
      setFollowed(undefined);
      setRuns((n) => n + 1);
    };
    addEventListener('popstate', back);
    return () => removeEventListener('popstate', back);
  }, []);

  return {
    view,
    draft,
    setDraft,
    notice,
    problems,
    dismiss: () => setProblems([]),
    followed,
    runs,
    run,
    runQuery: (query) => {
      setDraft(query);
      run({ query });
    },
    narrow: (ran, change) => {
      const query = change(ran);
      setDraft(draft === ran ? query : change(draft));
      if (followed === undefined) return run({ query });
      show(withoutLine({ ...view, query }));
      setFollowed(query);
    },
    submit: (live) => {
      const prepared = prepare(draft);
      if ('problem' in prepared) return setNotice({ kind: 'problem', text: prepared.problem });
      const { query, note } = prepared;
      setDraft(query);
      if (note) setNotice({ kind: 'note', text: note });
      if (!live) return run({ query });
      show(withoutLine({ ...view, query }));
      setFollowed(query);
    },
    unfollow: () => setFollowed(undefined),
    look: (change) => {
      setView({ ...view, ...change });
      history.replaceState(null, '', searchOf({ ...readView(location.search).view, ...change }));
    },
  };
}

function withoutLine({ line: _, ...view }: View): View {
  return view;
}
