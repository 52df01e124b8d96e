import type { MatrixSeries, VectorSeries } from '@logfence/client';

import type { Span, Zone } from '../model';

export interface MetricChartProps {
  matrix?: MatrixSeries[];
  vector?: VectorSeries[];
  zone: Zone;
  onZoom: (span: Span) => void;
}

export function MetricChart({ matrix, vector }: MetricChartProps) {
  return (
    <ul>
      {[...(matrix ?? []), ...(vector ?? [])].map(({ metric }) => (
        <li key={JSON.stringify(metric)}>{JSON.stringify(metric)}</li>
      ))}
    </ul>
  );
}
