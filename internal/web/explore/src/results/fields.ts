/** What a line's text says, by the names that Loki's own parsers give: a filter after `| json` finds them. */
export interface Fields {
  parser: 'json' | 'logfmt';
  fields: Field[];
}

export interface Field {
  name: string;
  value: string;
}

/** Beyond these a text is shown, and not taken apart. */
const longestText = 256 * 1024;
const mostFields = 500;
const deepest = 32;

/** The fields of a text in JSON or logfmt; undefined for all others. */
export function fieldsOf(text: string): Fields | undefined {
  if (text.length > longestText) return undefined;
  const trimmed = text.trim();
  if (trimmed.startsWith('{')) {
    const fields = new JsonReader(trimmed).read();
    if (fields) return fields.length > 0 ? { parser: 'json', fields } : undefined;
  }
  const fields = logfmt(trimmed);
  return fields && { parser: 'logfmt', fields };
}

/** A name as Loki has it in labels. */
export function sanitized(name: string): string {
  const safe = name.trim().replace(/[^a-zA-Z0-9_]/g, '_');
  return /^[0-9]/.test(safe) ? `_${safe}` : safe;
}

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const word = /true|false|null/y;
const space = /[ \t\r\n]*/y;
const plain = /[^"\\]*/y;

/**
 * JSON, read for its leaves. Not by JSON.parse: that makes 12345678901234567000 of 12345678901234567890 and 1 of
 * 1.0, for which a filter would look in vain. As in Loki, objects lead into longer names and arrays are left out.
 */
class JsonReader {
  readonly #text: string;
  #at = 0;
  readonly #fields: Field[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  read(): Field[] | undefined {
    if (!this.#object('', 0, true)) return undefined;
    this.#take(space);
    return this.#at === this.#text.length ? this.#fields : undefined;
  }

  #value(name: string, depth: number, kept: boolean): boolean {
    this.#take(space);
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(name, depth, kept);
      case '[':
        return this.#array(depth);
      case '"': {
        const value = this.#string();
        if (value !== undefined) this.#keep(name, value, kept);
        return value !== undefined;
      }
      default: {
        const value = this.#take(number) || this.#take(word);
        this.#keep(name, value === 'null' ? '' : value, kept);
        return value !== '';
      }
    }
  }

  #keep(name: string, value: string, kept: boolean): void {
    if (kept && name !== '' && value !== '' && this.#fields.length < mostFields) this.#fields.push({ name, value });
  }

  #object(prefix: string, depth: number, kept: boolean): boolean {
    return this.#list(depth, '}', () => {
      const key = this.#string();
      if (key === undefined) return false;
      this.#take(space);
      if (this.#text[this.#at++] !== ':') return false;
      const name = prefix === '' ? sanitized(key) : `${prefix}_${key.trim().replace(/[^a-zA-Z0-9_]/g, '_')}`;
      return this.#value(name, depth + 1, kept);
    });
  }

  #array(depth: number): boolean {
    return this.#list(depth, ']', () => this.#value('', depth + 1, false));
  }

  #list(depth: number, close: string, item: () => boolean): boolean {
    if (depth >= deepest) return false;
    this.#at++;
    this.#take(space);
    if (this.#text[this.#at] === close) return this.#at++ >= 0;
    for (;;) {
      this.#take(space);
      if (!item()) return false;
      this.#take(space);
      const next = this.#text[this.#at++];
      if (next === close) return true;
      if (next !== ',') return false;
    }
  }

  #string(): string | undefined {
    const start = this.#at;
    if (this.#text[this.#at++] !== '"') return undefined;
    for (;;) {
      this.#take(plain);
      if (this.#at >= this.#text.length) return undefined;
      if (this.#text[this.#at] === '"') break;
      this.#at += 2; // an escape
    }
    return unquoted(this.#text.slice(start, ++this.#at));
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }
}

function unquoted(json: string): string | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

const key = /[^\s="\u0000-\u0020]+/y; // eslint-disable-line no-control-regex
const bare = /[^\s"]*/y;
const quoted = /"(?:[^"\\]|\\.)*"/y;

/** Fields as `name=value name="a value"`; undefined for a text that has none, or much that is no field. */
function logfmt(text: string): Field[] | undefined {
  const fields: Field[] = [];
  let words = 0;
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  while (at < text.length && fields.length < mostFields) {
    const name = take(key);
    if (name === undefined) {
      at++; // a space, or what is no logfmt
      continue;
    }
    if (text[at] !== '=') {
      words++;
      continue;
    }
    at++;
    const value = text[at] === '"' ? unescaped(take(quoted)) : take(bare);
    if (value === undefined) return undefined;
    if (value !== '') fields.push({ name: sanitized(name), value });
  }
  // Prose with an equals sign in it is no logfmt.
  return fields.length > words ? fields : undefined;
}

function unescaped(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  return unquoted(text) ?? text.slice(1, -1);
}
