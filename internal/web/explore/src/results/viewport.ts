import { Heights } from './heights';

/**
 * No element is taller: browsers draw nothing beyond some 17 (Firefox) or 33 (Chromium) million pixels, and
 * 100,000 long lines that are wrapped come to more.
 */
export const tallest = 8_000_000;

/** The rows to draw, and where the first of them begins in the element that scrolls. */
export interface Slice {
  first: number;
  /** Not included. */
  last: number;
  offset: number;
}

const overscan = 8;

/** How many screens at either end are scrolled pixel by pixel in any case, so that the ends are reached as ever. */
const exact = 20;

/**
 * A window onto a list of rows. Where the list is taller than an element may be, the element is scrolled by less:
 * short ways are taken pixel by pixel, and long ones, as by the scroll bar, in proportion.
 */
export class Viewport {
  heights = new Heights(0, () => 0);
  /** The height of what is seen. */
  size = 0;
  #scrolled = 0;
  #shift = 0;

  /** The height that the element is to have. */
  get extent(): number {
    return Math.min(this.heights.total, tallest);
  }

  /** How far the list is scrolled. */
  get top(): number {
    return this.#scrolled + this.#shift;
  }

  /** Whether the last row is seen. */
  get atBottom(): boolean {
    return this.top + this.size >= this.heights.total - 4;
  }

  /** The element was scrolled to there by the reader. Returns where it should be, mostly the same. */
  scrolled(to: number): number {
    const far = Math.abs(to - this.#scrolled) > 2 * this.size;
    this.#scrolled = to;
    if (this.heights.total <= tallest) {
      this.#shift = 0;
      return to;
    }
    if (far) this.#shift = this.#listAt(to) - to;
    const room = this.extent - this.size;
    const beyond = this.top < 0 || this.top > this.heights.total - this.size;
    return beyond || to < this.size || to > room - this.size ? this.goTo(this.top) : to;
  }

  /** Shows the list from there on; returns where the element has to be scrolled to. */
  goTo(top: number): number {
    const total = this.heights.total;
    const wanted = Math.max(0, Math.min(total - this.size, top));
    this.#scrolled = total <= tallest ? wanted : this.#elementAt(wanted);
    this.#shift = wanted - this.#scrolled;
    return this.#scrolled;
  }

  /** The least way that shows a row, if any. */
  toShow(index: number): number | undefined {
    const top = this.heights.top(index);
    const height = Math.min(this.heights.height(index), this.size);
    if (top < this.top) return this.goTo(top);
    if (top + height > this.top + this.size) return this.goTo(top + height - this.size);
    return undefined;
  }

  slice(): Slice {
    const { heights } = this;
    if (heights.count === 0) return { first: 0, last: 0, offset: 0 };
    const first = Math.max(0, heights.at(this.top) - overscan);
    const last = Math.min(heights.count, heights.at(this.top + this.size) + 1 + overscan);
    return { first, last, offset: heights.top(first) - this.#shift };
  }

  #listAt(scrolled: number): number {
    const [end, room, total] = [exact * this.size, this.extent - this.size, this.heights.total - this.size];
    if (scrolled <= end) return scrolled;
    if (scrolled >= room - end) return total - (room - scrolled);
    return end + ((scrolled - end) / (room - 2 * end)) * (total - 2 * end);
  }

  #elementAt(top: number): number {
    const [end, room, total] = [exact * this.size, this.extent - this.size, this.heights.total - this.size];
    if (top <= end) return top;
    if (top >= total - end) return room - (total - top);
    return end + ((top - end) / (total - 2 * end)) * (room - 2 * end);
  }
}
