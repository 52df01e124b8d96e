import type { Client, Line, OnFilter, Zone } from '../model';
import { Details } from './Details';
import { levelOf } from './level';
import type { Range } from './highlights';
import { memo } from './memo';
import { Text } from './Text';
import { fullStamp, stamp } from './time';

/** What all rows of a list have in common. */
export interface Look {
  wrap: boolean;
  zone: Zone;
  digits: 3 | 9;
  mark: (text: string) => Range[];
  client: Client;
  onFilter: OnFilter;
  linkTo: ((line: Line) => string) | undefined;
}

export interface RowProps {
  line: Line;
  look: Look;
  index: number;
  /** How many rows there are; -1 where more may come. */
  total: number;
  /** Whether Tab leads here: one row of the list is. */
  current: boolean;
  open: boolean;
  onToggle: (line: Line) => void;
}

export const Row = memo(function Row({ line, look, index, total, current, open, onToggle }: RowProps) {
  const { wrap, zone, digits, mark, client, onFilter, linkTo } = look;
  const level = levelOf(line);
  const id = `r-${line.key}`;
  return (
    <article
      class={`r-row r-${level}${open ? ' r-open' : ''}`}
      data-key={line.key}
      tabIndex={current ? 0 : -1}
      aria-posinset={index + 1}
      aria-setsize={total}
      aria-labelledby={`${id}-head ${id}-text`}
    >
      <div class="r-line" onClick={(e) => meansRow(e) && onToggle(line)}>
        <button type="button" class="r-toggle" tabIndex={-1} aria-expanded={open} aria-label="Details" onClick={() => onToggle(line)} />
        <span class="r-head" id={`${id}-head`}>
          <span class="r-hidden">{level === 'unknown' ? '' : `${level}, `}</span>
          <time title={fullStamp(line.ns, zone)}>{stamp(line.ns, zone, digits)}</time>
        </span>
        <span class="r-body" id={`${id}-text`}>
          <Text text={line.text} mark={mark} wrap={wrap || open} />
        </span>
      </div>
      {open && <Details line={line} zone={zone} client={client} onFilter={onFilter} linkTo={linkTo} />}
    </article>
  );
});

/** A click means the row unless it meant a button in it, or ended a selection. */
function meansRow(event: MouseEvent): boolean {
  if (event.target instanceof Element && event.target.closest('button, a')) return false;
  return getSelection()?.isCollapsed ?? true;
}
