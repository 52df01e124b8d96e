package loki

import (
	"regexp"
	"slices"
	"strings"
)

// knownMessage is an error of Loki's that a caller may read. Loki's errors can print the fenced selector and the
// organization, so nothing of them is passed on but what matches one of these from its beginning to its end.
type knownMessage struct {
	pattern *regexp.Regexp
	// mistake is set for a mistake of the query that Loki reports as 500. Clients send a 5xx again.
	mistake bool
}

// The slots of a message, as they are written in the table, and what each may hold. Numbers, durations and sizes are
// Loki's limits and figures of the caller's own query. Of a list of labels only those are passed on that the caller's
// query has itself, a part of a query only where it stands in the caller's, and what is omitted never.
var slots = strings.NewReplacer(
	"<number>", `([0-9]{1,19})`,
	"<duration>", `((?:[0-9]{1,9}(?:\.[0-9]{1,9})?(?:ns|µs|ms|s|m|h|d|w|y)){1,8})`,
	"<size>", `([0-9]{1,9}(?:\.[0-9]{1,9})? ?[KMGTPE]?i?B)`,
	"<side>", `(left|right)`,
	"<error>", `(JSONParserErr|LogfmtParserErr|SampleExtractionErr|LabelFilterErr|TemplateFormatErr)`,
	"<regexp>", `(missing closing \)|unexpected \)|missing closing \]|invalid escape sequence|invalid character class|invalid character class range|`+
		`missing argument to repetition operator|invalid nested repetition operator|invalid repeat count|invalid or unsupported Perl syntax|`+
		`invalid named capture|invalid named group|trailing backslash at end of expression|invalid UTF-8|expression too large|expression nests too deeply|duplicate capture group name)`,
	"<labels>", `(?P<labels>.*)`,
	"<query>", `(?P<query>.*)`,
	"<omitted>", `(?P<omitted>.*)`,
)

func known(text string) knownMessage {
	return knownMessage{pattern: regexp.MustCompile(`\A` + slots.Replace(regexp.QuoteMeta(text)) + `\z`)}
}

func mistake(text string) knownMessage {
	m := known(text)
	m.mistake = true
	return m
}

// messages are those of Loki 3.7.8 and of earlier versions that a query can lead to, with where they are written.
var messages = []knownMessage{
	// pkg/querier/queryrange/limits.go, pkg/logqlmodel/error.go
	known("max entries limit per query exceeded, limit > max_entries_limit_per_query (<number> > <number>)"),
	known("max entries limit per query exceeded, limit > max_entries_limit (<number> > <number>)"),
	known("maximum of series (<number>) reached for a single query"),
	known("maximum number of series (<number>) reached for a single query; consider reducing query cardinality by adding more specific stream selectors, reducing the time range, or aggregating results with functions like sum(), count() or topk()"),
	known("the query would read too many bytes (query: <size>, limit: <size>); consider adding more specific stream selectors or reduce the time range of the query"),
	known("the query would read too many bytes (query: <size>, limit: <size>)"),
	known("query too large to execute on a single querier: (query: <size>, limit: <size>); consider adding more specific stream selectors, reduce the time range of the query, or adjust parallelization settings"),
	known("un-shardable query too large to execute on a single querier: (query: <size>, limit: <size>); consider adding more specific stream selectors or reduce the time range of the query"),
	known("shard query is too large to execute on a single querier: (query: <size>, limit: <size>); consider adding more specific stream selectors or reduce the time range of the query"),
	known("stream selector is missing required matchers [<labels>], labels present in the query were [<labels>]"),
	known("stream selector has less label matchers than required: (present: [<labels>], number_present: <number>, required_number_label_matchers: <number>)"),
	known("querying is disabled, please contact your Loki operator"),
	// pkg/util/validation/validate.go, pkg/querier/limits
	known("the query time range exceeds the limit (query length: <duration>, limit: <duration>)"),
	known("this data is no longer available, it is past now - max_query_lookback (<duration>)"),
	// pkg/loghttp
	known("exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter"),
	known("end timestamp must not be before or equal to start time"),
	known("limit must be a positive value"),
	// pkg/logqlmodel/error.go
	known("[interval] value exceeds limit: [<duration>] > [<duration>]"),
	known("query blocked by policy"),
	known("only label matchers are supported"),
	known("only log selector is supported"),
	known("multi variant queries are disabled for this instance"),
	known("log queries are not supported as an instant query type, please change your query to a range query type"),
	known("pipeline error: '<error>' for series: '<labels>'. Use a label filter to intentionally skip this error. (e.g | __error__!=\"<error>\"). To skip all potential errors you can match empty errors.(e.g __error__=\"\") The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )"),
	// pkg/logql/syntax, pkg/logql/log: what its parser does not see, and the evaluation does
	known("parse error : error parsing regexp: <regexp>: `<query>`"),
	known("parse error : stage '<query>' : error parsing regexp: <regexp>: `<query>`"),
	known("parse error : invalid regexp parser: error parsing regexp: <regexp>: `<query>`"),
	known("parse error : invalid pattern parser: at least one capture is required"),
	known("parse error : stage '<query>' : multiple label name '<query>' not allowed in a single format operation"),
	known("parse error : stage '<query>' : ip: invalid pattern: \"<query>\""),
	known("parse error : stage '<query>' : invalid line template: <omitted>"),
	known("parse error : stage '<query>' : <omitted>"),
	known("parse error : invalid parameter (must be greater than 0) <query>"),
	// pkg/querier/worker/scheduler_processor.go, pkg/queue, pkg/querier/tail
	known("response larger than the max message size (<number> vs <number>)"),
	known("too many outstanding requests"),
	known("max concurrent tail requests limit exceeded, count > limit (<number> > <number>)"),
	// pkg/logql/evaluator.go, count_min_sketch.go, shardmapper.go
	mistake("found duplicate series on the <side> hand-side;many-to-many matching not allowed: matching labels must be unique on one side"),
	mistake("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"),
	mistake("multiple matches for labels: grouping labels must ensure unique matches"),
	mistake("count min sketches are only supported on instant queries"),
	mistake("count min sketch vector aggregation does not support any grouping"),
	mistake("approx_topk is not enabled. See -limits.shard_aggregations"),
}

// isKnown reports whether a message is one of Loki's.
func isKnown(message string) bool {
	return slices.ContainsFunc(messages, func(m knownMessage) bool { return m.pattern.MatchString(message) })
}

// isMistake reports whether a failure of Loki's is about the query.
func isMistake(message string) bool {
	for _, m := range messages {
		if m.mistake && m.pattern.MatchString(message) {
			return true
		}
	}
	return false
}

// Mistake reports whether Loki calls the rejection a failure of its own: its status is 500.
func (e *RefusedError) Mistake() bool { return e.Status >= 500 }

// Public returns Loki's message where it is known, without anything that is neither Loki's own text, a figure, nor in
// the caller's query itself. known is false where the message is none of these.
func (e *RefusedError) Public(query string) (text string, known bool) {
	for _, m := range messages {
		at := m.pattern.FindStringSubmatchIndex(e.Message)
		if at == nil {
			continue
		}
		return withoutForeign(m.pattern, e.Message, at, query), true
	}
	return "", false
}

// withoutForeign rewrites the parts of a message that are not Loki's own text or a figure.
func withoutForeign(pattern *regexp.Regexp, message string, at []int, query string) string {
	var b strings.Builder
	from := 0
	for group, name := range pattern.SubexpNames() {
		if name == "" {
			continue
		}
		start, end := at[2*group], at[2*group+1]
		b.WriteString(message[from:start])
		switch part := message[start:end]; {
		case name == "labels":
			b.WriteString(ownLabels(part, query))
		case name == "query" && strings.Contains(query, part):
			b.WriteString(part)
		default:
			b.WriteString("…")
		}
		from = end
	}
	b.WriteString(message[from:])
	return b.String()
}

// ownLabels returns those elements of a list or a set of labels that are in the query as they stand, and an ellipsis for
// the others. That a matcher is in the query proves that the caller knows it; nothing else does.
func ownLabels(list, query string) string {
	inner := strings.TrimSuffix(strings.TrimPrefix(list, "{"), "}")
	var own []string
	left := false
	for _, element := range strings.Split(inner, ", ") {
		if element != "" && isWord(query, element) {
			own = append(own, element)
		} else {
			left = true
		}
	}
	if left {
		own = append(own, "…")
	}
	text := strings.Join(own, ", ")
	if strings.HasPrefix(list, "{") {
		text = "{" + text + "}"
	}
	return text
}

// isWord reports whether a text has the part with no letter, digit or underscore before or after it.
func isWord(text, part string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], part)
		if i < 0 {
			return false
		}
		i += from
		if !wordByte(text, i-1) && !wordByte(text, i+len(part)) {
			return true
		}
		from = i + 1
	}
}

func wordByte(text string, i int) bool {
	if i < 0 || i >= len(text) {
		return false
	}
	c := text[i]
	return c == '_' || c >= 0x80 || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
}
