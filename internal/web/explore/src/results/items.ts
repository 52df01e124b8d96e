import type { Line } from '../model';

/** A remark among the lines: that some are missing there. */
export interface Notice {
  key: number;
  notice: string;
}

export type Item = Line | Notice;

export function isNotice(item: Item): item is Notice {
  return 'notice' in item;
}

/** The first place whose key is not less: keys increase down the list. */
export function placeOf(items: readonly Item[], key: number): number {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((items[middle]?.key ?? 0) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
