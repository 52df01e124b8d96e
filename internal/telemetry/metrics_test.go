package telemetry

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/tenant"
)

// TestMetrics guarantees that decisions are counted by operation and code, that figures of others are
// read at each scrape, and that nothing a caller wrote becomes a label.
func TestMetrics(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	r := NewRecorder(slog.New(slog.DiscardHandler), WithMetrics(m))
	age := 1.0
	m.Gauge("logfence_jwt_keys_age_seconds", "x", map[string]string{"issuer": "https://id.example"}, func() float64 { return age })
	r.Record(t.Context(), audit.AccessRecord{Operation: "queryLogs", Status: 200, Bytes: 10, Duration: time.Second, Requested: []string{`{a="secret"}`}, Tenants: []tenant.Name{"acme"}, Subject: "ann"})
	r.Record(t.Context(), audit.AccessRecord{Operation: "queryLogs", Status: 200, Bytes: 5})
	r.Record(t.Context(), audit.AccessRecord{Operation: "queryLogs", Status: 400, Code: "query_invalid"})
	r.Record(t.Context(), audit.AccessRecord{Status: 404, Code: "not_found"})
	age = 7
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	body := w.Body.String()
	for _, want := range []string{
		`logfence_requests_total{code="ok",operation="queryLogs"} 2`,
		`logfence_requests_total{code="query_invalid",operation="queryLogs"} 1`,
		`logfence_requests_total{code="not_found",operation="none"} 1`,
		`logfence_requests_total{code="internal",operation="none"} 0`,
		`logfence_response_bytes_total{operation="queryLogs"} 15`,
		`logfence_request_duration_seconds_count{operation="queryLogs"} 3`,
		`logfence_jwt_keys_age_seconds{issuer="https://id.example"} 7`,
		`process_resident_memory_bytes`, `go_goroutines`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	for _, d := range m.Descriptions() {
		if !strings.Contains(body, "# HELP "+d.Name+" "+d.Help+"\n# TYPE "+d.Name+" "+d.Type+"\n") && !strings.Contains(d.Name, "upstream") {
			t.Errorf("%s is described, and not there so", d.Name)
		}
	}
	for _, unwanted := range []string{"secret", "acme", "ann"} {
		if strings.Contains(body, `"`+unwanted) {
			t.Errorf("the metrics name %s", unwanted)
		}
	}
}

// TestInFlight guarantees that a request is counted from when it is known what for until it is recorded.
func TestInFlight(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	r := NewRecorder(slog.New(slog.DiscardHandler), WithMetrics(m))
	d := &audit.AccessRecord{}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api?a=b", strings.NewReader("query"))
	in := r.Start(request.Context(), request, d)
	r.Route(in.Context(), "queryLogs", "/api")
	wantLines(t, m, `logfence_requests_in_flight{operation="queryLogs"} 1`)
	r.Record(in.Context(), *d)
	wantLines(t, m, `logfence_requests_in_flight{operation="queryLogs"} 0`, `logfence_request_bytes_total{operation="queryLogs"} 13`)
}

// TestPerTenant guarantees that tenants are named only where that is enabled, only so many of them, and
// none in another's place, whatever a token holds.
func TestPerTenant(t *testing.T) {
	t.Parallel()
	m := NewMetrics(PerTenant(2))
	r := NewRecorder(slog.New(slog.DiscardHandler), WithMetrics(m))
	for _, names := range [][]tenant.Name{
		{"(other)"}, {"acme"}, {"beta"}, {"gamma"}, {"acme"}, {"acme", "beta"}, {"gamma"}, {"other"}, {"\xff"}, {tenant.Name(strings.Repeat("x", 129))}, {""}, nil,
	} {
		r.Record(t.Context(), audit.AccessRecord{Operation: "me", Tenants: names, Status: 200, Bytes: 3, Duration: time.Second})
	}
	r.Record(t.Context(), audit.AccessRecord{Operation: "me", Tenants: []tenant.Name{"beta"}, Status: 403, Code: "x"})
	// By a grant of every tenant, narrowed or not: it counts for none of them.
	for _, names := range [][]tenant.Name{{tenant.Any}, {"acme"}} {
		r.Record(t.Context(), audit.AccessRecord{Operation: "me", Tenants: names, AnyTenant: true, Status: 200})
	}
	wantLines(t, m,
		`logfence_any_tenant_requests_total 2`,
		`logfence_tenant_requests_total{outcome="granted",tenant="(any)"} 2`,
		`logfence_tenant_requests_total{outcome="granted",tenant="acme"} 2`,
		`logfence_tenant_requests_total{outcome="granted",tenant="beta"} 1`,
		`logfence_tenant_requests_total{outcome="refused",tenant="beta"} 1`,
		`logfence_tenant_requests_total{outcome="granted",tenant="(several)"} 1`,
		`logfence_tenant_requests_total{outcome="granted",tenant="(other)"} 7`,
		`logfence_tenant_response_bytes_total{tenant="acme"} 6`,
		`logfence_tenant_request_seconds_total{tenant="acme"} 2`,
	)
	if body := scrape(t, m); strings.Contains(body, "gamma") {
		t.Error("a third tenant is named")
	}
	if strings.Contains(NewMetrics(PerTenant(0)).Markdown(), "logfence_tenant_requests") {
		t.Error("tenants are named though that is not enabled")
	}
}

// TestNames guarantees that metrics are named as Prometheus's users expect.
func TestNames(t *testing.T) {
	t.Parallel()
	m := NewMetrics(PerTenant(1))
	r := NewRecorder(slog.New(slog.DiscardHandler), WithMetrics(m))
	r.Record(t.Context(), audit.AccessRecord{Operation: "me", Tenants: []tenant.Name{"acme"}, Status: 200})
	_ = m.upstreamMetrics("me")
	problems, err := promlint.New(strings.NewReader(scrape(t, m))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
