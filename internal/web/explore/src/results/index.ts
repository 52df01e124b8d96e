/** Showing results: lines, live tail and exports. The charts are loaded when they are shown. */
export { Lines } from './Lines';
export { VectorTable } from './VectorTable';
export { LiveTail } from './LiveTail';
export { ExportButton } from './ExportButton';
