import type { Line } from '../model';

/** A remark among the lines: that some are missing there, and what can be done about it. */
export interface Notice {
  key: number;
  notice: string;
  action?: { text: string; label: string; disabled: boolean; run: () => void };
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

/** Identifies an item in another result, where keys differ. */
export function identity(item: Item): string {
  return isNotice(item) ? `${item.key}` : `${item.ns} ${item.text.slice(0, 1000)}`;
}

/** Where an item is, or one that says the same; -1 where there is none. */
export function find(items: readonly Item[], wanted: Item): number {
  const place = placeOf(items, wanted.key);
  if (items[place] === wanted) return place;
  const id = identity(wanted);
  return items.findIndex((item) => identity(item) === id);
}
