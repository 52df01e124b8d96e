import type { Labels, Line } from '../model';
import { rfc3339 } from './time';

/** A line for a clipboard, in the form that exports have. */
export function asJson(line: Line): string {
  const some = (labels: Labels): Labels | undefined => (Object.keys(labels).length > 0 ? labels : undefined);
  return JSON.stringify({
    timestamp: rfc3339(line.ns),
    labels: line.stream,
    structured_metadata: some(line.metadata),
    parsed: some(line.parsed),
    line: line.text,
  });
}

/** Puts a text into the clipboard, and tells whether that was allowed. */
export async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyOldWay(text); // pages that came over plain HTTP have no other
  }
}

function copyOldWay(text: string): boolean {
  const before = document.activeElement;
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'r-hidden';
  // Within an open dialog, outside of which nothing can be selected.
  (document.querySelector('dialog[open]') ?? document.body).append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return done;
}
