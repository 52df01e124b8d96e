/**
 * What may stand at a place in a query that is still being written: pure, and from the text before the place alone,
 * since what follows is often not there yet. A tree is of no help where most of it is missing.
 */

export type Context =
  /** Where an expression begins: functions, or a selector. */
  | { kind: 'expression'; from: number }
  /** Within braces: a label's name. */
  | { kind: 'label'; from: number }
  /** Behind a label's name. */
  | { kind: 'operator'; from: number; of: 'label' | 'field' }
  /** What a label or field is compared with. `literal` is where the string begins, if it has begun. */
  | { kind: 'value'; from: number; of: 'label' | 'field'; name: string; op: string; literal: number | undefined }
  /** Behind a selector or a stage: line filters and `|`, within a metric the range as well. */
  | { kind: 'stage'; from: number; piped: boolean; metric: boolean }
  /** A field's name, as of `unwrap`, `drop` or `keep`. */
  | { kind: 'field'; from: number; unwrap: boolean }
  /** A label's or field's name to group by. */
  | { kind: 'grouping'; from: number }
  /** Behind the name of an aggregation. */
  | { kind: 'aggregation'; from: number }
  | { kind: 'range'; from: number };

interface Token {
  kind: 'name' | 'string' | 'open' | 'symbol' | 'comment';
  text: string;
  from: number;
}

const token =
  /(#[^\n]*|\/\/[^\n]*|\/\*[^]*?(?:\*\/|$))|("(?:[^"\\\n]|\\.)*"|`[^`]*`)|(["`][^]*)|([\p{L}_][\p{L}\p{N}_]*)|([|!=]~|[|!]>|[|!=<>]=|--?[a-z]+|[\d.]+\w*|\S)/gu;

function tokens(text: string): Token[] {
  return [...text.matchAll(token)].map(([all, comment, string, open, name], i, found) => ({
    kind: comment ? 'comment' : string ? 'string' : open ? 'open' : name ? 'name' : 'symbol',
    text: all,
    from: found[i]?.index ?? 0,
  }));
}

const comparisons = new Set(['=', '!=', '=~', '!~']);
const lineFilters = new Set(['|=', '!=', '|~', '!~', '|>', '!>']);
const groupings = new Set(['by', 'without', 'on', 'ignoring', 'group_left', 'group_right']);
const aggregations = new Set('sum avg count max min stddev stdvar topk bottomk approx_topk sort sort_desc'.split(' '));
const conversions = new Set(['bytes', 'duration', 'duration_seconds']);

/** A bracket that is open, with what stood before it. */
interface Frame {
  open: string;
  before: string;
  /** Behind a selector: what follows is its pipeline. */
  pipeline: boolean;
  /** Where the stage begins. */
  stage: number;
}

export function contextAt(before: string): Context | undefined {
  const found = tokens(before);
  const last = found.at(-1);
  if (last?.kind === 'comment' && !before.endsWith('\n')) return undefined;
  const said = found.filter(({ kind }) => kind !== 'comment');
  const typed = said.at(-1);
  if (typed?.kind === 'open') return inString(said.slice(0, -1), typed);
  // A word that the place touches is being written.
  const writing = typed?.kind === 'name' && typed.from + typed.text.length === before.length;
  const done = writing ? said.slice(0, -1) : said;
  return expected(done, writing ? typed.from : before.length);
}

function inString(done: Token[], open: Token): Context | undefined {
  const context = expected(done, open.from);
  if (context?.kind !== 'value') return undefined;
  return { ...context, from: open.from + 1, literal: open.from };
}

function expected(done: Token[], from: number): Context | undefined {
  const stack = frames(done);
  const frame = stack.at(-1);
  const previous = done.at(-1);
  if (!frame) return undefined;
  switch (frame.open) {
    case '{':
      return inSelector(done, from);
    case '[':
      return { kind: 'range', from };
    default:
  }
  if (groupings.has(frame.before)) {
    return previous?.text === '(' || previous?.text === ',' ? { kind: 'grouping', from } : undefined;
  }
  if (conversions.has(frame.before) && stack.at(-2)?.pipeline) return { kind: 'field', from, unwrap: false };
  if (frame.pipeline) return inPipeline(done, frame, from, stack.length > 1);
  return outside(previous, from);
}

function frames(done: Token[]): Frame[] {
  const stack: Frame[] = [{ open: '', before: '', pipeline: false, stage: 0 }];
  done.forEach(({ kind, text }, i) => {
    const top = stack.at(-1);
    if (!top || kind === 'string') return;
    if ('([{'.includes(text)) {
      // Parentheses within a pipeline are those of a condition.
      const within = text === '(' && top.pipeline && !groupings.has(done[i - 1]?.text ?? '');
      stack.push({ open: text, before: done[i - 1]?.text ?? '', pipeline: within, stage: i });
    } else if (')]}'.includes(text)) {
      if (stack.length > 1) stack.pop();
      const under = stack.at(-1);
      if (under && text === '}') Object.assign(under, { pipeline: true, stage: i });
    } else if (text === '|' || (lineFilters.has(text) && done[i - 1]?.kind !== 'name')) {
      top.stage = i;
    } else if ('+-*/%^'.includes(text) && top.pipeline && top.open === '') {
      top.pipeline = false;
    }
  });
  return stack;
}

function inSelector(done: Token[], from: number): Context | undefined {
  const previous = done.at(-1);
  if (previous?.text === '{' || previous?.text === ',') return { kind: 'label', from };
  if (previous?.kind === 'name') return { kind: 'operator', from, of: 'label' };
  return compared(done, from, 'label');
}

function compared(done: Token[], from: number, of: 'label' | 'field'): Context | undefined {
  const [name, op] = done.slice(-2);
  if (name?.kind !== 'name' || !op || !comparisons.has(op.text)) return undefined;
  return { kind: 'value', from, of, name: name.text, op: op.text, literal: undefined };
}

const alone = new Set(['json', 'logfmt', 'unpack', 'decolorize']);

function inPipeline(done: Token[], frame: Frame, from: number, metric: boolean): Context | undefined {
  const previous = done.at(-1);
  const stage = done.slice(frame.stage);
  const verb = stage[1]?.text ?? '';
  if (!previous || previous.text === '|' || (previous.text === '(' && frame.open === '(')) {
    return previous?.text === '|' ? { kind: 'stage', from, piped: true, metric } : { kind: 'field', from, unwrap: false };
  }
  if (previous.text === '}' || previous.kind === 'string' || previous.text === ')') {
    return { kind: 'stage', from, piped: false, metric };
  }
  if (previous.kind === 'name') {
    if (previous.text === 'and' || previous.text === 'or') return { kind: 'field', from, unwrap: false };
    if (previous.text === 'unwrap') return { kind: 'field', from, unwrap: true };
    if (['drop', 'keep', 'label_format'].includes(previous.text)) return { kind: 'field', from, unwrap: false };
    if (alone.has(previous.text) || verb === 'unwrap') return { kind: 'stage', from, piped: false, metric };
    return stage[0]?.text === '|' || frame.open === '(' ? { kind: 'operator', from, of: 'field' } : undefined;
  }
  if (previous.text === ',' && ['drop', 'keep', 'label_format'].includes(verb)) {
    return { kind: 'field', from, unwrap: false };
  }
  if (verb === 'label_format') return undefined;
  return stage[0]?.text === '|' || frame.open === '(' ? compared(done, from, 'field') : undefined;
}

function outside(previous: Token | undefined, from: number): Context | undefined {
  if (!previous) return { kind: 'expression', from };
  if (previous.kind === 'name') {
    if (aggregations.has(previous.text)) return { kind: 'aggregation', from };
    return ['and', 'or', 'unless', 'bool'].includes(previous.text) ? { kind: 'expression', from } : undefined;
  }
  const opens = ['(', ',', '+', '-', '*', '/', '%', '^', '>', '<', '==', '!=', '>=', '<='];
  return opens.includes(previous.text) ? { kind: 'expression', from } : undefined;
}
