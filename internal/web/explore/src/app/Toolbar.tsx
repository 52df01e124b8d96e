import type { Client, Direction, View } from '../model';
import { ExportButton } from '../results';
import type { SearchRequest } from './runQuery';
import type { Panel } from './Panels';
import { panels } from './Panels';
import { isRelative } from './range';
import { Range } from './Range';
import { limits } from './view';

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
  mostLines: number;
  mostExported: number;
  rangeOpen: boolean;
  onRangeOpen: (open: boolean) => void;
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

/** The request, and how its result is shown. */
export function Toolbar(props: ToolbarProps) {
  const { view, client, panel, onPanel, live, every, request, mostLines, mostExported, onChange, onLook } = props;
  const choices = [...new Set([...limits, view.limit])].filter((n) => n <= mostLines).sort((a, b) => a - b);
  return (
    <div class="a-toolbar" role="toolbar" aria-label="View">
      <div class="a-group a-panel-buttons">
        {panels.map(({ name, title, key }) => (
          <button key={name} type="button" aria-pressed={panel === name} title={`${title}  ${key}`} onClick={() => onPanel(name)}>
            {title}
          </button>
        ))}
      </div>
      <Range
        from={view.from}
        to={view.to}
        zone={view.zone}
        onChange={(from, to) => onChange({ from, to })}
        onZone={(zone) => onLook({ zone })}
        open={props.rangeOpen}
        onOpen={props.onRangeOpen}
      />
      <select aria-label="Limit" value={view.limit} onChange={(e) => onChange({ limit: Number(e.currentTarget.value) })}>
        {choices.map((n) => (
          <option key={n} value={n}>
            {n} lines
          </option>
        ))}
      </select>
      <select aria-label="Order" value={view.direction} onChange={(e) => onChange({ direction: e.currentTarget.value as Direction })}>
        <option value="backward">Newest first</option>
        <option value="forward">Oldest first</option>
      </select>
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
      <button type="button" aria-pressed={view.wrap} title="Wrap long lines  W" onClick={() => onLook({ wrap: !view.wrap })}>
        Wrap
      </button>
      <span class="a-spring" />
      <button type="button" class="a-live" aria-pressed={live} title="Live tail  L" onClick={props.onLive}>
        Live
      </button>
      {request && !live && <ExportButton query={request.query} client={client} span={request.span} limit={mostExported} />}
    </div>
  );
}
