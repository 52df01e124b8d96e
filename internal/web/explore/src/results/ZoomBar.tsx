import type { Span } from '../model';
import { partOf } from './time';

/** What dragging and scrolling do in a chart, for keys and fingers. */
export function ZoomBar({ span, onZoom }: { span: Span; onZoom: (span: Span) => void }) {
  const button = (label: string, sign: string, from: number, to: number) => (
    <button type="button" title={label} aria-label={label} onClick={() => onZoom(partOf(span, from, to))}>
      {sign}
    </button>
  );
  return (
    <span class="r-zoom" role="group" aria-label="Time range">
      {button('Earlier', '‹', -0.5, 0.5)}
      {button('Zoom out', '−', -0.5, 1.5)}
      {button('Zoom in', '+', 0.25, 0.75)}
      {button('Later', '›', 0.5, 1.5)}
    </span>
  );
}
