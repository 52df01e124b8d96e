// Links by the operator's rules (LOGFENCE_UI_LINKS): from a field's value or a part of the text to another host. Pure.
import type { Line } from '../model';
import { simplePattern } from './highlights';
import { tagValue } from './tags';

/** A rule: what finds values in a line, and where they lead. */
export interface LinkRule {
  field?: string;
  pattern?: RegExp;
  /** With `{value}` and `{1}` to `{9}`. */
  template: string;
  origin: string;
}

export interface Link {
  /** What was found. */
  text: string;
  host: string;
  href: string;
}

const mostLinks = 20;
const longestValue = 500;
/** How much of a text is searched. */
const longestText = 2000;

/**
 * The rule of a text such as `trace_id=https://host/{value}` or `/REGEXP/=https://host/{1}`. The server has checked it;
 * what this page cannot use safely is undefined all the same.
 */
export function ruleOf(text: string): LinkRule | undefined {
  const form = /^(?:\/(.+?)\/|([A-Za-z_][\w.-]*))=(https:\/\/[A-Za-z0-9.-]+(?::\d{1,5})?[/?#].*)$/.exec(text);
  const template = form?.[3];
  if (!form || !template) return undefined;
  const filled = template.replace(hole, 'x');
  if (!URL.canParse(filled)) return undefined;
  const { origin } = new URL(filled);
  if (form[2]) return { field: form[2], template, origin };
  const pattern = simplePattern(form[1] ?? '', false, true);
  return pattern && { pattern, template, origin };
}

/** The links of a line, each once. */
export function linksOf(line: Line, rules: readonly LinkRule[]): Link[] {
  const links = new Map<string, Link>();
  for (const rule of rules) {
    for (const values of valuesOf(line, rule)) {
      const href = filled(rule, values);
      if (href && links.size < mostLinks) links.set(href, { text: values[0] ?? '', host: new URL(href).host, href });
    }
  }
  return [...links.values()];
}

/** What a rule finds: the value or match, then its groups. */
function valuesOf(line: Line, { field, pattern }: LinkRule): string[][] {
  if (field) return [[tagValue(line, { name: field, width: 0 })]];
  if (!pattern) return [];
  return [...line.text.slice(0, longestText).matchAll(pattern)].slice(0, mostLinks).map((match) => match.map((part) => part ?? ''));
}

const hole = /\{(value|[1-9])\}/g;

/** The address, if its values are worth one: a value of dots alone would be a step up in a path. */
function filled({ template, origin }: LinkRule, values: string[]): string | undefined {
  const used = [...template.matchAll(hole)].map(([, name]) => values[name === 'value' ? 0 : Number(name)] ?? '');
  if (used.some((value) => /^\.*$/.test(value) || value.length > longestValue)) return undefined;
  let next = 0;
  const href = template.replace(hole, () => encoded(used[next++] ?? ''));
  return URL.canParse(href) && new URL(href).origin === origin ? href : undefined;
}

/** Percent-encoded, all but letters, digits and - . _ ~ (RFC 3986, section 2.3). */
function encoded(value: string): string {
  const whole = value.replace(/[\ud800-\udfff]/gu, '\ufffd');
  return encodeURIComponent(whole).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}
