// Shows the reference: openapi.json by Redoc. Every address is relative to this file, so that a proxy may
// serve all of it below a prefix.
import { init } from './redoc.js';
import settings from './settings.js';

const response = await fetch(new URL('../openapi.json', import.meta.url));
init(await response.json(), { ...settings, disableTelemetry: true }, document.getElementById('redoc'));
