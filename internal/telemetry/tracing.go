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
)

// Tracing makes traces and sends them to a collector. The nil Tracing makes none, and costs nothing.
type Tracing struct {
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider
}

// StartTracing starts traces if the environment names a collector, by the variables that OpenTelemetry
// defines and its exporter reads for itself: OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
// and OTEL_EXPORTER_OTLP_PROTOCOL, OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and the
// like. Without one of the first two, or with OTEL_SDK_DISABLED=true or OTEL_TRACES_EXPORTER=none, there
// are none, and the Tracing is nil. A mistake in a variable is logged: it is ignored, or there are no traces,
// but telemetry keeps no gateway from starting. Whoever gets a Tracing calls Close.
func StartTracing(ctx context.Context, version string, log *slog.Logger) *Tracing {
	if !wanted(log) {
		return nil
	}
	// Both are the process's; what the exporter and its queue have to say has no other way out.
	otel.SetLogger(logr.FromSlogHandler(mistakes{log.Handler()}))
	otel.SetErrorHandler(&complaints{log: log})
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		log.WarnContext(ctx, "traces are off", "error", err)
		return nil
	}
	describing, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("logfence"), semconv.ServiceVersion(version)),
		resource.WithFromEnv(), // last, so that it wins
	)
	if err != nil {
		log.WarnContext(ctx, "traces: a part of the resource's description is left out", "error", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(describing))
	return &Tracing{provider: provider, tracer: provider.Tracer("github.com/logfence/logfence", trace.WithInstrumentationVersion(version))}
}

// Close sends what has not been sent, as long as ctx lasts, and ends the traces.
func (t *Tracing) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last traces: %w", err)
	}
	return nil
}

// wanted reads the variables that switch traces on and off. autoexport alone would send them to localhost where
// none names a collector, and has exporters that write to the standard output, which is the log's.
func wanted(log *slog.Logger) bool {
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
	// The exporter takes collector:4318 for a scheme and sends nothing, without a word. A URL may hold a
	// password, and is not shown.
	if u, err := url.Parse(os.Getenv(endpoint)); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		log.Warn("traces are off: " + endpoint + " is no URL with a scheme; write one such as http://collector:4318")
		return false
	}
	return true
}

// mistakes logs what OpenTelemetry thinks of its variables, without their values: one holds the collector's
// credentials (OTEL_EXPORTER_OTLP_HEADERS), and is quoted when it cannot be read.
type mistakes struct{ slog.Handler }

// Handle writes a line.
func (m mistakes) Handle(ctx context.Context, r slog.Record) error {
	line := slog.NewRecord(r.Time, r.Level, "traces: a variable OTEL_… cannot be read: "+r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "err" {
			line.AddAttrs(slog.String("error", a.Value.String()))
		}
		return true
	})
	return m.Handler.Handle(ctx, line) //nolint:wrapcheck // the log's own
}

// Enabled leaves out what OpenTelemetry tells about itself when it is asked to chatter.
func (m mistakes) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && m.Handler.Enabled(ctx, level)
}

// WithAttrs and WithGroup are there so that none goes around Handle.
func (m mistakes) WithAttrs([]slog.Attr) slog.Handler { return m }

// WithGroup is as WithAttrs.
func (m mistakes) WithGroup(string) slog.Handler { return m }

// complaints logs what goes wrong with traces, once a minute at most: a collector that is away would
// otherwise have its own part of the log.
type complaints struct {
	log *slog.Logger

	mu     sync.Mutex
	last   time.Time
	silent int
}

// Handle takes an error of OpenTelemetry's.
func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last) < time.Minute {
		c.silent++
		return
	}
	c.log.Warn("traces", "error", err, "not_logged_before", c.silent)
	c.last, c.silent = time.Now(), 0
}

// WithTracing has a span for each request; the recorder does not close it. A nil Tracing is none.
func WithTracing(t *Tracing) RecorderOption { return func(r *Recorder) { r.tracing = t } }

// Span is a part of a request in its trace. The zero Span is that of a request which is not traced.
type Span struct{ span trace.Span }

// Span begins a part of a request.
func (r *Recorder) Span(ctx context.Context, name string) (context.Context, Span) {
	if r.tracing == nil {
		return ctx, Span{}
	}
	ctx, span := r.tracing.tracer.Start(ctx, name)
	return ctx, Span{span}
}

// End ends the part. Of an error no more is told than that there was one: its text may quote the caller.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(otelError, "")
	}
	s.span.End()
}

// enter begins the span of a request, as a child of the caller's where that has one.
func (t *Tracing) enter(ctx context.Context, request *http.Request, d *audit.AccessRecord) (context.Context, trace.Span) {
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

// route names the span, now that it is known what for.
func route(span trace.Span, operation, path string) {
	if span != nil {
		span.SetName(operation)
		span.SetAttributes(semconv.HTTPRoute(path))
	}
}

// end ends the span of a request, with what was decided.
func end(span trace.Span, d *audit.AccessRecord) {
	if span == nil {
		return
	}
	span.SetAttributes(semconv.HTTPResponseStatusCode(d.Status), attribute.StringSlice("logfence.tenants", d.Tenants))
	if d.Code != "" {
		span.SetAttributes(semconv.ErrorTypeKey.String(d.Code))
	}
	if d.Status >= http.StatusInternalServerError {
		span.SetStatus(otelError, "")
	}
	span.End()
}

// traceID is what a log line says, so that its trace is found.
func traceID(span trace.Span) string {
	if span == nil || !span.SpanContext().HasTraceID() {
		return ""
	}
	return span.SpanContext().TraceID().String()
}
