package telemetry

import (
	"net/http"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

const otelError = codes.Error

// propagator reads and writes traceparent and tracestate, and nothing else: baggage is whatever a caller
// likes, and would be passed on to Loki.
var propagator = propagation.TraceContext{}

func carrier(h http.Header) propagation.HeaderCarrier { return propagation.HeaderCarrier(h) }

// ask begins the span of a request to Loki, and gives the request that tells Loki of it: what it carries is
// made of the span, and not copied from the caller's. What logfence asks by itself is no part of a trace,
// and each probe of a readiness would be one of its own.
func (t *Tracing) ask(request *http.Request) (*http.Request, trace.Span) {
	if !trace.SpanContextFromContext(request.Context()).IsValid() {
		return request, nil
	}
	ctx, span := t.tracer.Start(request.Context(), "loki", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.HTTPRequestMethodKey.String(method(request.Method)), semconv.ServerAddress(request.URL.Hostname())))
	request = request.Clone(ctx) // a RoundTripper changes no request
	propagator.Inject(ctx, carrier(request.Header))
	return request, span
}

// endAsk ends it when the answer begins, or when there is none.
func endAsk(span trace.Span, response *http.Response, err error) {
	if span == nil {
		return
	}
	if err != nil {
		span.SetStatus(codes.Error, "") // the error names the URL, and that the query
	} else {
		span.SetAttributes(semconv.HTTPResponseStatusCode(response.StatusCode))
		if response.StatusCode >= http.StatusBadRequest {
			span.SetStatus(codes.Error, "")
		}
	}
	span.End()
}

// method is the request's, if it is one that is known: it is text of a caller's otherwise.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete, http.MethodPatch:
		return name
	default:
		return "_OTHER"
	}
}
