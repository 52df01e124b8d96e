import type { Me } from '@logfence/client';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { needsSignIn } from '../advice';
import type { Client, Failure, Line, OnFilter, View } from '../model';
import { addFilter, addPattern, recentQueries } from '../query';
import { nameOf } from '../results/mark';
import { Header } from './Header';
import { Palette, type Command } from './Palette';
import { Panels, type Panel } from './Panels';
import { QueryBar } from './QueryBar';
import { described, isoOf, moved, relative, spanOf } from './range';
import { useRefresh } from './refresh';
import { Results } from './Results';
import { useSearch, type Search } from './search';
import type { Session } from './session';
import { shortcuts, ShortcutsDialog, useShortcuts, type Shortcut } from './Shortcuts';
import { Toolbar, type Opened } from './Toolbar';
import { useView } from './useView';
import { searchOf } from './view';

export interface ExploreProps {
  /** A client for one tenant, or for all of them. */
  connect: (tenant: string | undefined) => Client;
  me: Me;
  session: Session;
  /** Grows each time the user signs in again. */
  signIns: number;
  onGrant: (name: string) => void;
  onSignIn: () => void;
  onSignOut: () => void;
}

/** The page of a user who is signed in. */
export function Explore({ connect, me, session, signIns, onGrant, onSignIn, onSignOut }: ExploreProps) {
  const state = useView();
  const { view, draft, followed, run, look } = state;
  const live = followed !== undefined;
  const [panel, setPanel] = useState<Panel>();
  const [opened, setOpened] = useState<Opened>();
  const [dialog, setDialog] = useState<'help' | 'palette'>();
  const [every, setEvery] = useState(0);
  const main = useRef<HTMLElement>(null);
  const client = useMemo(() => connect(view.tenant), [view.tenant]);
  const search = useSearch(client, me.limits);
  const failed = failureIn(search) !== undefined;
  const ran = search.result?.request.query ?? view.query;

  const submit = (): void => state.submit(live);
  /** Back to the lines of a range: those of the query that was followed. */
  const stop = (): void => (search.result?.request.query === followed ? state.unfollow() : run());
  useEffect(() => search.run(view), [state.runs]);
  useRefresh(every, view, live || failed || waits(search), () => search.run(view, true));
  useSignInAgain(signIns, search, () => search.run(view, true));

  const span = () => spanOf(view.from, view.to, Date.now()) ?? { start: '0', end: '0' };
  const shift = (by: -1 | 0 | 1): void => run(moved(span(), by));
  const toggle = (name: Panel): void => setPanel(panel === name ? undefined : name);
  const filter: OnFilter = (...args) => state.narrow(followed ?? ran, (query) => addFilter(query, ...args));
  const actions: Record<Shortcut, () => boolean | void> = {
    'Ctrl+Enter': submit,
    '/': () => focusEditor(main.current),
    T: () => setOpened('range'),
    D: () => setOpened('display'),
    J: () => focusLine(main.current),
    K: () => focusLine(main.current),
    'Ctrl+K': () => setDialog('palette'),
    '[': () => shift(-1),
    ']': () => shift(1),
    '-': () => shift(0),
    R: () => run(),
    L: () => (live ? stop() : state.submit(true)),
    W: () => look({ wrap: !view.wrap }),
    U: () => look({ zone: view.zone === 'utc' ? 'local' : 'utc' }),
    B: () => toggle('labels'),
    F: () => toggle('fields'),
    P: () => toggle('patterns'),
    H: () => toggle('history'),
    Esc: () => {
      if (waits(search)) search.cancel();
      else if (panel) setPanel(undefined);
      else return false;
      return true;
    },
    '?': () => setDialog('help'),
  };
  useShortcuts((keys) => actions[keys]() !== false);

  /** What the palette offers: all shortcuts, ranges, tenants, and queries that were run. */
  const commands = (): Command[] => [
    ...shortcuts
      .filter(({ keys }) => keys !== 'Ctrl+K' && keys !== 'Esc')
      .map(({ keys, does }) => ({ name: does, keys, run: () => void actions[keys]() })),
    ...relative.map((from) => ({ name: `Time range: ${described(from, 'now', view.zone)}`, run: () => run({ from, to: 'now' }) })),
    ...(me.tenants.length > 1 ? [undefined, ...me.tenants] : []).map((tenant) => ({
      name: `Tenant: ${tenant ?? 'all'}`,
      run: () => run({ tenant }),
    })),
    { name: 'Sign out', run: onSignOut },
    ...recentQueries().map((query) => ({ name: `Query: ${query}`, run: () => state.runQuery(query) })),
  ];

  const expires = session.renews() ? undefined : Date.parse(me.expires_at);
  return (
    <div class="a-page">
      <Header
        me={me}
        name={session.name}
        tenant={view.tenant}
        expires={expires}
        onTenant={(tenant) => run({ tenant })}
        onGrant={onGrant}
        onSignIn={onSignIn}
        onSignOut={onSignOut}
        onHelp={() => setDialog('help')}
      />
      <main class="a-main" ref={main}>
        <QueryBar
          draft={draft}
          notice={state.notice}
          zone={view.zone}
          client={client}
          span={span}
          search={search}
          onChange={state.setDraft}
          onRun={submit}
        />
        <Toolbar
          view={view}
          panel={panel}
          onPanel={toggle}
          live={live}
          every={every}
          client={client}
          request={search.result?.kind === 'lines' ? search.result.request : undefined}
          lines={search.result?.kind === 'lines' ? search.result.lines : noLines}
          mostLines={me.limits.max_lines}
          mostExported={me.limits.max_export_lines}
          open={opened}
          onOpen={setOpened}
          onChange={run}
          onLook={look}
          onLive={() => actions.L()}
          onEvery={setEvery}
        />
        <Problems problems={state.problems} onDismiss={state.dismiss} />
        <div class="a-work">
          <Panels
            panel={panel}
            onClose={() => setPanel(undefined)}
            query={draft}
            ran={ran}
            client={client}
            span={span}
            ranSpan={search.result?.request.span}
            onChange={state.setDraft}
            onRun={() => state.submit(false)}
            onQuery={state.runQuery}
            onPattern={(...pattern) => state.narrow(ran, (query) => addPattern(query, ...pattern))}
            onFilter={filter}
          />
          <Results
            view={view}
            followed={followed}
            client={client}
            search={search}
            expires={expires}
            signIns={signIns}
            tenants={me.tenants}
            onFilter={filter}
            onZoom={({ start, end }) => run({ from: isoOf(start), to: isoOf(end) })}
            onRange={(from, to) => run({ from, to })}
            onRetry={() => run()}
            onInstant={(instant) => run({ instant })}
            linkTo={(line) => linkTo(view, line)}
            onSignIn={onSignIn}
            onLabels={() => setPanel('labels')}
            onChooseRange={() => setOpened('range')}
            onStop={stop}
          />
        </div>
      </main>
      {dialog === 'help' && <ShortcutsDialog onClose={() => setDialog(undefined)} />}
      {dialog === 'palette' && <Palette commands={commands()} onClose={() => setDialog(undefined)} />}
    </div>
  );
}

/** Parts of the URL that could not be read, until the user dismisses them. */
function Problems({ problems, onDismiss }: { problems: string[]; onDismiss: () => void }) {
  if (problems.length === 0) return null;
  return (
    <div class="a-unread" role="alert">
      <span>The address of this page: {problems.join(' ')}</span>
      <button type="button" class="a-small" onClick={onDismiss}>
        Dismiss
      </button>
    </div>
  );
}

function failureIn({ result }: Search): Failure | undefined {
  return result?.kind === 'failed' || result?.kind === 'lines' ? result.failure : undefined;
}

/** Whether something is in flight, or waits for the user's consent. */
function waits({ running, reading, pending }: Search): boolean {
  return running !== undefined || reading !== undefined || pending !== undefined;
}

/** Sends what failed for want of a valid token once more after the user has signed in again. */
function useSignInAgain(signIns: number, search: Search, rerun: () => void): void {
  const seen = useRef(signIns);
  useEffect(() => {
    if (seen.current === signIns) return;
    seen.current = signIns;
    const failure = failureIn(search);
    if (!failure || !needsSignIn(failure)) return;
    if (search.result?.kind === 'lines') void search.loadMore();
    else rerun();
  }, [signIns]);
}

const fiveMinutes = 300_000_000_000n;

/** The address at which a line is among those of some minutes around it, opened and marked. */
function linkTo(view: View, line: Line): string {
  const [from, to] = [-fiveMinutes, fiveMinutes].map((more) => isoOf(BigInt(line.ns) + more));
  const at = searchOf({ ...view, from: from ?? '', to: to ?? '', direction: 'backward', line: nameOf(line) });
  return `${location.origin}${location.pathname}${at}`;
}

const noLines: Line[] = [];

/** Puts the focus on the list's current line, the first that is seen; the list has keys of its own from there on. */
function focusLine(main: HTMLElement | null): boolean {
  const line = main?.querySelector<HTMLElement>('.r-scroller [data-key][tabindex="0"]');
  line?.focus({ preventScroll: true });
  return line !== undefined && line !== null;
}

/** Puts the focus into the editor: into its shadow root, or the field that stands in for it. */
function focusEditor(main: HTMLElement | null): void {
  const bar = main?.querySelector('.a-querybar');
  const host = [...(bar?.querySelectorAll('*') ?? [])].find((e) => e.shadowRoot);
  (host?.shadowRoot?.querySelector<HTMLElement>('[contenteditable=true]') ?? bar?.querySelector('textarea'))?.focus();
}
