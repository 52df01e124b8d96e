package telemetry

import (
	"net/http"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

const otelError = codes.Error

// propagator reads and writes traceparent and tracestate only: baggage is free text of a caller's, and would be
// forwarded to Loki.
var propagator = propagation.TraceContext{}

func carrier(h http.Header) propagation.HeaderCarrier { return propagation.HeaderCarrier(h) }

// startUpstream begins the span of a request to Loki, and returns the request with its trace headers, which are
// made from the span and not copied from the caller's request. Logfence's own requests belong to no trace and get
// no span: each readiness probe would be a trace of its own.
func (t *Tracing) startUpstream(request *http.Request) (*http.Request, trace.Span) {
	if !trace.SpanContextFromContext(request.Context()).IsValid() {
		return request, nil
	}
	ctx, span := t.tracer.Start(request.Context(), "loki", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.HTTPRequestMethodKey.String(method(request.Method)), semconv.ServerAddress(request.URL.Hostname())))
	request = request.Clone(ctx) // a RoundTripper changes no request
	propagator.Inject(ctx, carrier(request.Header))
	return request, span
}

// endUpstream ends the span at the first byte of the response, or on an error.
func endUpstream(span trace.Span, response *http.Response, err error) {
	if span == nil {
		return
	}
	if err != nil {
		span.SetStatus(codes.Error, "") // the error contains the URL, and the URL the query
	} else {
		span.SetAttributes(semconv.HTTPResponseStatusCode(response.StatusCode))
		if response.StatusCode >= http.StatusBadRequest {
			span.SetStatus(codes.Error, "")
		}
	}
	span.End()
}

// method returns a known HTTP method, and _OTHER for any other text, which a caller has chosen.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete, http.MethodPatch:
		return name
	default:
		return "_OTHER"
	}
}
