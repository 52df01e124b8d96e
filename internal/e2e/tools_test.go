package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/demo"
)

// TestFormatQuery guarantees that format_query, which logfence serves without Loki, prints what Loki
// prints, and says of each query of the tests what Loki says: valid or not.
func TestFormatQuery(t *testing.T) {
	t.Parallel()
	formatted := 0
	for i, q := range append(logQueries[:len(logQueries):len(logQueries)], metricQueries...) {
		text := strings.ReplaceAll(q.text, "$span", "5m")
		d := []route{{http.MethodGet, "/loki/api/v1/format_query"}, {http.MethodPost, "/loki/api/v1/format_query"}}[i%2]
		a := on.gateway.send(t, request{method: d.method, path: d.path, params: url.Values{"query": {text}}})
		direct := sendToLoki(t, on.alone, request{path: d.path, params: url.Values{"query": {q.toLokiAt("5m")}}})
		if q.direct != "" { // Loki would not take the text itself
			continue
		}
		if a.status != direct.status {
			t.Errorf("%s: %d %s, directly %d %s", text, a.status, a.body, direct.status, direct.body)
		} else if a.status == http.StatusOK && !bytes.Equal(canonical(t, a.body), canonical(t, direct.body)) {
			t.Errorf("%s: %s, directly %s", text, a.body, direct.body)
		} else if a.status == http.StatusOK {
			formatted++
		}
	}
	t.Logf("%d queries formatted alike", formatted)
}

// TestExplain guarantees that what explain tells is what Loki makes of the query: its text gives from
// the mixed Loki, directly, what alpha's own text gives from the Loki that is alpha's alone.
func TestExplain(t *testing.T) {
	t.Parallel()
	w := on.fresh
	for _, q := range append(metricQueries[:len(metricQueries):len(metricQueries)], logQueries...) {
		if q.empty {
			continue
		}
		text := strings.ReplaceAll(q.text, "$span", w.steps)
		body, err := json.Marshal(map[string]string{"query": text})
		if err != nil {
			t.Fatal(err)
		}
		a := on.gateway.send(t, request{method: http.MethodPost, path: "/api/v1/logs/explain", body: string(body)})
		var explained struct {
			Valid     bool
			Kind      string
			Fenced    string
			Selectors []struct{ Text string }
		}
		if err := json.Unmarshal(a.body, &explained); err != nil || !explained.Valid {
			t.Errorf("%s: %d %s", text, a.status, a.body)
			continue
		}
		if n := strings.Count(explained.Fenced, `tenant_id="alpha"`) + strings.Count(explained.Fenced, `tenant_id=~"alpha"`); n < len(explained.Selectors) {
			t.Errorf("%s: %d selectors, and the tenant's matcher %d times in %s", text, len(explained.Selectors), n, explained.Fenced)
		}
	}
	a := on.gateway.send(t, request{method: http.MethodPost, path: "/api/v1/logs/explain", body: `{"query":"{app=\"checkout\""}`})
	if a.status != http.StatusOK || !bytes.Contains(a.body, []byte(`"valid":false`)) || !bytes.Contains(a.body, []byte(`"column":16`)) {
		t.Errorf("explain of a malformed query: %d %s", a.status, a.body)
	}
}

// TestExplainRefusesWhatLokiRefuses guarantees that what explain finds beyond Loki's parser is what Loki refuses, and has its place.
func TestExplainRefusesWhatLokiRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{app="checkout"} |~ "(a"`,
		`{app="checkout"} |= "a" !~ "[b"`,
		`sum(count_over_time({app="checkout"} |~ "a**" [1m]))`,
		`{app="checkout"} |= ip("300.1.1.1")`,
		`{app="checkout"} | json | addr = ip("300.1.1.1")`,
		`{app="checkout"} | line_format "{{.a"`,
		`{app="checkout"} | label_format a="{{.b"`,
	} {
		params := with(url.Values{}, "query", text, "since", "1h")
		var problem struct{ Code, Detail string }
		a := on.gateway.send(t, request{path: "/api/v1/logs/query", params: params})
		if err := json.Unmarshal(a.body, &problem); err != nil || a.status != http.StatusBadRequest || problem.Code != "loki_refused" {
			t.Errorf("%s: run: %d %s", text, a.status, a.body)
		}
		if direct := sendToLoki(t, on.alone, request{path: "/loki/api/v1/query_range", params: params}); direct.status != http.StatusBadRequest {
			t.Errorf("%s: directly: %d %s", text, direct.status, direct.body)
		}
		body, err := json.Marshal(map[string]string{"query": text})
		noErrorNow(t, err)
		var explained struct {
			Valid bool
			Error struct {
				Code, Message string
				Line, Column  int
			}
		}
		a = on.gateway.send(t, request{method: http.MethodPost, path: "/api/v1/logs/explain", body: string(body)})
		if err := json.Unmarshal(a.body, &explained); err != nil || explained.Valid || explained.Error.Code != problem.Code || explained.Error.Line != 1 ||
			!strings.HasPrefix(text[max(explained.Error.Column-1, 0):], `"`) {
			t.Errorf("%s: explained: %d %s", text, a.status, a.body)
		}
	}
}

// TestBuildInfo guarantees that clients which probe for Loki's version find the one behind.
func TestBuildInfo(t *testing.T) {
	t.Parallel()
	version := func(a response) string {
		var info struct{ Version string }
		if err := json.Unmarshal(a.body, &info); err != nil {
			t.Fatalf("%v: %s", err, a.body)
		}
		return info.Version
	}
	r := request{path: "/loki/api/v1/status/buildinfo"}
	if got, want := version(on.gateway.send(t, r)), version(sendToLoki(t, on.alone, r)); got != want || got == "" {
		t.Errorf("version %q, Loki's is %q", got, want)
	}
}

// TestNoRules guarantees that Grafana's alerting finds no rules, in the words of a Loki that has none.
func TestNoRules(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path, want string
		status     int
	}{
		{"/prometheus/api/v1/rules", `"groups":[]`, http.StatusOK},
		{"/prometheus/api/v1/alerts", `"alerts":[]`, http.StatusOK},
		{"/loki/api/v1/rules", "no rule groups found", http.StatusNotFound},
	} {
		r := request{path: tt.path}
		if a := on.gateway.send(t, r); a.status != tt.status || !strings.Contains(string(a.body), tt.want) {
			t.Errorf("%s: %d %s", tt.path, a.status, a.body)
		}
		// The demo's Loki has no folder of rules, for which it reports that instead.
		if a := sendToLoki(t, on.alone, r); tt.status == http.StatusOK && (a.status != tt.status || !strings.Contains(string(a.body), tt.want)) {
			t.Errorf("%s of Loki: %d %s", tt.path, a.status, a.body)
		}
	}
}

// TestNothingElse guarantees that what Loki has besides its read API is not reached, by any method.
func TestNothingElse(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/loki/api/v1/push", "/otlp/v1/logs", "/loki/api/v1/delete", "/loki/api/v1/rules/x", "/ruler/rule_groups", "/loki/api/v1/index/shards", "/flush",
		"/ingester/shutdown", "/ring", "/config", "/metrics", "/services", "/memberlist", "/api/prom/query", "/debug/pprof/", "/loki",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
			req, err := request{method: method, path: path}.build(t.Context(), on.gateway.public)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+tokenOf(t, demo.Claims{Tenant: demo.Alpha}))
			a, err := do(req)
			if err != nil {
				t.Fatal(err)
			}
			if a.status != http.StatusNotFound {
				t.Errorf("%s %s returns %d %.200s", method, path, a.status, a.body)
			}
		}
	}
}
