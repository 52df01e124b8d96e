package httpapi

import (
	"cmp"
	"net/http"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
)

// TestDrilldown guarantees that Loki gets Logs Drilldown's tag, as a constant, for nothing but a request on Loki's surface
// that has exactly this tag.
func TestDrilldown(t *testing.T) {
	t.Parallel()
	const tag = "Source=grafana-lokiexplore-app"
	for _, tt := range []struct {
		name, path string
		sent       []string
		want       string
	}{
		{"a query of the app", "/loki/api/v1/query_range", []string{tag}, tag},
		{"a native query", "/api/v1/logs/query", []string{tag}, ""},
		{"an export", "/api/v1/logs/export", []string{tag}, ""},
		{"patterns", "/loki/api/v1/patterns", []string{tag}, ""},
		{"fields", "/loki/api/v1/detected_fields", []string{tag}, ""},
		{"another source", "/loki/api/v1/query_range", []string{"Source=explore"}, ""},
		{"more tags", "/loki/api/v1/query_range", []string{tag + ",Feature=x"}, ""},
		{"more tags before it", "/loki/api/v1/query_range", []string{"Feature=x," + tag}, ""},
		{"in lower case", "/loki/api/v1/query_range", []string{strings.ToLower(tag)}, ""},
		{"twice", "/loki/api/v1/query_range", []string{tag, tag}, ""},
		{"none", "/loki/api/v1/query_range", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			r := g.request(http.MethodGet, tt.path, "query", `{app="api"}`)
			r.Header["X-Query-Tags"] = tt.sent
			if a := g.send(alphaToken, r); a.StatusCode != http.StatusOK {
				t.Fatalf("%d %s", a.StatusCode, a.text)
			}
			for _, arrived := range g.loki.Requests() {
				if got, want := strings.Join(arrived.Header["X-Query-Tags"], ";"), cmp.Or(tt.want, "Source=logfence")+",tenant=alpha"; got != want {
					t.Errorf("%q arrived, want %q", got, want)
				}
			}
		})
	}
}

// TestDrilldownLimits guarantees that Logs Drilldown reads the limits of the caller's own tenant, in Loki's shape, and
// whether Loki detects patterns.
func TestDrilldownLimits(t *testing.T) {
	t.Parallel()
	g := newGateway(t, withLimits(t, func(c *limits.Config) { c.MaxLines = 777 }))
	const path = "/loki/api/v1/drilldown-limits"
	want := `{"limits":{"max_entries_limit_per_query":777,"max_query_length":"30d1h","max_query_range":"30d","query_timeout":"1m"},` +
		`"pattern_ingester_enabled":true,"version":"`
	if a := g.get(alphaToken, path); a.StatusCode != http.StatusOK || !strings.HasPrefix(a.text, want) {
		t.Errorf("%d %s\nwant %s", a.StatusCode, a.text, want)
	}
	for _, r := range g.loki.Requests() {
		if query := r.Params.Get("query"); strings.HasSuffix(r.Path, "/patterns") && query != everyone {
			t.Errorf("the request for patterns has %s", query)
		}
	}
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/patterns") {
			lokitest.Fail(http.StatusNotFound, "not found").ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"version":"3.7.8"}`))
	}))
	if a := g.get(alphaToken, path); a.StatusCode != http.StatusOK || !strings.Contains(a.text, `"pattern_ingester_enabled":false`) {
		t.Errorf("without patterns: %d %s", a.StatusCode, a.text)
	}
	g.loki.Instead(lokitest.Fail(http.StatusInternalServerError, "beta's secret"))
	if a := g.get(alphaToken, path); a.StatusCode != http.StatusBadGateway || strings.Contains(a.text, "beta") {
		t.Errorf("where Loki fails: %d %s", a.StatusCode, a.text)
	}
}

// TestRules guarantees that Grafana's alerting finds no rules and no alerts, in Loki's shapes, behind a token, and that
// Loki is sent nothing for it.
func TestRules(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, tt := range []struct {
		path, want string
		status     int
	}{
		{"/prometheus/api/v1/rules", `{"data":{"groups":[]},"status":"success"}`, 200},
		{"/prometheus/api/v1/rules?type=alert", `{"data":{"groups":[]},"status":"success"}`, 200},
		{"/prometheus/api/v1/alerts", `{"data":{"alerts":[]},"status":"success"}`, 200},
		{"/loki/api/v1/rules", "no rule groups found", 404},
	} {
		if a := g.get(alphaToken, tt.path); a.StatusCode != tt.status || strings.TrimSpace(a.text) != tt.want {
			t.Errorf("%s: %d %s, want %d %s", tt.path, a.StatusCode, a.text, tt.status, tt.want)
		}
		if a := g.get("", tt.path); a.StatusCode != http.StatusUnauthorized || strings.HasPrefix(a.text, "{") {
			t.Errorf("%s without a token: %d %s", tt.path, a.StatusCode, a.text)
		}
	}
	if a := g.get(alphaToken, "//prometheus/api/v1/rules"); a.StatusCode != http.StatusMovedPermanently || a.Header.Get("Location") != "/prometheus/api/v1/rules" {
		t.Errorf("two slashes: %d %s", a.StatusCode, a.Header.Get("Location"))
	}
	if n := len(g.loki.Requests()); n > 0 {
		t.Errorf("%d requests arrived at Loki", n)
	}
	off := newGateway(t, func(c *Config, _ *loki.Config) { c.Compat = false })
	for _, path := range []string{"/prometheus/api/v1/rules", "/prometheus/api/v1/alerts", "/loki/api/v1/rules"} {
		if a := off.get(alphaToken, path); a.StatusCode != http.StatusNotFound || strings.Contains(a.text, "rule groups") {
			t.Errorf("%s with the surface turned off: %d %s", path, a.StatusCode, a.text)
		}
	}
}
