import 'uplot/dist/uPlot.min.css';
import './app/theme.css';
import './app/app.css';
import './query/query.css';
import './results/results.css';

import { render } from 'preact';

import { App } from './app/App';
import { apply } from './theme';

apply();
const root = document.getElementById('app');
if (root) render(<App />, root);
