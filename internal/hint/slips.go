package hint

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Of patterns: the names of labels as OpenTelemetry and Kubernetes write them, which are none of Loki's, and quotes that are
// none of LogQL's.
const (
	dottedName = `([A-Za-z_]\w*(?:\.\w+)+)`
	anyName    = `([A-Za-z_]\w*(?:[./-]\w+)+)`
	quotes     = "“”„‟«»″＂‘’‚‛′"
)

// slips are what is known, each refused by Loki wherever it stands outside of a string.
var slips = []slipPattern{
	{regexp.MustCompile(`([\x{00A0}\x{00AD}\x{2000}-\x{200D}\x{202F}\x{205F}\x{2060}\x{3000}\x{FEFF}])`), spaceHint},
	{regexp.MustCompile(`([` + quotes + `]([^` + quotes + `"\n]*))`), func(p []string) string { return quoteHint("typographic", p[1]) }},
	{regexp.MustCompile(`('([^'"\n]*))`), func(p []string) string { return quoteHint("single", p[1]) }},
	{regexp.MustCompile(`(\$\{?(\w+))`), func(p []string) string { return variableHint("$" + p[1]) }},
	{regexp.MustCompile(`(\[\[\w+\]\])`), func(p []string) string { return variableHint(p[0]) }},
	// A label's name: in a selector, before an operator, in a grouping, and where a value is unwrapped.
	{regexp.MustCompile(`[{,]\s*` + anyName + `\s*[=!]`), labelHint},
	{regexp.MustCompile(`(?:^|[^\w.])` + dottedName + `\s*[=!<>]`), labelHint},
	{regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\((?:\s*[\w./-]+\s*,)*?\s*` + anyName + `\s*[,)]`), labelHint},
	{regexp.MustCompile(`\bunwrap\s+` + dottedName), labelHint},
	{regexp.MustCompile(`\b(approx_count_distinct)\s*\(`), func([]string) string {
		return "approx_count_distinct is known to newer versions of Loki only. " +
			"count(sum by (user) (count_over_time({app=\"api\"} | json [5m]))) counts the values of a label."
	}},
	{regexp.MustCompile(`(?:^|[^\w.])([0-9][0-9.]*(Pi?B))\b`), func(p []string) string {
		return fmt.Sprintf("The unit %s is known to newer versions of Loki only. Write it in %s.", p[1], strings.Replace(p[1], "P", "T", 1))
	}},
	{regexp.MustCompile(`\b(` + strings.Join(promFunctions(), "|") + `)\s*\(`), func(p []string) string { return functionHint(p[0]) }},
	{regexp.MustCompile(`(?:^|[-(+*/%^<>=])\s*([A-Za-z_:][\w:]*)\s*\{`), metricHint},
	{regexp.MustCompile(`\(\s*([A-Za-z_:][\w:]*)\s*\[`), metricHint},
	{regexp.MustCompile(`(\[\s*\w+\s*:\s*\w*\s*\])`), func(p []string) string {
		return "LogQL has no subqueries, such as PromQL's " + shortened(p[0]) + ". Write one range, such as [5m]."
	}},
	{regexp.MustCompile(`(?i)\b((by|without)\s+([a-z_]\w*(?:\s*,\s*[a-z_]\w*)*))`), func(p []string) string {
		return fmt.Sprintf("The labels behind %s are written in parentheses: %s (%s).", p[1], p[1], shortened(p[2]))
	}},
	// A range is refused with any fraction; elsewhere Loki takes fractions of hours and less.
	{regexp.MustCompile(`\[\s*([0-9]*\.[0-9]+(?:ms|[smhdwy]))\s*\]`), func(p []string) string { return Duration(p[0]) }},
	{regexp.MustCompile(`(?:^|[^\w.])([0-9]*\.[0-9]+[dwy])\b`), func(p []string) string { return Duration(p[0]) }},
	{regexp.MustCompile(`(;)`), func([]string) string { return "LogQL has no semicolon. Remove it." }},
}

func spaceHint(p []string) string {
	r, _ := utf8.DecodeRuneInString(p[0])
	switch r {
	case '\u00ad', '\u200b', '\u200c', '\u200d', '\u2060', '\ufeff':
		return fmt.Sprintf("There is an invisible character (U+%04X) in the query. Delete it.", r)
	case '\u00a0', '\u202f':
		return fmt.Sprintf("There is a non-breaking space (U+%04X) in the query. Write an ordinary space.", r)
	default:
		return fmt.Sprintf("There is an unusual space (U+%04X) in the query. Write an ordinary space.", r)
	}
}

func quoteHint(kind, quoted string) string {
	return fmt.Sprintf("LogQL has no %s quotes. Write straight double quotes: %q.", kind, shortened(quoted))
}

// variableHint is for a variable that a dashboard or a template was to replace.
func variableHint(name string) string {
	value := "its value"
	switch strings.Trim(name, "$[]") {
	case "__interval", "__rate_interval", "__range", "__auto", "__range_s", "__interval_ms", "__range_ms":
		value = "a duration, such as 5m,"
	}
	return fmt.Sprintf("The variable %s was not replaced. Write %s in its place.", shortened(name), value)
}

var notInNames = regexp.MustCompile(`\W`)

func labelHint(p []string) string {
	return fmt.Sprintf("Label names have letters, digits and underscores only: Loki stores %s as %s.",
		shortened(p[0]), shortened(notInNames.ReplaceAllString(p[0], "_")))
}

// insteadOf are functions of PromQL that LogQL does not have, and what LogQL has for the purpose; empty: nothing.
var insteadOf = map[string]string{
	"increase": "count_over_time", "irate": "rate", "idelta": "rate", "delta": "rate", "deriv": "rate", "changes": "count_over_time", "resets": "",
	"quantile": "quantile_over_time", "histogram_quantile": "quantile_over_time", "absent": "absent_over_time", "present_over_time": "count_over_time",
	"label_join": "label_replace", "count_values": "count by", "group": "count", "predict_linear": "", "holt_winters": "", "scalar": "", "time": "",
	"timestamp": "", "abs": "", "ceil": "", "floor": "", "round": "", "exp": "", "ln": "", "log2": "", "log10": "", "sqrt": "", "sgn": "",
	"clamp": "", "clamp_min": "", "clamp_max": "", "histogram_count": "", "histogram_sum": "", "histogram_avg": "",
}

func promFunctions() []string { return slices.Sorted(maps.Keys(insteadOf)) }

func functionHint(name string) string {
	if other := insteadOf[name]; other != "" {
		return fmt.Sprintf("%s is a function of PromQL. LogQL has %s.", name, other)
	}
	return name + " is a function of PromQL. LogQL has none like it."
}

func metricHint(p []string) string {
	if strings.EqualFold(p[0], "bool") {
		return ""
	}
	return fmt.Sprintf("The name of a metric, %s, is PromQL. LogQL selects log streams by their labels: begin with {, such as {app=\"api\"}.", shortened(p[0]))
}
