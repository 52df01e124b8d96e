import { color } from '../theme';
import type { Level } from './level';

/** How the bars of a level are drawn, so that color is not all that tells it. The swatches of results.css look alike. */
const strokes: Record<Level, ((to: CanvasRenderingContext2D, size: number) => void) | undefined> = {
  critical: (to, size) => (diagonal(to, size, 1), diagonal(to, size, -1)),
  error: (to, size) => diagonal(to, size, 1),
  warn: (to, size) => line(to, 0, size / 2, size, size / 2),
  info: undefined, // solid
  debug: (to, size) => line(to, size / 2, 0, size / 2, size),
  trace: (to, size) => to.fillRect(size / 4, size / 4, size / 2, size / 2),
  unknown: undefined,
};

/** The paint of a level in the colors of the theme. */
export function paintOf(level: Level): CanvasPattern | string {
  const main = color(`--level-${level}`);
  const stroke = strokes[level];
  const size = Math.round(6 * devicePixelRatio);
  const tile = document.createElement('canvas');
  tile.width = tile.height = size;
  const to = tile.getContext('2d');
  if (!stroke || !to) return main;
  to.fillStyle = color('--bg');
  to.fillRect(0, 0, size, size);
  to.globalAlpha = 0.45;
  to.fillStyle = to.strokeStyle = main;
  to.fillRect(0, 0, size, size);
  to.globalAlpha = 1;
  to.lineWidth = size / 3;
  stroke(to, size);
  return to.createPattern(tile, 'repeat') ?? main;
}

function line(to: CanvasRenderingContext2D, x: number, y: number, endX: number, endY: number): void {
  to.beginPath();
  to.moveTo(x, y);
  to.lineTo(endX, endY);
  to.stroke();
}

/** Through three tiles, so that stripes meet at the edges. */
function diagonal(to: CanvasRenderingContext2D, size: number, way: 1 | -1): void {
  for (const shift of [-size, 0, size]) {
    if (way === 1) line(to, shift - 1, size + 1, shift + size + 1, -1);
    else line(to, shift - 1, -1, shift + size + 1, size + 1);
  }
}
