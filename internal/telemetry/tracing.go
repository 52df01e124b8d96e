package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/tenant"
)

// Tracing makes traces and sends them to a collector. The nil Tracing does nothing.
type Tracing struct {
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider
}

// StartTracing starts traces if the environment names a collector, by the variables that OpenTelemetry
// defines and its exporter reads for itself: OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
// and OTEL_EXPORTER_OTLP_PROTOCOL, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and the
// like. Without one of the first two, or with OTEL_SDK_DISABLED=true or OTEL_TRACES_EXPORTER=none, there
// are none, and the Tracing is nil. A mistake in a variable is logged: it is ignored, or there are no traces,
// but telemetry never prevents a gateway from starting. The caller closes the Tracing.
func StartTracing(ctx context.Context, version string, log *slog.Logger) *Tracing {
	if !enabled(log) {
		return nil
	}
	// Both are global to the process; the exporter and its queue report in no other way.
	otel.SetLogger(logr.FromSlogHandler(otelHandler{log.Handler()}))
	otel.SetErrorHandler(&rateLimitedLog{log: log})
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		log.WarnContext(ctx, "traces are off", "error", err)
		return nil
	}
	attributes, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("logfence"), semconv.ServiceVersion(version)),
		resource.WithFromEnv(), // last, so that it wins
	)
	if err != nil {
		log.WarnContext(ctx, "traces: a part of the resource's attributes is left out", "error", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(attributes))
	return &Tracing{provider: provider, tracer: provider.Tracer("github.com/logfence/logfence", trace.WithInstrumentationVersion(version))}
}

// Close exports the remaining spans until ctx ends, and stops the traces.
func (t *Tracing) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last traces: %w", err)
	}
	return nil
}

// enabled reads the variables that switch traces on and off. autoexport alone would send them to localhost where
// none names a collector, and has exporters that write to the standard output, which is the log's.
func enabled(log *slog.Logger) bool {
	endpoint := "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	if os.Getenv(endpoint) == "" {
		endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	}
	if os.Getenv(endpoint) == "" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	switch exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter {
	case "", "otlp":
	case "none":
		return false
	default:
		log.Warn("traces are off: this exporter is not known; write otlp or none", "OTEL_TRACES_EXPORTER", exporter)
		return false
	}
	// The exporter takes the host of collector:4318 for a scheme and sends nothing, without an error. A URL may hold a
	// password, and is not logged.
	if u, err := url.Parse(os.Getenv(endpoint)); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		log.Warn("traces are off: " + endpoint + " is no URL with a scheme; write one such as http://collector:4318")
		return false
	}
	return true
}

// otelHandler logs OpenTelemetry's messages about its variables, without their values: one holds the collector's
// credentials (OTEL_EXPORTER_OTLP_HEADERS), and is quoted when it cannot be parsed.
type otelHandler struct{ slog.Handler }

// Handle writes a line.
func (m otelHandler) Handle(ctx context.Context, r slog.Record) error {
	line := slog.NewRecord(r.Time, r.Level, "traces: a variable OTEL_… cannot be read: "+r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "err" {
			line.AddAttrs(slog.String("error", a.Value.String()))
		}
		return true
	})
	return m.Handler.Handle(ctx, line)
}

// Enabled leaves out OpenTelemetry's messages below the level of a warning.
func (m otelHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && m.Handler.Enabled(ctx, level)
}

// WithAttrs and WithGroup are implemented so that nothing bypasses Handle.
func (m otelHandler) WithAttrs([]slog.Attr) slog.Handler { return m }

// WithGroup is as WithAttrs.
func (m otelHandler) WithGroup(string) slog.Handler { return m }

// rateLimitedLog logs errors of traces, once a minute at most: a collector that is down would otherwise fill the log.
type rateLimitedLog struct {
	log *slog.Logger

	mu         sync.Mutex
	last       time.Time
	suppressed int
}

// Handle logs an error of OpenTelemetry's, or counts it.
func (c *rateLimitedLog) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last) < time.Minute {
		c.suppressed++
		return
	}
	c.log.Warn("traces", "error", err, "suppressed", c.suppressed)
	c.last, c.suppressed = time.Now(), 0
}

// WithTracing makes a span for each request. The recorder does not close t. A nil Tracing makes none.
func WithTracing(t *Tracing) RecorderOption { return func(r *Recorder) { r.tracing = t } }

// Span is a span within a request. The zero Span is that of a request that is not traced.
type Span struct{ span trace.Span }

// Span begins a span within a request.
func (r *Recorder) Span(ctx context.Context, name string) (context.Context, Span) {
	if r.tracing == nil {
		return ctx, Span{}
	}
	ctx, span := r.tracing.tracer.Start(ctx, name)
	return ctx, Span{span}
}

// End ends the span. Of an error it records only that there was one: its text may quote the caller.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(otelError, "")
	}
	s.span.End()
}

// start begins the span of a request, as a child of the caller's span if there is one.
func (t *Tracing) start(ctx context.Context, request *http.Request, d *audit.AccessRecord) (context.Context, trace.Span) {
	if t == nil {
		return ctx, nil
	}
	scheme := "http"
	if request.TLS != nil {
		scheme = "https"
	}
	attributes := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(method(request.Method)), semconv.URLScheme(scheme), semconv.ClientAddress(d.Client.String()),
		semconv.NetworkProtocolVersion(fmt.Sprintf("%d.%d", request.ProtoMajor, request.ProtoMinor)),
		attribute.String("logfence.request_id", d.RequestID),
	}
	return t.tracer.Start(propagator.Extract(ctx, carrier(request.Header)), method(request.Method),
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...))
}

// route names the span after its operation.
func route(span trace.Span, operation, path string) {
	if span != nil {
		span.SetName(operation)
		span.SetAttributes(semconv.HTTPRoute(path))
	}
}

// end ends the span of a request, with its outcome.
func end(span trace.Span, d *audit.AccessRecord) {
	if span == nil {
		return
	}
	span.SetAttributes(semconv.HTTPResponseStatusCode(d.Status), attribute.StringSlice("logfence.tenants", tenant.Texts(d.Tenants)))
	if d.Code != "" {
		span.SetAttributes(semconv.ErrorTypeKey.String(d.Code))
	}
	if d.Status >= http.StatusInternalServerError {
		span.SetStatus(otelError, "")
	}
	span.End()
}

// traceID returns the trace ID for the log line.
func traceID(span trace.Span) string {
	if span == nil || !span.SpanContext().HasTraceID() {
		return ""
	}
	return span.SpanContext().TraceID().String()
}
