/** Writing queries: the editor, the label browser, history, and the panels of patterns and fields. */
export { QueryEditor } from './QueryEditor';
export { LabelBrowser } from './LabelBrowser';
export { claimHistory, forgetHistory, History, recentQueries, remember } from './History';
export { PatternsPanel } from './PatternsPanel';
export { FieldsPanel } from './FieldsPanel';
export { addFilter, addLineFilter, addPattern, isMetric, logQuery, searchTerms, streamSelector } from './logql';
