import type { Client, Span, Zone } from '../model';

export interface VolumeChartProps {
  /** The query as it was run: what is counted is for the chart to say. */
  query: string;
  client: Client;
  span: Span;
  zone: Zone;
  onZoom: (span: Span) => void;
}

export function VolumeChart(_: VolumeChartProps) {
  return <div class="r-volume" />;
}
