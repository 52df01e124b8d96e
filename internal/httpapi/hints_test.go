package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/logfence/logfence/gen/api"
)

// hinted is a problem with its place.
type hinted struct {
	Code         string
	Line, Column int
	Parameter    string
	Hint         string
}

func (g *gateway) hinted(path string, params ...string) (p hinted, text string) {
	g.Helper()
	a := g.get(alphaToken, path, params...)
	if a.StatusCode != http.StatusBadRequest {
		g.Errorf("%v: %d %s", params, a.StatusCode, a.text)
	}
	if err := json.Unmarshal([]byte(a.text), &p); err != nil {
		g.Errorf("%v in %s", err, a.text)
	}
	return p, a.text
}

// slips are queries with a slip each, and what their hints contain. Loki's parser refuses all of them.
var slips = []struct{ name, query, hint string }{
	{"typographic quotes", `{app=“api”}`, `straight double quotes: "api"`},
	{"single quotes", `{app='api'}`, `straight double quotes: "api"`},
	{"a non-breaking space", "{app=\"api\"}\u00a0|= \"x\"", "non-breaking space (U+00A0)"},
	{"a semicolon", `{app="api"};`, "LogQL has no semicolon"},
	{"an escape", `{app="api"} |~ "\d+"`, "a backslash is written twice: \\\\d"},
	{"a dotted label", `{k8s.pod="x"}`, "Loki stores k8s.pod as k8s_pod"},
	{"a dotted label filter", `{app="api"} | json | http.status = 500`, "Loki stores http.status as http_status"},
	{"a dotted grouping", `sum by (k8s.pod) (rate({app="api"}[1m]))`, "Loki stores k8s.pod as k8s_pod"},
	{"a fraction", `rate({app="api"}[1.5h])`, "Write 1h30m instead of 1.5h"},
	{"a fraction of days", `rate({app="api"}[1h] offset 1.5d)`, "Write 1d12h instead of 1.5d"},
	{"a metric", `http_requests_total{job="api"}`, "is PromQL"},
	{"a function of PromQL", `increase({app="api"}[5m])`, "increase is a function of PromQL. LogQL has count_over_time."},
	{"a subquery", `rate({app="api"}[5m:1m])`, "LogQL has no subqueries"},
	{"by without parentheses", `sum by app (rate({app="api"}[5m]))`, "by (app)"},
	{"an interval", `rate({app="api"}[$__interval])`, "The variable $__interval was not replaced"},
	{"a variable", `{$filter}`, "The variable $filter was not replaced"},
	{"a newer function", `approx_count_distinct({app="api"}[5m])`, "newer versions of Loki only"},
	{"a newer unit", `{app="api"} | json | size > 1PB`, "The unit PB is known to newer versions of Loki only"},
	{"no selector", `connection refused`, "begins with a stream selector"},
}

// TestHintsOfQueries guarantees that what Loki's parser refuses for a common slip has a hint on the native API, in explain and
// before a stream too, and that Loki's own paths have none.
func TestHintsOfQueries(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, tt := range slips {
		for _, path := range []string{"query", "lines", "export", "tail"} {
			if p, text := g.hinted("/api/v1/logs/"+path, "query", tt.query); p.Code != "query_invalid" || !strings.Contains(p.Hint, tt.hint) {
				t.Errorf("%s, %s: %s", tt.name, path, text)
			}
		}
		r := g.refused(tt.query)
		if r.Code != "query_invalid" || r.Hint == nil || !strings.Contains(*r.Hint, tt.hint) {
			t.Errorf("%s: explained as %+v", tt.name, r)
		}
		a := g.get(alphaToken, "/loki/api/v1/query_range", "query", tt.query)
		if a.StatusCode != http.StatusBadRequest || strings.Contains(a.text, tt.hint) && tt.name != "a newer function" {
			t.Errorf("%s on Loki's path: %d %s", tt.name, a.StatusCode, a.text)
		}
	}
	if n := len(g.loki.Requests()); n > 0 {
		t.Errorf("%d requests to Loki", n)
	}
}

// TestHintsSayWhere guarantees that a hint says where its slip is, in the caller's text, unless the error is there.
func TestHintsSayWhere(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	p, _ := g.hinted("/api/v1/logs/query", "query", `{k8s.pod="ü"}`)
	if strings.HasPrefix(p.Hint, "Line 1, column 2: ") == (p.Line == 1 && p.Column == 2) {
		t.Errorf("the error is at %d:%d, and its hint %s", p.Line, p.Column, p.Hint)
	}
	p, _ = g.hinted("/api/v1/logs/query", "query", "{app=}\n |= \"ü\" |= 'x'")
	if !strings.HasPrefix(p.Hint, "Line 2, column 12: ") || p.Line != 1 {
		t.Errorf("the error is at %d:%d, and its hint %s", p.Line, p.Column, p.Hint)
	}
}

// TestHintsOfValues guarantees hints for slips in parameters.
func TestHintsOfValues(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, tt := range []struct{ path, name, value, hint string }{
		{"query", "start", "2026-03-01T11:00:00 01:00", "2026-03-01T11:00:00%2B01:00"},
		{"query/instant", "time", "2026-03-01T11:00:00 01:00", "%2B"},
		{"query", "since", "1.5h", "Write 1h30m instead of 1.5h"},
		{"query", "step", "1.5m", "Write 1m30s instead of 1.5m"},
		{"query", "step", "$__interval", "The variable $__interval was not replaced"},
		{"query", "start", "${__from}", "The variable $__from was not replaced"},
		{"query", "limit", "", "Leave the parameter out"},
		{"query", "start", "", "Leave the parameter out"},
	} {
		p, text := g.hinted("/api/v1/logs/"+tt.path, "query", `rate({app="api"}[5m])`, tt.name, tt.value)
		if p.Code != "parameter_invalid" || p.Parameter != tt.name || !strings.Contains(p.Hint, tt.hint) {
			t.Errorf("%s=%s: %s", tt.name, tt.value, text)
		}
	}
	if p, text := g.hinted("/api/v1/logs/query", "query", ""); !strings.Contains(p.Hint, "begins with a stream selector") {
		t.Errorf("an empty query: %s", text)
	}
}

// TestNoHint guarantees that an error of another kind, and of one of several selectors, has no hint.
func TestNoHint(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, params := range [][]string{
		{"/api/v1/logs/query", "query", `{app="api"`},
		{"/api/v1/logs/query", "query", `{app="api"}`, "direction", "up"},
		{"/api/v1/logs/series", "match", `{app="api"}`, "match", `{app='api'}`},
	} {
		if p, text := g.hinted(params[0], params[1:]...); p.Hint != "" {
			t.Errorf("%v: %s", params, text)
		}
	}
}

// refused is what explain says of a query that is refused.
func (g *gateway) refused(query string) api.QueryError {
	g.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		g.Fatal(err)
	}
	a := g.explain(string(body))
	var found api.RefusedQuery
	if err := json.Unmarshal([]byte(a.text), &found); err != nil || a.StatusCode != http.StatusOK || found.Valid != api.False {
		g.Errorf("%s: %d %s", query, a.StatusCode, a.text)
	}
	return found.Error
}

// TestExplainFindsWhatLokiRefusesLater guarantees that explain finds the regular expressions, filters, templates and
// expressions that Loki's parser lets pass and Loki refuses, and those whose place Loki's parser does not say, each with its place.
func TestExplainFindsWhatLokiRefusesLater(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, tt := range []struct {
		query, code, message string
		line, column         int
	}{
		{"{app=\"api\"}\n |~ `(a`", "loki_refused", "missing closing )", 2, 5},
		{`{app="api"} |~ "a" or "(b"`, "loki_refused", "missing closing )", 1, 23},
		{`{app="api"} !~ "x" !~ "[a"`, "loki_refused", "missing closing ]", 1, 23},
		{`sum(rate({app="ü"} |~ "a**" [1m]))`, "loki_refused", "invalid nested repetition operator", 1, 23},
		{`{app="api"} |= ip("300.1.1.1")`, "loki_refused", "invalid pattern", 1, 19},
		{`{app="api"} | json | addr = ip("300.1.1.1")`, "loki_refused", "invalid pattern", 1, 32},
		{`{app="api"} | line_format "{{.a"`, "loki_refused", "invalid line template", 1, 27},
		{`{app="api"} | label_format a="x", b="{{.c"`, "loki_refused", "invalid template for label 'b'", 1, 37},
		{`{app="api"} | label_format a=b, a=c`, "loki_refused", "multiple label name 'a'", 0, 0},
		{`{app=~"(a"}`, "query_invalid", "missing closing )", 1, 7},
		{`{app="api"} | json | level =~ "(a"`, "query_invalid", "missing closing )", 1, 31},
		{`{app="api"} | regexp "(?P<a>"`, "query_invalid", "missing closing )", 1, 22},
	} {
		e := g.refused(tt.query)
		var line, column int
		if e.Line != nil {
			line, column = *e.Line, *e.Column
		}
		if e.Code != tt.code || !strings.Contains(e.Message, tt.message) || line != tt.line || column != tt.column {
			t.Errorf("%s\n got %s at %d:%d: %s\nwant %s at %d:%d: %s", tt.query, e.Code, line, column, e.Message, tt.code, tt.line, tt.column, tt.message)
		}
	}
	for _, query := range []string{
		`{app="api"} |~ "a" or "b" |= ip("10.0.0.0/8") | json a="b.c[0]" | addr = ip("10.0.0.1-10.0.0.9") | line_format "{{.a}}"`,
		`{app="api"} |> "<_> a <_>" | logfmt a="b" | label_format c="{{.a}}", d=c | unpack | drop a, b="c" | decolorize`,
	} {
		if a := g.explain(`{"query":` + strconv.Quote(query) + `}`); !strings.Contains(a.text, `"valid":true`) {
			t.Errorf("%s: %s", query, a.text)
		}
	}
}
