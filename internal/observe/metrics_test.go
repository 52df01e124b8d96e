package observe

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestMetrics guarantees that decisions are counted by operation and code, that figures of others are
// read when they are asked for, and that nothing a caller wrote becomes a label.
func TestMetrics(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	r := NewRecorder(slog.New(slog.DiscardHandler), WithMetrics(m))
	age := 1.0
	m.Gauge("logfence_jwt_keys_age_seconds", "x", map[string]string{"issuer": "https://id.example"}, func() float64 { return age })
	r.Record(t.Context(), Decision{Operation: "queryLogs", Status: 200, Bytes: 10, Duration: time.Second, Asked: []string{`{a="secret"}`}, Tenants: []string{"acme"}, Subject: "ann"})
	r.Record(t.Context(), Decision{Operation: "queryLogs", Status: 200, Bytes: 5})
	r.Record(t.Context(), Decision{Operation: "queryLogs", Status: 400, Code: "query_invalid"})
	r.Record(t.Context(), Decision{Status: 404, Code: "not_found"})
	age = 7
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	body := w.Body.String()
	for _, want := range []string{
		`logfence_requests_total{code="ok",operation="queryLogs"} 2`,
		`logfence_requests_total{code="query_invalid",operation="queryLogs"} 1`,
		`logfence_requests_total{code="not_found",operation="none"} 1`,
		`logfence_answer_bytes_total{operation="queryLogs"} 15`,
		`logfence_request_duration_seconds_count{operation="queryLogs"} 3`,
		`logfence_jwt_keys_age_seconds{issuer="https://id.example"} 7`,
		`process_resident_memory_bytes`, `go_goroutines`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	for _, unwanted := range []string{"secret", "acme", "ann"} {
		if strings.Contains(body, `"`+unwanted) {
			t.Errorf("the metrics name %s", unwanted)
		}
	}
}
