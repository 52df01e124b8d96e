package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/tenant"
)

// otlpReceiver is a collector of traces.
type otlpReceiver struct {
	*httptest.Server

	mu       sync.Mutex
	spans    []*otlp.Span
	resource string
	raw      bytes.Buffer
}

func newReceiver(t *testing.T) *otlpReceiver {
	t.Helper()
	c := &otlpReceiver{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unzipped
		}
		raw, err := io.ReadAll(body)
		var request collector.ExportTraceServiceRequest
		if err := errors.Join(err, proto.Unmarshal(raw, &request)); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(raw)
		for _, of := range request.GetResourceSpans() {
			c.resource = of.GetResource().String()
			for _, scope := range of.GetScopeSpans() {
				c.spans = append(c.spans, scope.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// start starts traces that go to the collector, and gives what sends the last of them. It sets the
// process's environment, so that its tests do not run in parallel.
func (c *otlpReceiver) start(t *testing.T, log *slog.Logger, env ...string) (tracing *Tracing, flush func()) {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	for i := 0; i+1 < len(env); i += 2 {
		t.Setenv(env[i], env[i+1])
	}
	tracing = StartTracing(t.Context(), "v1", log)
	if tracing == nil {
		t.Fatal("there are no traces")
	}
	flush = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := tracing.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(flush)
	return tracing, flush
}

func (c *otlpReceiver) span(t *testing.T, name string) *otlp.Span {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.spans, func(s *otlp.Span) bool { return s.GetName() == name })
	if i < 0 {
		t.Fatalf("there is no span %s in %v", name, c.spans)
	}
	return c.spans[i]
}

const (
	callersTrace  = "4bf92f3577b34da6a3ce929d0e0e4736" // the examples of W3C Trace Context
	callersParent = "00-" + callersTrace + "-00f067aa0ba902b7-01"
)

// TestTraces guarantees that a request's trace goes on from its caller's to Loki, with a span for each part,
// and that neither a query nor a token is in it.
func TestTraces(t *testing.T) {
	c := newReceiver(t)
	tracing, flush := c.start(t, slog.New(slog.DiscardHandler), "OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	var log bytes.Buffer
	r := NewRecorder(NewLogger(slog.LevelInfo, FormatJSON, &log), WithTracing(tracing))

	var toLoki http.Header
	client := &http.Client{Transport: r.Transport(roundTripFunc(func() (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusBadGateway, Body: http.NoBody}, nil
	}))}
	transport, _ := client.Transport.(*transport)
	next := transport.next
	transport.next = seeing(func(request *http.Request) (*http.Response, error) {
		toLoki = request.Header
		return next.RoundTrip(request)
	})

	incoming := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/logs/query?query=secret-query", nil)
	incoming.Header.Set("Traceparent", callersParent)
	incoming.Header.Set("Tracestate", "vendor=value")
	incoming.Header.Set("Baggage", "secret=baggage")
	incoming.Header.Set("Authorization", "Bearer "+token)
	d := &audit.AccessRecord{RequestID: "r1", Client: netip.MustParseAddr("192.0.2.1"), Tenants: []tenant.Name{"acme"}}
	in := r.Start(incoming.Context(), incoming, d)
	r.Route(in.Context(), "queryLogs", "/api/v1/logs/query")
	ctx, span := r.Span(in.Context(), "token")
	if ctx == in.Context() {
		t.Error("the part is not in its context")
	}
	span.End(errors.New("secret of an error"))
	outgoing, err := http.NewRequestWithContext(in.Context(), http.MethodGet, "http://loki.example/loki?query=secret-query", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(outgoing)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	d.Status, d.Code, d.Requested, d.Cause = http.StatusBadGateway, "loki_failed", []string{"secret-query"}, errors.New("secret of an error")
	r.Record(in.Context(), *d)
	flush()

	server, part, toUpstream := c.span(t, "queryLogs"), c.span(t, "token"), c.span(t, "loki")
	hex := hex.EncodeToString
	if hex(server.GetTraceId()) != callersTrace || hex(server.GetParentSpanId()) != "00f067aa0ba902b7" || server.GetTraceState() != "vendor=value" {
		t.Errorf("it does not go on from the caller's: %v", server)
	}
	for _, child := range []*otlp.Span{part, toUpstream} {
		if !bytes.Equal(child.GetParentSpanId(), server.GetSpanId()) {
			t.Errorf("%s is no part of the request", child.GetName())
		}
	}
	if want := "00-" + callersTrace + "-" + hex(toUpstream.GetSpanId()) + "-01"; toLoki.Get("Traceparent") != want || toLoki.Get("Tracestate") != "vendor=value" {
		t.Errorf("Loki gets %v, want %s", toLoki, want)
	}
	if len(toLoki.Values("Baggage")) > 0 {
		t.Error("baggage is passed on")
	}
	if outgoing.Header.Get("Traceparent") != "" {
		t.Error("the request itself was changed")
	}
	text := server.String()
	for _, want := range []string{"loki_failed", "502", "/api/v1/logs/query", "acme", "192.0.2.1", "r1", "SPAN_KIND_SERVER", "STATUS_CODE_ERROR"} {
		if !strings.Contains(text, want) {
			t.Errorf("the span lacks %s: %s", want, text)
		}
	}
	for _, want := range []string{`"logfence"`, "deployment.environment", `"v1"`} {
		if !strings.Contains(c.resource, want) {
			t.Errorf("the resource lacks %s: %s", want, c.resource)
		}
	}
	for _, unwanted := range []string{"secret", token[:20]} {
		if bytes.Contains(c.raw.Bytes(), []byte(unwanted)) {
			t.Errorf("%s is in the trace", unwanted)
		}
	}
	if want := `"trace_id":"` + callersTrace + `"`; !strings.Contains(log.String(), want) {
		t.Errorf("the log line lacks %s: %s", want, log.String())
	}
}

type seeing func(*http.Request) (*http.Response, error)

func (s seeing) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

// TestTracingIsOptIn guarantees that there are traces only where the environment enables them, and that a
// mistake in it is logged and does not prevent the start.
func TestTracingIsOptIn(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		on   bool
		log  string
	}{
		{"nothing is set", nil, false, ""},
		{"a collector for all", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"}, true, ""},
		{"one for traces", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1/v1/traces"}, true, ""},
		{"over gRPC", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, true, ""},
		{"a collector's name alone", []string{"OTEL_SERVICE_NAME", "x"}, false, ""},
		{"switched off", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_SDK_DISABLED", "true"}, false, ""},
		{"no exporter", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER", "none"}, false, ""},
		{"an exporter that is not known", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER", "zipkin"}, false, "zipkin"},
		{"a protocol that is not known", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL", "udp"}, false, "invalid OTLP protocol"},
		{"a collector that is no URL", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:topsecret@[collector"}, false, "OTEL_EXPORTER_OTLP_ENDPOINT is no URL"},
		{"a collector without a scheme", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318"}, false, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is no URL"},
		{"headers that are none", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_HEADERS", "key topsecret"}, true, "parse headers"},
		{"headers that are not escaped", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_HEADERS", "key=topsecret%zz"}, true, "header value"},
		{"a sampler that is not known", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_TRACES_SAMPLER", "sometimes"}, true, "sometimes"},
		{"attributes that are none", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_RESOURCE_ATTRIBUTES", "novalue"}, true, "novalue"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i := 0; i+1 < len(tt.env); i += 2 {
				t.Setenv(tt.env[i], tt.env[i+1])
			}
			var log bytes.Buffer
			tracing := StartTracing(t.Context(), "v1", NewLogger(slog.LevelInfo, FormatText, &log))
			if got := tracing != nil; got != tt.on {
				t.Errorf("traces: %t, want %t", got, tt.on)
			}
			if tt.log == "" && log.Len() > 0 || !strings.Contains(log.String(), tt.log) {
				t.Errorf("logged %q, want %q in it", log.String(), tt.log)
			}
			if strings.Contains(log.String(), "topsecret") {
				t.Errorf("a secret is in the log: %s", log.String())
			}
			if err := tracing.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestProbesHaveNoTrace guarantees that logfence's own requests to Loki make no trace.
func TestProbesHaveNoTrace(t *testing.T) {
	c := newReceiver(t)
	tracing, flush := c.start(t, slog.New(slog.DiscardHandler))
	transport := NewRecorder(slog.New(slog.DiscardHandler), WithTracing(tracing)).Transport(roundTripFunc(func() (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}))
	if _, err := transport.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/ready", nil)); err != nil {
		t.Fatal(err)
	}
	flush()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.spans) > 0 {
		t.Errorf("there are spans: %v", c.spans)
	}
}

// TestTracingOff guarantees that without traces no span is made and no header sent.
func TestTracingOff(t *testing.T) {
	t.Parallel()
	r := NewRecorder(slog.New(slog.DiscardHandler), WithMetrics(NewMetrics()))
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	request.Header.Set("Traceparent", callersParent)
	d := &audit.AccessRecord{}
	in := r.Start(request.Context(), request, d)
	r.Route(in.Context(), "me", "/api/v1/me")
	ctx, span := r.Span(in.Context(), "token")
	span.End(errors.New("x"))
	if ctx != in.Context() || stateOf(in.Context()).span != nil {
		t.Error("there is a span")
	}
	transport := r.Transport(seeing(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Traceparent") != "" {
			t.Error("a header is sent")
		}
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}))
	if _, err := transport.RoundTrip(httptest.NewRequestWithContext(in.Context(), http.MethodGet, "/", nil)); err != nil {
		t.Error(err)
	}
}

// TestRateLimitedLog guarantees that a collector that is down does not fill the log.
func TestRateLimitedLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := &rateLimitedLog{log: NewLogger(slog.LevelInfo, FormatText, &log)}
	for range 10 {
		c.Handle(errors.New("the collector is down"))
	}
	if n := strings.Count(log.String(), "the collector is down"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}
