package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/demo"
)

// TestWallsOfLoki guarantees what docs/isolation.md promises of Loki's own layers, on a real Loki: the probe finds those that are
// there and no others, and operators see them; with either, Loki refuses range queries and detected fields whose selector has
// lost the tenant's matcher on the way, which is how a mistake of the fence would arrive. It does not refuse what is none of these.
func TestWallsOfLoki(t *testing.T) {
	t.Parallel()
	needsIngester(t)
	for _, tt := range []struct {
		name                      string
		labelsRequired, perLimits bool
	}{{"neither", false, false}, {"required_labels", true, false}, {"per_request_limits", false, true}, {"both", true, true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			args := lokiArgs
			if tt.labelsRequired {
				args = append(args[:len(args):len(args)], "-runtime-config.file="+requiringLabels(t))
			}
			if tt.perLimits {
				args = append(args[:len(args):len(args)], "-querier.per-request-limits-enabled=true")
			}
			l, err := on.startLoki(t.Context(), demo.LokiOptions{Args: args})
			noErrorNow(t, err)
			t.Cleanup(func() { noError(t, l.Close()) })
			w := on.fresh
			noErrorNow(t, l.Push(t.Context(), append(w.logs(alphas), w.logs(others)...)...))
			losing := losesTheFence(t, l)
			address := freeAddress(t)
			g, err := startGateway(t.Context(), on.binary, on.issuer, losing, "LOGFENCE_ADMIN_ADDR="+address)
			noErrorNow(t, err)
			t.Cleanup(func() { noError(t, g.stop()) })
			wallsAreShown(t, g, address, tt.labelsRequired, tt.perLimits)
			wallsHold(t, g, w, tt.labelsRequired || tt.perLimits && on.configuration.OrgID != "{tenant}")
			if tt.perLimits && !tt.labelsRequired {
				boundsAreRead(t, l, w)
			}
		})
	}
}

// boundsAreRead checks that Loki reads each bound of X-Loki-Query-Limits in the form in which logfence sends it (queryLimits of
// internal/loki): Loki ignores a header that it cannot parse, and a member that it does not know.
func boundsAreRead(t *testing.T, l *demo.Loki, w window) {
	t.Helper()
	if on.configuration.OrgID == "{tenant}" {
		return // the lines are another organization's
	}
	noErrorNow(t, l.Flush(t.Context())) // what Loki would read is known of stored logs alone
	lines, count := `{app="checkout"}`, `sum(count_over_time({app="checkout"}[1m]))`
	for _, tt := range []struct{ bound, query, refusal string }{
		{`"maxQueryLength":"60000ms"`, lines, "the query time range exceeds the limit"},
		{`"maxQueryInterval":"1000ms"`, count, "[interval] value exceeds limit"},
		{`"maxEntriesLimitPerQuery":1`, lines, "max entries limit per query exceeded"},
		{`"maxQueryBytesRead":"1B"`, count, "the query would read too many bytes"},
		{`"maxQueryTime":"1ms"`, count, "equest timed out"},
		{`"maxQueryLength":"604800000ms","maxQueryInterval":"3600000ms","maxEntriesLimitPerQuery":5000,"maxQueryTime":"60000ms","maxQueryBytesRead":"10995116B"`, count, ""},
	} {
		if ignored := strings.Contains(tt.bound, "Interval") || strings.Contains(tt.bound, "Bytes"); ignored && demo.Older(on.binaries.Version, "3.7") {
			continue // 3.1.2 and 3.3.4 read them with no request; logfence enforces both itself
		}
		params := url.Values{"query": {tt.query}, "start": {nanoseconds(w.start)}, "end": {nanoseconds(w.end)}, "limit": {"10"}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.URL()+"/loki/api/v1/query_range?"+params.Encode(), nil)
		noErrorNow(t, err)
		r.Header.Set("X-Loki-Query-Limits", `{"requiredLabels":["app"],`+tt.bound+`}`)
		if orgID := on.configuration.OrgID; orgID != "" {
			r.Header.Set("X-Scope-OrgID", orgID)
		}
		a, err := do(r)
		noErrorNow(t, err)
		if refused := a.status != http.StatusOK; refused != (tt.refusal != "") || !bytes.Contains(a.body, []byte(tt.refusal)) {
			t.Errorf("%s: %d %.300s, want %q", tt.bound, a.status, a.body, tt.refusal)
		}
	}
}

// requiringLabels writes limits that require the tenant's label, for every organization of the tests.
func requiringLabels(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("overrides:\n")
	for _, org := range []string{"fake", "shared", demo.Alpha} {
		fmt.Fprintf(&text, "  %s: {required_labels: [%s]}\n", org, tenantLabel)
	}
	path := filepath.Join(t.TempDir(), "limits.yaml")
	noErrorNow(t, os.WriteFile(path, []byte(text.String()), 0o600))
	return path
}

// losesTheFence is a proxy before Loki that takes the fence's matcher out of every query.
func losesTheFence(t *testing.T, l *demo.Loki) (base string) {
	t.Helper()
	to, err := url.Parse(l.URL())
	noErrorNow(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		params := r.In.URL.Query()
		for name, values := range params {
			for i := range values {
				values[i] = strings.NewReplacer(tenantLabel+`="alpha",`, "", tenantLabel+`="alpha"}`, `app=~".+"}`).Replace(values[i])
			}
			params[name] = values
		}
		r.Out.URL.RawQuery = params.Encode()
	}}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

// wallsAreShown checks /readyz, the metric and `logfence check --live`.
func wallsAreShown(t *testing.T, g *gateway, address string, labelsRequired, perLimits bool) {
	t.Helper()
	_, ready, err := get(t.Context(), g.admin+"/readyz")
	noErrorNow(t, err)
	_, metrics, err := get(t.Context(), g.admin+"/metrics")
	noErrorNow(t, err)
	check := exec.CommandContext(t.Context(), on.binary, "check", "--live")
	check.Env = []string{"LOGFENCE_ADMIN_ADDR=" + address}
	live, err := check.CombinedOutput()
	if err != nil {
		t.Fatalf("check --live: %v: %s", err, live)
	}
	for name, there := range map[string]bool{"required_labels": labelsRequired, "per_request_limits": perLimits, "label_policies": false} {
		state, number := "absent", 0
		switch {
		case on.configuration.OrgID == "{tenant}" || name == "label_policies" && on.configuration.OrgID == "": // there is no organization to probe with
			state = "unknown"
		case there:
			state, number = "present", 1
		}
		if !bytes.Contains(ready, fmt.Appendf(nil, "%q:%q", name, state)) {
			t.Errorf("want %s %s in /readyz: %s", name, state, ready)
		}
		if line := fmt.Sprintf("logfence_upstream_wall{wall=%q} %d\n", name, number); !bytes.Contains(metrics, []byte(line)) {
			t.Errorf("no %q in the metrics", line)
		}
		if line := fmt.Sprintf("Loki's %s: %s\n", name, state); !bytes.Contains(live, []byte(line)) {
			t.Errorf("no %q from check --live: %s", line, live)
		}
	}
}

// wallsHold sends requests whose matcher is lost on the way to Loki.
func wallsHold(t *testing.T, g *gateway, w window, held bool) {
	t.Helper()
	leaks := func(a response) bool {
		return slices.ContainsFunc(marks, func(m string) bool { return bytes.Contains(a.body, []byte(m)) })
	}
	refused := []request{
		{path: "/api/v1/logs/query", params: with(w.between(), "query", `{app="checkout"}`)},
		{path: "/loki/api/v1/query_range", params: with(w.between(), "query", `sum by (namespace) (count_over_time({app=~".+"}[1m]))`)},
	}
	// Where these walls end.
	passed := []request{
		{path: "/api/v1/logs/query/instant", params: with(url.Values{"time": {nanoseconds(w.end)}}, "query", `sum by (namespace) (count_over_time({app="checkout"}[30m]))`)},
		{path: "/api/v1/logs/labels", params: w.between()},
		{path: "/api/v1/logs/series", params: with(w.between(), "match", `{app="checkout"}`)},
		{path: "/api/v1/logs/volume", params: with(w.between(), "query", `{app=~".+"}`, "targetLabels", "namespace")},
	}
	fields := request{path: "/api/v1/logs/fields", params: with(w.between(), "query", `{app="checkout"}`)}
	if early() {
		passed = append(passed, fields)
	} else {
		refused = append(refused, fields)
	}
	for _, r := range refused {
		switch a := g.send(t, r); {
		case held && (a.status == http.StatusOK || leaks(a)):
			t.Errorf("%s: Loki has not refused it: %d %.300s", r, a.status, a.body)
		case !held && !leaks(a):
			t.Errorf("%s: nothing is lost on the way; this test shows nothing: %d %.300s", r, a.status, a.body)
		}
	}
	for _, r := range passed {
		if a := g.send(t, r); a.status != http.StatusOK || !leaks(a) {
			t.Errorf("%s: docs/isolation.md says that Loki does not refuse it: %d %.300s", r, a.status, a.body)
		}
	}
}
