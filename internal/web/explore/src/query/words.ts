/** LogQL's words, with what each does in one line. `‸` is where writing goes on, and `$` the text that may be there. */
export interface Word {
  name: string;
  signature: string;
  about: string;
  /** What is written; the name where it is missing. */
  text?: string;
}

/** Functions of log lines over a range. */
export const rangeFunctions: Word[] = [
  ...['rate|lines per second', 'count_over_time|number of lines', 'bytes_rate|bytes per second', 'bytes_over_time|bytes']
    .map((entry) => entry.split('|') as [string, string])
    .map(([name, about]) => ({
      name,
      signature: '({…}[range])',
      about: `The ${about} in each time range, by stream.`,
      text: `${name}({‸}[5m])`,
    })),
  {
    name: 'absent_over_time',
    signature: '({…}[range])',
    about: '1 if the range has no lines; otherwise nothing.',
    text: 'absent_over_time({‸}[5m])',
  },
  ...[
    'sum_over_time|The sum of',
    'avg_over_time|The average of',
    'min_over_time|The least of',
    'max_over_time|The greatest of',
    'first_over_time|The first of',
    'last_over_time|The last of',
    'stddev_over_time|The standard deviation of',
    'stdvar_over_time|The variance of',
    'rate_counter|The increase per second of a counter from',
  ]
    .map((entry) => entry.split('|') as [string, string])
    .map(([name, about]) => ({
      name,
      signature: '({…} | unwrap field [range])',
      about: `${about} the values of a field in each time range.`,
      text: `${name}({‸} | unwrap  [5m])`,
    })),
  {
    name: 'quantile_over_time',
    signature: '(q, {…} | unwrap field [range])',
    about: 'The value that a share q of a field’s values is at or below: 0.99 is the 99th percentile.',
    text: 'quantile_over_time(0.99, {‸} | unwrap  [5m])',
  },
];

/** Functions of metrics. */
export const aggregations: Word[] = [
  ...[
    'sum|Adds up the series',
    'avg|The average of the series',
    'min|The least of the series',
    'max|The greatest of the series',
    'count|The number of series',
    'stddev|The standard deviation of the series',
    'stdvar|The variance of the series',
  ]
    .map((entry) => entry.split('|') as [string, string])
    .map(([name, about]) => ({
      name,
      signature: ' by (label) (metric)',
      about: `${about}, by the labels named, at each time.`,
      text: `${name}(‸)`,
    })),
  ...['topk|greatest', 'bottomk|least', 'approx_topk|greatest, estimated,']
    .map((entry) => entry.split('|') as [string, string])
    .map(([name, about]) => ({
      name,
      signature: '(k, metric)',
      about: `The k series whose values are ${about} at each time.`,
      text: `${name}(10, ‸)`,
    })),
  { name: 'sort', signature: '(metric)', about: 'The series by value, lowest first.', text: 'sort(‸)' },
  { name: 'sort_desc', signature: '(metric)', about: 'The series by value, highest first.', text: 'sort_desc(‸)' },
  {
    name: 'label_replace',
    signature: '(metric, "new", "replacement", "label", "regexp")',
    about: 'Sets a label from a regular expression match in another label.',
    text: 'label_replace(‸, "", "$1", "", "")',
  },
  { name: 'vector', signature: '(number)', about: 'A constant series, for example for missing values.', text: 'vector(‸)' },
];

/** What may follow a selector or a stage, besides what begins with `|`. */
export const lineFilters: Word[] = [
  { name: '|=', signature: '"text"', about: 'Lines that contain the text.', text: '|= "‸"' },
  { name: '!=', signature: '"text"', about: 'Lines without the text.', text: '!= "‸"' },
  { name: '|~', signature: '"regexp"', about: 'Lines that a regular expression matches. (?i) ignores case.', text: '|~ `‸`' },
  { name: '!~', signature: '"regexp"', about: 'Lines that a regular expression does not match.', text: '!~ `‸`' },
  { name: '|>', signature: '"pattern"', about: 'Lines of a pattern, in which <_> is any text.', text: '|> "<_>‸<_>"' },
  { name: '!>', signature: '"pattern"', about: 'Lines of any other pattern.', text: '!> "<_>‸<_>"' },
];

/** Stages, which stand behind a `|`. */
export const stages: Word[] = [
  { name: 'json', signature: '', about: 'Reads the fields of lines that are JSON.' },
  { name: 'logfmt', signature: '', about: 'Reads the fields of lines such as level=info msg="done".' },
  {
    name: 'pattern',
    signature: '"<ip> - <_>"',
    about: 'Reads fields by their position in the line; <_> skips.',
    text: 'pattern "<‸>"',
  },
  {
    name: 'regexp',
    signature: '"(?P<name>re)"',
    about: 'Reads a field for each named group of a regular expression.',
    text: 'regexp `(?P<‸>)`',
  },
  { name: 'unpack', signature: '', about: 'Reads the labels and the line that promtail’s pack stage has put into JSON.' },
  {
    name: 'line_format',
    signature: '"{{.field}}"',
    about: 'Rewrites the line with a template.',
    text: 'line_format `{{.‸}}`',
  },
  {
    name: 'label_format',
    signature: 'new=old',
    about: 'Renames a label, or sets it with a template.',
    text: 'label_format ‸=',
  },
  { name: 'drop', signature: 'label, …', about: 'Removes labels.', text: 'drop ‸' },
  { name: 'keep', signature: 'label, …', about: 'Removes all other labels.', text: 'keep ‸' },
  { name: 'decolorize', signature: '', about: 'Removes color codes from the line.' },
];

/** Only a metric has use for it. */
export const unwrap: Word = {
  name: 'unwrap',
  signature: 'field',
  about: 'Uses a field’s value as the sample value.',
  text: 'unwrap ‸',
};

export const conversions: Word[] = [
  { name: 'bytes', signature: '(field)', about: 'A size such as 5MB, in bytes.', text: 'bytes(‸)' },
  { name: 'duration', signature: '(field)', about: 'A duration such as 5m30s, in seconds.', text: 'duration(‸)' },
];

export const labelOperators: Word[] = [
  { name: '=', signature: '', about: 'Is.' },
  { name: '!=', signature: '', about: 'Is not.' },
  { name: '=~', signature: '', about: 'Matches a regular expression, from end to end.' },
  { name: '!~', signature: '', about: 'Does not match a regular expression.' },
];
export const fieldOperators: Word[] = [
  ...labelOperators,
  { name: '>', signature: '', about: 'Is greater: numbers, durations (5s), sizes (1MB).' },
  { name: '>=', signature: '', about: 'Is greater or equal.' },
  { name: '<', signature: '', about: 'Is less.' },
  { name: '<=', signature: '', about: 'Is less or equal.' },
];

export const groupings: Word[] = [
  { name: 'by', signature: '(label, …)', about: 'One series for each value of these labels.', text: 'by (‸) ()' },
  { name: 'without', signature: '(label, …)', about: 'One series for all values of these labels.', text: 'without (‸) ()' },
];

export const ranges: Word[] = ['1m', '5m', '10m', '30m', '1h', '6h', '24h'].map((name) => ({
  name,
  signature: '',
  about: '',
}));
