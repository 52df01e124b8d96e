import type { Line } from '../model';
import type { Item } from './items';
import type { Keys } from './store';

/** How many lines may wait while the reader reads: the oldest go first. */
export const mostWaiting = 10_000;

/**
 * The lines of a live tail: those shown, and those that wait while it is held. Both are bounded, and where lines are
 * missing the list says how many.
 */
export class Tailing {
  #items: Item[] = [];
  #waiting: Item[] = [];
  /** Lines that had no room to wait. */
  #overflowed = 0;
  readonly keys: Keys;
  readonly #most: number;

  /** How many lines have come, and how many of them the server has left out. */
  arrived = 0;
  dropped = 0;

  /** Shows that many lines at most. */
  constructor(keys: Keys, most: number) {
    this.keys = keys;
    this.#most = most;
  }

  get items(): readonly Item[] {
    return this.#items;
  }

  get waiting(): number {
    return this.#waiting.length + this.#overflowed;
  }

  take(lines: Line[]): void {
    this.arrived += lines.length;
    this.#wait(lines);
  }

  /** Lines that the server has left out before the next ones. */
  missing(count: number, why: string): void {
    this.dropped += count;
    this.remark(`${count.toLocaleString('en')} ${count === 1 ? 'line is' : 'lines are'} missing here: ${why}`);
  }

  remark(notice: string): void {
    this.#wait([{ key: this.keys.next(), notice }]);
  }

  /** Shows what waits. */
  flow(): boolean {
    if (this.#waiting.length === 0) return false;
    const first = this.#waiting[0];
    // Its key is that of none: those of the lines that are gone are behind the last one shown and before the first.
    const gap: Item[] =
      this.#overflowed > 0 && first
        ? [
            {
              key: first.key - 0.5,
              notice: `${this.#overflowed.toLocaleString('en')} lines arrived while this was paused, and were not kept`,
            },
          ]
        : [];
    this.#items = this.#items.concat(gap, this.#waiting).slice(-this.#most);
    this.#waiting = [];
    this.#overflowed = 0;
    return true;
  }

  clear(): void {
    this.#items = [];
    this.#waiting = [];
    this.#overflowed = 0;
  }

  #wait(items: Item[]): void {
    for (const item of items) this.#waiting.push(item);
    const over = this.#waiting.length - mostWaiting;
    // Some at a time: to move the rest for each line would cost more than the line.
    if (over > mostWaiting / 10) this.#overflowed += this.#waiting.splice(0, over).filter((item) => !('notice' in item)).length;
  }
}
