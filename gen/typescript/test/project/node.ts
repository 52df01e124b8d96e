import { leaveAtLine, lines, mistakes, shown } from './app.js';
import * as examples from './examples.js';

for (const [name, example] of Object.entries(examples)) {
  if (!name.startsWith('node')) continue;
  if (String(example).includes('tailLogs')) leaveAtLine(lines.length + 1);
  await example();
}
process.stdout.write(JSON.stringify({ lines, mistakes, shown }));
