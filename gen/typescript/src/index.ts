export { createLogfence } from './client.js';
export type { Logfence, LogfenceOptions, QueryOptions, RequestOptions, TailOptions } from './client.js';
export { readLines } from './export.js';
export type { Export } from './export.js';
export { LogfenceError } from './failure.js';
export type { Code, Failure, Foreign, NoAnswer, NoResponse, Refusal, Unrecognized } from './failure.js';
export type { Result } from './result.js';
export type { EndEvent, GapEvent, LinesEvent, ProgressEvent, StreamEvent } from './stream.js';
export { unwrap } from './unwrap.js';
export type { DroppedEvent, EntriesEvent, InterruptedEvent, ModeEvent, ReconnectedEvent, ResumedEvent, TailEvent } from './tail.js';
export type {
  ContextResponse,
  DetectedLabel,
  DetectedLabelsResponse,
  Direction,
  Entry,
  EntryLabels,
  ExplainRequest,
  Explanation,
  ExportFormat,
  Field,
  FieldsResponse,
  FieldValuesResponse,
  IndexStats,
  InstantQueryData,
  InstantQueryResponse,
  LabelSet,
  LabelsResponse,
  LinesPage,
  ListedLine,
  LogLine,
  MatrixData,
  MatrixSeries,
  Me,
  PatternSample,
  PatternSeries,
  PatternsResponse,
  Problem,
  QueryData,
  QueryResponse,
  ReadEstimate,
  Sample,
  ScalarData,
  SeriesResponse,
  Stats,
  Stream,
  StreamsData,
  TailDropped,
  TailEnd,
  TailEntries,
  TailInterrupted,
  TailMode,
  TailResumed,
  VectorData,
  VectorSeries,
  VolumeRangeData,
  VolumeRangeResponse,
  VolumeResponse,
} from './gen/types.gen.js';
