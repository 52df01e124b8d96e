// What is said about a search in words. Pure.
import type { ProgressEvent, ReadEstimate } from '@logfence/client';

import { mostLines, type LinesResult, type SearchResult } from './runQuery';

/** The number of results, and whether they are all there are. */
export function summaryOf(result: SearchResult | undefined): string {
  if (result?.kind === 'lines') return linesSummary(result);
  if (result?.kind === 'matrix' || result?.kind === 'vector')
    return `${counted(result.series.length, 'series', 'series')} · ${seconds(result.took)}`;
  return '';
}

function linesSummary({ lines, gaps, end, took, request }: LinesResult): string {
  const missing = gaps.length > 0 ? ` · lines are missing in ${counted(gaps.length, 'gap', 'gaps')}` : '';
  const way = request.direction === 'backward' ? 'before' : 'after';
  const rest: Record<LinesResult['end'], string> = {
    reading: ' so far',
    complete: '',
    limit: `, more ${way} (${request.limit.toLocaleString('en')} per page)`,
    full: `, the most that this page holds`,
    stopped: `, incomplete: the search was stopped`,
    failed: `, incomplete: the search failed`,
  };
  return `${counted(lines.length, 'line', 'lines')}${lines.length >= mostLines ? rest.full : rest[end]}${missing} · ${seconds(took)}`;
}

/** How far a search is; empty before there is anything to say. */
export function progressOf(progress: ProgressEvent | undefined): string {
  if (!progress || progress.seconds < 1) return '';
  const { done, lines, bytes: read } = progress;
  return `${percent(done)} of the range · ${counted(lines, 'line', 'lines')} · ${bytes(read)}`;
}

/** A part of a whole that is not called all of it before it is. */
export function percent(part: number): string {
  return `${Math.floor(Math.min(1, Math.max(0, part)) * 100)} %`;
}

/** What a query would read. */
export function estimateText({ bytes: read, streams, chunks }: ReadEstimate): string {
  return `${bytes(read)} in ${counted(streams, 'stream', 'streams')} and ${counted(chunks, 'chunk', 'chunks')}`;
}

function counted(n: number, one: string, many: string): string {
  return `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
}

function seconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function bytes(n: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) [n, unit] = [n / 1000, unit + 1];
  return `${n < 10 && unit > 0 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}
