// All tests, in one process: they share one Loki and one logfence.
import './responses.js';
import './broken.js';
import './contract.js';
import './exports.js';
import './lines.js';
import './package.js';
import './tails.js';
import './types.js';
