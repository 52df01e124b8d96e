package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// TestProfilesAreForOperators guarantees that profiles are on the admin listener alone, and there only where
// the operator wants them; and that callers reach none of what is on it.
func TestProfilesAreForOperators(t *testing.T) {
	t.Parallel()
	paths := []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine", "/debug/pprof/cmdline", "/debug/pprof/symbol"}
	status := func(h http.Handler, path string) int {
		w := newRecorder()
		h.ServeHTTP(w, newProbe(t, path))
		return w.Code
	}
	with := newGateway(t, func(c *Config, _ *loki.Config) { c.Profiles, c.Metrics = true, telemetry.NewMetrics().Handler() })
	without := newGateway(t)
	for _, path := range paths {
		if got := status(with.server.Admin(), path); got != http.StatusOK {
			t.Errorf("%s of the admin listener: %d", path, got)
		}
		if got := status(without.server.Admin(), path); got != http.StatusNotFound {
			t.Errorf("%s where it is not wanted: %d", path, got)
		}
	}
	for _, path := range append(paths, "/metrics", "/healthz", "/readyz", "/debug/pprof/profile?seconds=1", "/debug/pprof/trace", "/debug/vars") {
		if got := with.get(alphaToken, path); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s for callers: %d", path, got.StatusCode)
		}
	}
}

// TestUnprovenIsCounted guarantees that a failed proof is told from all else that is wrong with a query.
func TestUnprovenIsCounted(t *testing.T) {
	t.Parallel()
	fence, err := tenancy.New(tenancy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	scope, err := fence.Scope([]tenant.Name{"acme"}, "")
	if err != nil {
		t.Fatal(err)
	}
	_, unknown := scope.Query(`variants(count_over_time({a="b"}[1m])) of ({a="b"}[1m])`)
	_, invalid := scope.Query(`{a="b"`)
	// There is none to be had: the reason is that of a proof that fails, which prove_test.go holds.
	failed := &tenancy.UnsupportedError{Reason: "logfence could not prove that this query stays within the tenant; please report it"}
	for _, tt := range []struct {
		err  error
		want bool
	}{{failed, true}, {fmt.Errorf("query: %w", failed), true}, {unknown, false}, {invalid, false}, {errors.New("x"), false}, {nil, false}} {
		if got := unproven(tt.err); got != tt.want {
			t.Errorf("unproven(%v) = %t", tt.err, got)
		}
	}
}

// TestSight guarantees what is counted of requests on their way, and that the requests of one operation to
// Loki are counted as its own.
func TestSight(t *testing.T) {
	t.Parallel()
	metrics := telemetry.NewMetrics()
	g := newGateway(t, func(c *Config, _ *loki.Config) {
		c.Recorder = telemetry.NewRecorder(c.Log, telemetry.WithMetrics(metrics))
		c.Metrics = metrics.Handler()
	})
	for range 2 { // the second is remembered
		g.get(alphaToken, "/api/v1/logs/query", "query", `{app="api"}`)
	}
	g.get(alphaToken, "/api/v1/logs/query", "query", `{app="api"`)
	g.get("", "/api/v1/logs/query", "query", `{app="api"}`)
	w := httptest.NewRecorder()
	g.server.Admin().ServeHTTP(w, newProbe(t, "/metrics"))
	for _, want := range []string{
		`logfence_requests_total{code="ok",operation="queryLogs"} 2`,
		`logfence_requests_total{code="query_invalid",operation="queryLogs"} 1`,
		`logfence_requests_total{code="unauthorized",operation="queryLogs"} 1`,
		`logfence_requests_in_flight{operation="queryLogs"} 0`,
		`logfence_fence_duration_seconds_count 2`,
		`logfence_fence_wait_seconds_count 2`,
		`logfence_fence_cache_hits_total 1`,
		`logfence_fence_unproven_total 0`,
		`logfence_upstream_requests_total{operation="queryLogs",outcome="ok"} 2`,
	} {
		if !strings.Contains(w.Body.String(), "\n"+want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
}
