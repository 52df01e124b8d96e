package telemetry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// Transport returns a transport that counts and times requests to Loki, by the operation that they are made for,
// and makes a span for each, until its first byte, where traces are on. It changes nothing but the headers
// traceparent and tracestate, which are made from the span.
func (r *Recorder) Transport(next http.RoundTripper) http.RoundTripper {
	if r.metrics == nil && r.tracing == nil {
		return next
	}
	return &transport{next: next, metrics: r.metrics, tracing: r.tracing}
}

type transport struct {
	next    http.RoundTripper
	metrics *Metrics
	tracing *Tracing
}

// The outcomes of requests to Loki.
const (
	upstreamOK           = "ok"
	upstreamRefused      = "refused"
	upstreamRateLimited  = "rate_limited"
	upstreamFailed       = "failed"
	upstreamTimeout      = "timeout"
	upstreamUnreachable  = "unreachable"
	upstreamBroken       = "broken"
	upstreamClientClosed = "client_closed"
)

// upstreamMetrics are the metrics of an operation's requests to Loki.
type upstreamMetrics struct {
	firstByte, duration prometheus.Observer
	bytes               prometheus.Counter
	outcomes            map[string]prometheus.Counter // never changed
}

func (m *Metrics) upstreamMetrics(operation string) *upstreamMetrics {
	return loadOrMake(&m.upstreamByOperation, operation, func(operation string) *upstreamMetrics {
		a := &upstreamMetrics{
			firstByte: m.firstByte.WithLabelValues(operation), duration: m.upstreamTime.WithLabelValues(operation),
			bytes: m.fetched.WithLabelValues(operation), outcomes: map[string]prometheus.Counter{},
		}
		// All of them, so that each rate has a zero to begin from.
		for _, outcome := range []string{
			upstreamOK, upstreamRefused, upstreamRateLimited, upstreamFailed, upstreamTimeout, upstreamUnreachable, upstreamBroken, upstreamClientClosed,
		} {
			a.outcomes[outcome] = m.upstream.WithLabelValues(operation, outcome)
		}
		return a
	})
}

// RoundTrip sends one request.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	var span trace.Span
	if t.tracing != nil {
		request, span = t.tracing.startUpstream(request)
	}
	began := time.Now()
	response, err := t.next.RoundTrip(request)
	endUpstream(span, response, err)
	if t.metrics == nil {
		return response, err
	}
	state := stateOf(ctx)
	a := t.metrics.upstreamMetrics(operationLabel(state.operation()))
	if err != nil {
		a.outcomes[failure(ctx, upstreamUnreachable)].Inc()
		return nil, err
	}
	a.firstByte.Observe(time.Since(began).Seconds())
	outcome := outcomeOf(response.StatusCode)
	if response.StatusCode == http.StatusSwitchingProtocols {
		a.outcomes[outcome].Inc() // its body is a connection, and lasts until the tail is closed
		return response, nil
	}
	response.Body = &countedBody{ReadCloser: response.Body, ctx: ctx, client: state.client, metrics: a, began: began, outcome: outcome}
	return response, nil
}

// CloseIdleConnections is what http.Client looks for.
func (t *transport) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

func outcomeOf(status int) string {
	switch {
	case status == http.StatusOK, status == http.StatusSwitchingProtocols, status == http.StatusNoContent:
		return upstreamOK
	case status == http.StatusTooManyRequests:
		return upstreamRateLimited
	case status == http.StatusGatewayTimeout, status == http.StatusRequestTimeout:
		return upstreamTimeout
	case status >= http.StatusBadRequest && status < http.StatusInternalServerError:
		return upstreamRefused
	default:
		return upstreamFailed
	}
}

// failure distinguishes a disconnected client and a deadline from a fault of Loki's.
func failure(ctx context.Context, otherwise string) string {
	deadline, limited := ctx.Deadline() // of a request to Loki, whose context need not end by it
	switch err := ctx.Err(); {
	case errors.Is(err, context.DeadlineExceeded), err != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded), err == nil && limited && !time.Now().Before(deadline):
		return upstreamTimeout
	case err != nil:
		return upstreamClientClosed
	default:
		return otherwise
	}
}

// countedBody is the body of a response from Loki. The response is counted when its body ends, or is closed.
type countedBody struct {
	io.ReadCloser

	// ctx is that of the request to Loki, which ends at its deadline, too; client that of the caller's request.
	ctx, client context.Context // they end while it is read
	metrics     *upstreamMetrics
	began       time.Time
	outcome     string
	bytes       int64
	ended       bool
}

func (m *countedBody) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.bytes += int64(n)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF) && m.outcome == upstreamFailed:
		// Counted when it is closed: what it says may show that the query is at fault.
	case errors.Is(err, io.EOF):
		m.end(m.outcome)
	default:
		m.end(failure(m.ctx, upstreamBroken))
	}
	return n, err
}

// Refused counts a failure of Loki's as what it is: a mistake of the query.
func (m *countedBody) Refused() { m.outcome = upstreamRefused }

// Close counts a response that was not read to its end: because its reader needed no more, or disconnected.
func (m *countedBody) Close() error {
	m.end(failure(m.client, m.outcome))
	return m.ReadCloser.Close()
}

func (m *countedBody) end(outcome string) {
	if m.ended {
		return
	}
	m.ended = true
	m.metrics.outcomes[outcome].Inc()
	m.metrics.duration.Observe(time.Since(m.began).Seconds())
	m.metrics.bytes.Add(float64(m.bytes))
}
