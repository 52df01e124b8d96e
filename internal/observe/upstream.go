package observe

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// Transport is a transport that counts and times what passes it to Loki, under the operation that it is
// asked for, and has a span for each request, until its first byte, where traces are on. It changes
// nothing but the headers traceparent and tracestate, which are made of the span.
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

// How a request to Loki ended.
const (
	upstreamOK          = "ok"
	upstreamRefused     = "refused"
	upstreamRateLimited = "rate_limited"
	upstreamFailed      = "failed"
	upstreamTimeout     = "timeout"
	upstreamUnreachable = "unreachable"
	upstreamBroken      = "broken"
	upstreamLeft        = "left"
)

// inquiry is what is counted of an operation's requests to Loki.
type inquiry struct {
	firstByte, duration prometheus.Observer
	bytes               prometheus.Counter
	outcomes            map[string]prometheus.Counter // never changed
}

func (m *Metrics) inquiry(operation string) *inquiry {
	return resolved(&m.asking, operation, func(operation string) *inquiry {
		a := &inquiry{
			firstByte: m.firstByte.WithLabelValues(operation), duration: m.upstreamTime.WithLabelValues(operation),
			bytes: m.fetched.WithLabelValues(operation), outcomes: map[string]prometheus.Counter{},
		}
		// All of them, so that a rate has a zero to begin from.
		for _, outcome := range []string{
			upstreamOK, upstreamRefused, upstreamRateLimited, upstreamFailed, upstreamTimeout, upstreamUnreachable, upstreamBroken, upstreamLeft,
		} {
			a.outcomes[outcome] = m.upstream.WithLabelValues(operation, outcome)
		}
		return a
	})
}

// RoundTrip passes one request on.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	var span trace.Span
	if t.tracing != nil {
		request, span = t.tracing.ask(request)
	}
	began := time.Now()
	response, err := t.next.RoundTrip(request)
	endAsk(span, response, err)
	if t.metrics == nil {
		return response, err //nolint:wrapcheck // nothing is changed
	}
	d := decisionIn(ctx)
	a := t.metrics.inquiry(named(d.Operation))
	if err != nil {
		a.outcomes[failure(ctx, upstreamUnreachable)].Inc()
		return nil, err //nolint:wrapcheck // as above
	}
	a.firstByte.Observe(time.Since(began).Seconds())
	outcome := outcomeOf(response.StatusCode)
	if response.StatusCode == http.StatusSwitchingProtocols {
		a.outcomes[outcome].Inc() // its body is a connection, and lasts as long as somebody watches
		return response, nil
	}
	response.Body = &measured{ReadCloser: response.Body, ctx: ctx, asker: d.asker, asked: a, began: began, outcome: outcome}
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

// failure tells the caller's end and the clock's from Loki's.
func failure(ctx context.Context, otherwise string) string {
	deadline, limited := ctx.Deadline() // of a request to Loki, whose context need not end by it
	switch err := ctx.Err(); {
	case errors.Is(err, context.DeadlineExceeded), err == nil && limited && !time.Now().Before(deadline):
		return upstreamTimeout
	case err != nil:
		return upstreamLeft
	default:
		return otherwise
	}
}

// measured is an answer of Loki's on its way. It is counted when it ends, or when no more of it is read.
type measured struct {
	io.ReadCloser

	// ctx is that of the request to Loki, which ends with its time as well; asker that of the caller's.
	ctx, asker context.Context //nolint:containedctx // they end while it is read
	asked      *inquiry
	began      time.Time
	outcome    string
	bytes      int64
	ended      bool
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.bytes += int64(n)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		m.end(m.outcome)
	default:
		m.end(failure(m.ctx, upstreamBroken))
	}
	return n, err //nolint:wrapcheck // nothing is changed
}

// Close counts an answer that was not read to its end: because its reader had what it wanted, or left.
func (m *measured) Close() error {
	m.end(failure(m.asker, m.outcome))
	return m.ReadCloser.Close() //nolint:wrapcheck // nothing is changed
}

func (m *measured) end(outcome string) {
	if m.ended {
		return
	}
	m.ended = true
	m.asked.outcomes[outcome].Inc()
	m.asked.duration.Observe(time.Since(m.began).Seconds())
	m.asked.bytes.Add(float64(m.bytes))
}
