/** LogQL as text: pure functions on Loki's grammar. */
export { addFilter, addLineFilter, addPattern, type LineFilterOp } from './edit';
export { isMetric, logQuery, readsAll, searchTerms, streamSelector } from './read';
export { selectsPerStep, unitOf, type Unit } from './unit';
export { brokenRegexp } from './regexp';
export { literalOf, quote, quoteMeta, unquote } from './strings';
