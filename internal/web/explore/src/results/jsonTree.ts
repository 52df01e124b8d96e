import { sanitized } from './fields';

/** A row of a JSON document that is shown as a tree: a value, or what holds others. */
export interface TreeRow {
  /** As it is written in the document, or the index in an array. */
  name: string;
  /** The name that Loki's parser gives the value; missing within arrays, which it leaves out, and of what holds others. */
  field?: string;
  /** The value's text, or how much it holds: `{3}` and `[2]`. */
  value: string;
  depth: number;
  /** How many of the rows that follow are within it. */
  within: number;
}

const deepest = 32;
const mostRows = 500;

// One token of JSON: a string, a number as it is written, a word, or a sign.
const token = /\s*(?:("(?:[^"\\]|\\.)*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)|([{}[\],:]))/y;

/**
 * The rows of a JSON object, in the order of the document; undefined for any other text. Numbers are kept as they are
 * written, since JSON.parse makes 12345678901234567000 of 12345678901234567890. At most 500 rows.
 */
export function treeOf(text: string): TreeRow[] | undefined {
  const trimmed = text.trim();
  if (!trimmed.startsWith('{')) return undefined;
  try {
    JSON.parse(trimmed); // then tokens alone tell the structure
  } catch {
    return undefined;
  }
  const rows: TreeRow[] = [];
  token.lastIndex = 0;
  const next = (): string => {
    const [, string, scalar, sign] = token.exec(trimmed) ?? [];
    return string ?? scalar ?? sign ?? '';
  };
  const read = (name: string, field: string | undefined, depth: number, first: string): void => {
    if (depth > deepest) throw new RangeError('too deep');
    const row: TreeRow = { name, value: '', depth, within: 0 };
    const at = rows.push(row);
    const array = first === '[';
    if (!array && first !== '{') {
      row.value = first.startsWith('"') ? (JSON.parse(first) as string) : first;
      if (field) row.field = field;
      return;
    }
    let count = 0;
    for (let part = next(); part !== '}' && part !== ']'; part = next()) {
      if (part === ',') part = next();
      const key = array ? String(count) : (JSON.parse(part) as string);
      if (!array) next(); // the colon
      const plain = key.trim().replace(/[^a-zA-Z0-9_]/g, '_');
      read(
        key,
        array || field === undefined ? undefined : field === '' ? sanitized(key) : `${field}_${plain}`,
        depth + 1,
        array ? part : next(),
      );
      count++;
    }
    row.value = array ? `[${count}]` : `{${count}}`;
    row.within = rows.length - at;
  };
  try {
    read('', '', -1, next());
  } catch {
    return undefined;
  }
  return rows.length > 1 && rows.length <= mostRows + 1 ? rows.slice(1) : undefined;
}
