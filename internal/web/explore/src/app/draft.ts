// What the text in the editor means when it is run. Pure.
import { brokenRegexp, quote, quoteMeta } from '../query/logql';

/** A query to run, with a note where it is not the text itself; or why there is none. */
export type Prepared = { query: string; note?: string } | { problem: string };

/** Every query but a constant has a selector. */
const logql = /\{|^\s*vector\s*\(/i;

/** Text without a selector is searched for as it is, in any case. */
export function prepare(text: string): Prepared {
  const words = text.trim();
  if (words === '') {
    return { problem: 'The query is empty. Enter a text to find, or a selector such as {app="checkout"}. {} selects all lines.' };
  }
  if (logql.test(words)) {
    const broken = brokenRegexp(words);
    if (!broken) return { query: text };
    const { regexp, mistake } = broken;
    return {
      problem: `The regular expression “${regexp}” cannot be used: ${mistake}. To find such a character itself, put a backslash before it, or use |= to find a text.`,
    };
  }
  return {
    query: `{} |~ ${quote(`(?i)${quoteMeta(words)}`)}`,
    note: `“${words}” is not LogQL: it is searched for as text, ignoring case, in all lines.`,
  };
}
