import type { Client, Line, OnFilter, Zone } from '../model';
import { Details } from './Details';
import { levelOf } from './level';
import type { Range } from './highlights';
import { memo } from './memo';
import { tagValue, type Tag } from './tags';
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
  /** Labels that tell the rows apart. */
  tags: readonly Tag[];
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
  const { wrap, zone, digits, mark, client, onFilter, linkTo, tags } = look;
  const level = levelOf(line);
  const id = `r-${line.key}`;
  const [date, clock] = stamp(line.ns, zone, digits).split(' ');
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
          <time title={fullStamp(line.ns, zone)}>
            <span class="r-date">{date} </span>
            {clock}
          </time>
          <span class="r-level">{level === 'unknown' ? '' : level === 'critical' ? 'crit' : level}</span>
          {tags.map((tag) => (
            <span key={tag.name} class="r-tag" title={`${tag.name}=${tagValue(line, tag)}`} style={{ width: `${tag.width + 1}ch` }}>
              <bdi>{tagValue(line, tag)}</bdi>
            </span>
          ))}
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
