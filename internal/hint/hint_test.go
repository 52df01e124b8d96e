package hint_test

import (
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/hint"
)

// TestQuery guarantees a hint for each common slip, with its place in the caller's own text, and none for what is a part of a
// string or a comment, or is no slip that is known.
func TestQuery(t *testing.T) {
	for _, tt := range []struct{ name, query, want string }{
		{"typographic quotes", `{app=“api”}`, `Line 1, column 6: LogQL has no typographic quotes. Write straight double quotes: "api".`},
		{"typographic single quotes", `{app=‘api’}`, `Line 1, column 6: LogQL has no typographic quotes. Write straight double quotes: "api".`},
		{"single quotes", `{app='api'}`, `Line 1, column 6: LogQL has no single quotes. Write straight double quotes: "api".`},
		{"non-breaking space", "{app=\"api\"}\u00a0|= \"x\"", "Line 1, column 12: There is a non-breaking space (U+00A0) in the query. Write an ordinary space."},
		{"zero-width space", "{app=\"api\"}\u200b", "Line 1, column 12: There is an invisible character (U+200B) in the query. Delete it."},
		{"ideographic space", "{app=\"api\"}\u3000|= `x`", "Line 1, column 12: There is an unusual space (U+3000) in the query. Write an ordinary space."},
		{"semicolon", "{app=\"api\"}\n |= \"ü\";\n", "Line 2, column 8: LogQL has no semicolon. Remove it."},
		{"escape", `{app="api"} |~ "\d+"`, "Line 1, column 17: Within double quotes a backslash is written twice: \\\\d. Or put the text between backticks: `\\d`."},
		{"escape in a selector", `{app=~"a\.b"}`, "Line 1, column 9: Within double quotes a backslash is written twice: \\\\.. Or put the text between backticks: `\\.`."},
		{"dotted label", `{k8s.pod="x"}`, "Line 1, column 2: Label names have letters, digits and underscores only: Loki stores k8s.pod as k8s_pod."},
		{"Kubernetes label", `{app="x", app.kubernetes.io/part-of="y"}`, "Line 1, column 11: Label names have letters, digits and underscores only: Loki stores app.kubernetes.io/part-of as app_kubernetes_io_part_of."},
		{"dotted label filter", `{app="x"} | json | http.status >= 500`, "Line 1, column 20: Label names have letters, digits and underscores only: Loki stores http.status as http_status."},
		{"dotted grouping", `sum by (app, k8s.pod) (rate({app="x"}[1m]))`, "Line 1, column 14: Label names have letters, digits and underscores only: Loki stores k8s.pod as k8s_pod."},
		{"dotted unwrap", `sum_over_time({app="x"} | json | unwrap http.bytes [1m])`, "Line 1, column 41: Label names have letters, digits and underscores only: Loki stores http.bytes as http_bytes."},
		{"interval", `rate({app="x"}[$__interval])`, "Line 1, column 16: The variable $__interval was not replaced. Write a duration, such as 5m, in its place."},
		{"variable in braces", `rate({app="x"}[${__range}])`, "Line 1, column 16: The variable $__range was not replaced. Write a duration, such as 5m, in its place."},
		{"variable", `{app="x", $filter}`, "Line 1, column 11: The variable $filter was not replaced. Write its value in its place."},
		{"variable in brackets", `rate({app="x"}[[range]])`, "Line 1, column 15: The variable [[range]] was not replaced. Write its value in its place."},
		{"newer function", `approx_count_distinct({app="x"}[1m])`, "Line 1, column 1: approx_count_distinct is known to newer versions of Loki only. count(sum by (user) (count_over_time({app=\"api\"} | json [5m]))) counts the values of a label."},
		{"newer unit", `{app="x"} | json | size > 1.5PB`, "Line 1, column 27: The unit PB is known to newer versions of Loki only. Write it in TB."},
		{"another newer unit", `{app="x"} | json | size > 1PiB`, "Line 1, column 27: The unit PiB is known to newer versions of Loki only. Write it in TiB."},
		{"PromQL function", `sum(increase({app="x"}[1m]))`, "Line 1, column 5: increase is a function of PromQL. LogQL has count_over_time."},
		{"PromQL function without a substitute", `predict_linear({app="x"}[1m], 5)`, "Line 1, column 1: predict_linear is a function of PromQL. LogQL has none like it."},
		{"PromQL metric", `http_requests_total{job="x"}`, `Line 1, column 1: The name of a metric, http_requests_total, is PromQL. LogQL selects log streams by their labels: begin with {, such as {app="api"}.`},
		{"PromQL metric with a range", `rate(errors:total[5m])`, `Line 1, column 6: The name of a metric, errors:total, is PromQL. LogQL selects log streams by their labels: begin with {, such as {app="api"}.`},
		{"PromQL subquery", `max_over_time(rate({app="x"}[5m])[1h:5m])`, "Line 1, column 34: LogQL has no subqueries, such as PromQL's [1h:5m]. Write one range, such as [5m]."},
		{"by without parentheses", `sum by app, env (rate({app="x"}[1m]))`, "Line 1, column 5: The labels behind by are written in parentheses: by (app, env)."},
		{"by at the end", `sum(rate({app="x"}[1m])) by app`, "Line 1, column 26: The labels behind by are written in parentheses: by (app)."},
		{"fraction", `rate({app="x"}[1.5h])`, "Line 1, column 16: Durations have whole numbers. Write 1h30m instead of 1.5h."},
		{"fraction of days", `rate({app="x"}[1h] offset 1.5d)`, "Line 1, column 27: Durations have whole numbers. Write 1d12h instead of 1.5d."},
		{"no selector", `connection refused`, `A query begins with a stream selector, such as {app="api"}. To search for a text: {app="api"} |= "text".`},
		{"nothing", " \n", `The query is empty. It begins with a stream selector, such as {app="api"}.`},
		{"the first of two", `{k8s.pod='x'};`, "Line 1, column 2: Label names have letters, digits and underscores only: Loki stores k8s.pod as k8s_pod."},
		{"a fraction that Loki takes", `{app="x"} | json | took > 1.5h |`, ""},
		{"within strings", "{app=\"x\"} |= \"1PB a.b='$x'; “\u00a0irate(\" |= `\\d; by x` |", ""},
		{"within comments", "{app=\"x\"} # it's; a.b=\n// $x\n/* \u00a0 */ |", ""},
		{"mixed quotes", `{app="api”}`, `LogQL has no typographic quotes. Write straight double quotes: "api".`},
		{"a missing quote", `{app="api} |= "it's"`, "A quote is missing: a string begins and ends with the same straight quote, and double-quoted ones end on their line."},
		{"a quote missing in a line", "{app=\"api}\n |= \"x\"", "A quote is missing: a string begins and ends with the same straight quote, and double-quoted ones end on their line."},
		{"a valid comparison", `sum(rate({app="x"} | label_format a=b [5m])) > bool {`, ""},
		{"something else", `{app="x"`, ""},
		{"arithmetic", `vector(1) +`, ""},
		{"long", `{app='x'}` + strings.Repeat(" ", hint.MaxBytes), ""},
	} {
		if got := hint.Query(tt.query, 1, 0); got != tt.want {
			t.Errorf("%s: Query(%s)\n got %s\nwant %s", tt.name, tt.query, got, tt.want)
		}
	}
	if got := hint.Query(`{k8s.pod="x"}`, 1, 2); strings.Contains(got, "column") {
		t.Errorf("the place of the error is repeated: %s", got)
	}
}

// TestQueryRepeatsLittle guarantees that a hint is short, whatever the query is.
func TestQueryRepeatsLittle(t *testing.T) {
	long := strings.Repeat("ü", 4000)
	for _, query := range []string{`{app='` + long + `'}`, `{a.` + strings.Repeat("b", 8000) + `="x"}`, `rate({app="x"}[$` + strings.Repeat("v", 8000) + `])`} {
		if got := hint.Query(query, 0, 0); len(got) > 500 || got == "" {
			t.Errorf("%d bytes of hint: %.100s", len(got), got)
		}
	}
}

// TestValues guarantees a hint for each common slip in the value of a parameter.
func TestValues(t *testing.T) {
	for _, tt := range []struct {
		name     string
		of       func(string) string
		in, want string
	}{
		{"time zone", hint.Time, "2026-01-31T12:00:00 01:00", "In a URL or a form a + is a space. Write it as %2B, 2026-01-31T12:00:00%2B01:00, or send the time in UTC, with a Z at its end."},
		{"time variable", hint.Time, "${__from}", "The variable $__from was not replaced. Write its value in its place."},
		{"another time", hint.Time, "yesterday", ""},
		{"hours", hint.Duration, "1.5h", "Durations have whole numbers. Write 1h30m instead of 1.5h."},
		{"seconds", hint.Duration, ".25s", "Durations have whole numbers. Write 250ms instead of .25s."},
		{"nothing", hint.Duration, "0.0s", ""},
		{"too much", hint.Duration, "999999999.9y", ""},
		{"interval", hint.Duration, "$__interval", "The variable $__interval was not replaced. Write a duration, such as 5m, in its place."},
		{"empty", hint.Empty, "limit", "An empty value is not the same as none. Leave the parameter out, or give it a value."},
		{"empty query", hint.Empty, "query", `The query is empty. It begins with a stream selector, such as {app="api"}.`},
	} {
		if got := tt.of(tt.in); got != tt.want {
			t.Errorf("%s: %s\n got %s\nwant %s", tt.name, tt.in, got, tt.want)
		}
	}
}

// FuzzQuery guarantees that every text gets a hint or none, of bounded length.
func FuzzQuery(f *testing.F) {
	f.Add(`{app='x'}`, 1)
	f.Add("{a=\"\\\xff\"}\n`", 2)
	f.Add(`"\`, 0)
	f.Fuzz(func(t *testing.T, query string, column int) {
		if got := hint.Query(query, 1, column); len(got) > 600 {
			t.Errorf("%d bytes", len(got))
		}
		hint.Time(query)
		hint.Duration(query)
	})
}
