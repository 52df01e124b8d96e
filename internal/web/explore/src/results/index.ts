/** Showing results: lines, charts, live tail and exports. */
export { Lines } from './Lines';
export { VolumeChart } from './VolumeChart';
export { MetricChart } from './MetricChart';
export { VectorTable } from './VectorTable';
export { LiveTail } from './LiveTail';
export { ExportButton } from './ExportButton';
