// Finding a text in the lines that are loaded, in any case. Pure.
import { isNotice, type Item } from './items';

/** The places of the items whose text has this one, from the top. */
export function placesOf(items: readonly Item[], text: string): number[] {
  if (text === '') return [];
  const pattern = new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'), 'i');
  const places: number[] = [];
  items.forEach((item, i) => {
    if (!isNotice(item) && pattern.test(item.text)) places.push(i);
  });
  return places;
}

/** The first of the places from one on, or the last before it; round the end. */
export function nextOf(places: readonly number[], from: number, way: 1 | -1): number | undefined {
  if (way === 1) return places.find((place) => place > from) ?? places[0];
  return places.filter((place) => place < from).at(-1) ?? places.at(-1);
}
