import type { Me } from '@logfence/client';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import type { Client, Line, Span, View } from '../model';
import { addFilter, addPattern } from '../query';
import { Header } from './Header';
import { Panels, type Panel } from './Panels';
import { QueryBar } from './QueryBar';
import { isoOf, moved, spanOf } from './range';
import { useRefresh } from './refresh';
import { Results } from './Results';
import { useSearch } from './search';
import type { Session } from './session';
import { ShortcutsDialog, useShortcuts, type Shortcut } from './Shortcuts';
import { Toolbar } from './Toolbar';
import { searchOf, viewOf } from './view';

export interface ExploreProps {
  /** A client for one tenant, or for all of them. */
  connect: (tenant: string | undefined) => Client;
  me: Me;
  session: Session;
  onSignIn: () => void;
  onSignOut: () => void;
}

/** The page of a user who is signed in. */
export function Explore({ connect, me, session, onSignIn, onSignOut }: ExploreProps) {
  const [view, setView] = useState<View>(() => viewOf(location.search));
  // The query that is followed live: not each letter of the one that is being written.
  const [followed, setFollowed] = useState<string>();
  const live = followed !== undefined;
  const [panel, setPanel] = useState<Panel>();
  const [rangeOpen, setRangeOpen] = useState(false);
  const [help, setHelp] = useState(false);
  const [every, setEvery] = useState(0);
  const main = useRef<HTMLElement>(null);
  const client = useMemo(() => connect(view.tenant), [view.tenant]);
  const search = useSearch(client, me.limits.max_lines);
  const failed = search.result?.kind === 'failed';

  /** Shows a view: a place in the history of its own, unless it is the same. */
  const show = (next: View): void => {
    setView(next);
    setFollowed(undefined);
    const url = searchOf(next);
    if (url !== location.search) history.pushState(null, '', url);
  };
  /** Runs whatever is in the URL when it is shown: the view itself, and what Back returns to. */
  const runs = useRef(0);
  const [runCount, setRunCount] = useState(0);
  const run = (next: View = view): void => {
    show(next);
    setRunCount(++runs.current);
  };
  const follow = (query: string): void => {
    show({ ...view, query });
    setFollowed(query);
  };
  /** Back to the lines of a range: those of the query that was followed. */
  const stop = (): void => (search.result?.request.query === followed ? setFollowed(undefined) : run());
  const go = (): void => (live ? follow(view.query) : run());
  useEffect(() => search.run(view), [runCount]);
  useEffect(() => {
    history.replaceState(null, '', searchOf(view));
    const back = (): void => {
      setView(viewOf(location.search));
      setFollowed(undefined);
      setRunCount(++runs.current);
    };
    addEventListener('popstate', back);
    return () => removeEventListener('popstate', back);
  }, []);
  /** Changes how results are shown; sends no request. */
  const look = (change: Partial<View>): void => {
    const next = { ...view, ...change };
    setView(next);
    history.replaceState(null, '', searchOf({ ...viewOf(location.search), ...change }));
  };
  useRefresh(every, view, live || failed || search.running !== undefined, () => search.run(view));

  const span = () => spanOf(view.from, view.to, Date.now()) ?? { start: '0', end: '0' };
  const shift = (by: -1 | 0 | 1): void => run({ ...view, ...moved(span(), by) });
  const toggle = (name: Panel): void => setPanel(panel === name ? undefined : name);
  const actions: Record<Shortcut, () => boolean | void> = {
    'Ctrl+Enter': () => go(),
    '/': () => focusEditor(main.current),
    T: () => setRangeOpen(true),
    '[': () => shift(-1),
    ']': () => shift(1),
    '-': () => shift(0),
    R: () => run(),
    L: () => (live ? stop() : follow(view.query)),
    W: () => look({ wrap: !view.wrap }),
    U: () => look({ zone: view.zone === 'utc' ? 'local' : 'utc' }),
    B: () => toggle('labels'),
    F: () => toggle('fields'),
    P: () => toggle('patterns'),
    H: () => toggle('history'),
    Esc: () => {
      if (search.running) search.cancel();
      else if (panel) setPanel(undefined);
      else return false;
      return true;
    },
    '?': () => setHelp(true),
  };
  useShortcuts((keys) => actions[keys]() !== false);

  const edit = (query: string): void => setView({ ...view, query });
  const ran = search.result?.request.query ?? view.query;
  return (
    <div class="a-page">
      <Header
        me={me}
        name={session.name}
        tenant={view.tenant}
        expires={session.renews() ? undefined : Date.parse(me.expires_at)}
        onTenant={(tenant) => {
          const { tenant: _, ...rest } = view;
          run(tenant === undefined ? rest : { ...rest, tenant });
        }}
        onSignIn={onSignIn}
        onSignOut={onSignOut}
        onHelp={() => setHelp(true)}
      />
      <main class="a-main" ref={main}>
        <QueryBar view={view} client={client} span={span} search={search} onChange={edit} onRun={go} />
        <Toolbar
          view={view}
          panel={panel}
          onPanel={toggle}
          live={live}
          every={every}
          client={client}
          request={search.result?.kind === 'lines' ? search.result.request : undefined}
          mostLines={me.limits.max_lines}
          mostExported={me.limits.max_export_lines}
          rangeOpen={rangeOpen}
          onRangeOpen={setRangeOpen}
          onChange={(change) => run({ ...view, ...change })}
          onLook={look}
          onLive={() => actions.L()}
          onEvery={setEvery}
        />
        <div class="a-work">
          <Panels
            panel={panel}
            onClose={() => setPanel(undefined)}
            query={view.query}
            ran={ran}
            client={client}
            span={span}
            ranSpan={search.result?.request.span}
            onChange={edit}
            onRun={() => run()}
            onQuery={(query) => run({ ...view, query })}
            onPattern={(...pattern) => run({ ...view, query: addPattern(ran, ...pattern) })}
            onFilter={(...filter) => run({ ...view, query: addFilter(ran, ...filter) })}
          />
          <Results
            view={view}
            followed={followed}
            client={client}
            search={search}
            onFilter={(...filter) => {
              if (live) follow(addFilter(followed, ...filter));
              else run({ ...view, query: addFilter(ran, ...filter) });
            }}
            onZoom={({ start, end }) => run({ ...view, from: isoOf(start), to: isoOf(end) })}
            onRange={(from, to) => run({ ...view, from, to })}
            onRetry={() => run()}
            linkTo={(line) => linkTo(view, search.result?.request.span, line)}
            onSignIn={onSignIn}
            onLabels={() => setPanel('labels')}
            onStop={stop}
          />
        </div>
      </main>
      {help && <ShortcutsDialog onClose={() => setHelp(false)} />}
    </div>
  );
}

/** The address at which a line is the first that is shown. */
function linkTo(view: View, span: Span | undefined, line: Line): string {
  const from = isoOf(span?.start ?? BigInt(line.ns) - 3_600_000_000_000n);
  const at = searchOf({ ...view, from, to: isoOf(BigInt(line.ns) + 1n), direction: 'backward' });
  return `${location.origin}${location.pathname}${at}`;
}

/** Puts the focus into the editor: into its shadow root, or the field that stands in for it. */
function focusEditor(main: HTMLElement | null): void {
  const bar = main?.querySelector('.a-querybar');
  const host = [...(bar?.querySelectorAll('*') ?? [])].find((e) => e.shadowRoot);
  (host?.shadowRoot?.querySelector<HTMLElement>('[contenteditable=true]') ?? bar?.querySelector('textarea'))?.focus();
}
