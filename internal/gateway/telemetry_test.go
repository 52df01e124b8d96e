package gateway

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/testlog"
)

var update = flag.Bool("update", false, "write the table of metrics into deploy/prometheus/README.md")

// running is a whole gateway before a fake Loki, in this process.
type running struct {
	*testing.T

	gateway    *Gateway
	loki       *lokitest.Loki
	url, admin string
	token      string
	stop       func() // sends the signal and waits for the end
	stderr     *testlog.Buffer
}

// runGateway starts one, with everything on that shows something.
func runGateway(t *testing.T) *running {
	t.Helper()
	issuer, err := demo.StartIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = issuer.Close() })
	r := &running{T: t, stderr: &testlog.Buffer{}}
	if r.token, err = issuer.Token(demo.Claims{Subject: "alice", Tenant: "acme"}); err != nil {
		t.Fatal(err)
	}
	r.loki = lokitest.New(t, lokitest.Lines(map[string]string{"tenant_id": "acme", "app": "web"}, time.Now().Add(-time.Second), "a line"))
	limits := filepath.Join(t.TempDir(), "limits.yaml")
	if err := os.WriteFile(limits, []byte("tenants:\n  acme: {rate: 50}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load([]string{
		"LOGFENCE_LOKI_URL=" + r.loki.URL, "LOGFENCE_JWT_ISSUER=" + issuer.URL(), "LOGFENCE_JWT_JWKS_URL=" + issuer.URL() + "/jwks.json",
		"LOGFENCE_JWT_AUDIENCE=logfence", "LOGFENCE_DANGEROUSLY_ALLOW_HTTP_JWKS=true", "LOGFENCE_ADDR=127.0.0.1:0", "LOGFENCE_ADMIN_ADDR=127.0.0.1:0",
		"LOGFENCE_METRICS_TENANTS=5", "LOGFENCE_AUDIT_LOG=stderr", "LOGFENCE_LIMITS_FILE=" + limits,
		"LOGFENCE_REDIS_URL=redis://" + miniredis.RunT(t).Addr(),
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	if r.gateway, err = New(t.Context(), c, r.stderr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.gateway.Close)
	if err := r.gateway.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.url, r.admin = r.gateway.PublicURL(), r.gateway.AdminURL()
	ctx, signal := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.gateway.Serve(ctx) }()
	r.stop = sync.OnceFunc(func() {
		http.DefaultClient.CloseIdleConnections()
		signal()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		r.gateway.Close()
	})
	t.Cleanup(r.stop)
	return r
}

// send returns the status of a response, and reads it to its end.
func (r *running) send(token, path string, header ...string) int {
	r.Helper()
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		r.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		r.Fatal(err)
	}
	return response.StatusCode
}

func query(text string) string { return "/api/v1/logs/query?query=" + url.QueryEscape(text) }

// day is a few requests of each kind that shows something.
func (r *running) day() {
	r.Helper()
	for range 2 {
		r.send(r.token, query(`{app="web"}`))
	}
	r.send(r.token, query(`{app="web"`))
	r.send("", query(`{app="web"}`))
	r.send("", "/openapi.yaml")
	r.send(r.token, "/nothing")
}

// metrics is what /metrics of the admin listener reports, by the names of queries: a histogram has three.
func (r *running) metrics() map[string]*dto.MetricFamily {
	r.Helper()
	body, err := getAll(r.admin + "/metrics")
	if err != nil {
		r.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	for name, family := range maps.Clone(families) {
		if family.GetType() == dto.MetricType_HISTOGRAM {
			delete(families, name)
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				families[name+suffix] = family
			}
		}
	}
	return families
}

// TestMetricsAreDocumented guarantees that every metric of logfence's own is in deploy/prometheus/README.md,
// and that every one in it is there after a few requests. After a change:
//
//	go test ./internal/gateway -run Documented -update
func TestMetricsAreDocumented(t *testing.T) {
	r := runGateway(t)
	r.day()
	exposed := r.metrics()
	described := map[string]bool{}
	for _, d := range r.gateway.metrics.Descriptions() {
		described[d.Name] = true
		name := d.Name
		if d.Type == "histogram" {
			name += "_bucket"
		}
		if exposed[name] == nil {
			t.Errorf("%s is described and not exposed", name)
		}
	}
	for name, family := range exposed {
		if strings.HasPrefix(name, "logfence_") && !described[family.GetName()] {
			t.Errorf("%s is exposed and not described", name)
		}
	}
	file := filepath.Join("..", "..", "deploy", "prometheus", "README.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- metrics -->\n", "<!-- /metrics -->"
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", file)
	}
	want := before + begin + r.gateway.metrics.Markdown() + end + after
	if string(text) == want {
		return
	}
	if !*update {
		t.Fatalf("%s is stale; run: go test ./internal/gateway -run Documented -update", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTracesOfAGateway guarantees that a request through the whole gateway is one trace, from the caller to
// Loki, that its last spans are sent before the process ends, and that no query is in it.
func TestTracesOfAGateway(t *testing.T) {
	spans := make(chan *otlp.Span, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err := errors.Join(err, proto.Unmarshal(raw, &request)); err != nil || bytes.Contains(raw, []byte("a-private-text")) {
			t.Errorf("received %v, %q", err, raw)
		}
		for _, of := range request.GetResourceSpans() {
			for _, scope := range of.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					spans <- span
				}
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(receiver.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", receiver.URL+"/v1/traces")
	r := runGateway(t)
	r.loki.Forget()
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	status := r.send(r.token, query(`{app="web"} | line_format "a-private-text"`), "Traceparent", "00-"+trace+"-00f067aa0ba902b7-01", "Baggage", "a=b")
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	requests := r.loki.Requests()
	if len(requests) != 1 || !strings.HasPrefix(requests[0].Header.Get("Traceparent"), "00-"+trace+"-") || requests[0].Header.Get("Baggage") != "" {
		t.Errorf("Loki received %v", requests)
	}
	r.stop()
	close(spans)
	var names []string
	for span := range spans {
		if id := span.GetTraceId(); len(id) == 16 && id[0] == 0x4b {
			names = append(names, span.GetName())
		}
	}
	slices.Sort(names)
	if want := []string{"fence", "loki", "queryLogs", "token"}; !slices.Equal(names, want) {
		t.Errorf("the trace has %q, want %q", names, want)
	}
	if want := `"trace_id":"` + trace + `"`; !strings.Contains(r.stderr.String(), want) {
		t.Errorf("the log lacks %s:\n%s", want, r.stderr)
	}
}
