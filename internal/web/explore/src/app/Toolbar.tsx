import type { Client, Line, View } from '../model';
import { ExportButton } from '../results';
import { Display } from './Display';
import type { SearchRequest } from './runQuery';
import type { Panel } from './Panels';
import { panels } from './Panels';
import { isRelative } from './range';
import { Range } from './Range';

export type Opened = 'range' | 'display';

export interface ToolbarProps {
  view: View;
  client: Client;
  panel: Panel | undefined;
  onPanel: (panel: Panel) => void;
  live: boolean;
  /** Refreshed every so many seconds; 0 is never. */
  every: number;
  /** The lines that are shown, which may be exported. */
  request: SearchRequest | undefined;
  lines: readonly Line[];
  mostLines: number;
  mostExported: number;
  /** What is open under its button. */
  open: Opened | undefined;
  onOpen: (open: Opened | undefined) => void;
  /** Changes the request, and runs it. */
  onChange: (change: Partial<View>) => void;
  /** Changes how it looks. */
  onLook: (change: Partial<View>) => void;
  onLive: () => void;
  onEvery: (seconds: number) => void;
}

const intervals = [
  [0, 'No refresh'],
  [5, 'Every 5 s'],
  [15, 'Every 15 s'],
  [60, 'Every 1 min'],
  [300, 'Every 5 min'],
] as const;

/** The request, and how its result is shown: what is used most comes first. */
export function Toolbar(props: ToolbarProps) {
  const { view, client, panel, onPanel, live, every, request, onChange, onLook } = props;
  return (
    <div class="a-toolbar" role="toolbar" aria-label="View">
      <Range
        from={view.from}
        to={view.to}
        zone={view.zone}
        onChange={(from, to) => onChange({ from, to })}
        onZone={(zone) => onLook({ zone })}
        open={props.open === 'range'}
        onOpen={(open) => props.onOpen(open ? 'range' : undefined)}
      />
      <button type="button" class="a-live" aria-pressed={live} title="Live tail  L" onClick={props.onLive}>
        Live
      </button>
      <select
        aria-label="Refresh"
        title="Refresh automatically while the range ends now"
        value={every}
        disabled={!isRelative(view.to) || live}
        onChange={(e) => props.onEvery(Number(e.currentTarget.value))}
      >
        {intervals.map(([seconds, text]) => (
          <option key={seconds} value={seconds}>
            {text}
          </option>
        ))}
      </select>
      <div class="a-group a-panel-buttons">
        {panels.map(({ name, title, key }) => (
          <button key={name} type="button" aria-pressed={panel === name} title={`${title}  ${key}`} onClick={() => onPanel(name)}>
            {title}
          </button>
        ))}
      </div>
      <div class="a-view-buttons">
        <Display
          view={view}
          lines={props.lines}
          mostLines={props.mostLines}
          open={props.open === 'display'}
          onOpen={(open) => props.onOpen(open ? 'display' : undefined)}
          onChange={onChange}
          onLook={onLook}
        />
        {request && !live && <ExportButton query={request.query} client={client} span={request.span} limit={props.mostExported} />}
      </div>
    </div>
  );
}
