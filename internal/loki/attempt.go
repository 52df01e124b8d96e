package loki

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// sendFunc sends a request to one of Loki's URLs and returns when the response's header has come. Its errors
// are classified.
type sendFunc func(context.Context, *upstream) error

// doWithRetry sends a request to one of Loki's URLs, and to another one once if not a byte came back from the
// first: every request here reads, and may be repeated. One that timed out, or whose caller has left, is not
// repeated. The endpoint counts as busy until it is released.
func (c *Client) doWithRetry(ctx context.Context, send sendFunc) (*upstream, error) {
	e, err := c.pool.pick(nil)
	if err != nil {
		return nil, err
	}
	retry, err := c.do(ctx, e, send)
	if !retry {
		return e, err
	}
	other, none := c.pool.pick(e)
	if none != nil {
		return e, err // of the two errors the one that says why
	}
	c.pool.retries.Add(1)
	_, err = c.do(ctx, other, send)
	return other, err
}

// do sends a request to one endpoint, which is probed when the first byte takes longer than slowResponse. retry
// means that the connection failed before the first byte: what [classify] calls unreachable has neither the
// clock nor the caller for its reason.
func (c *Client) do(ctx context.Context, e *upstream, send sendFunc) (retry bool, err error) {
	slow := time.AfterFunc(slowResponse, func() { c.pool.triggerHealthCheck(e) })
	defer slow.Stop()
	var responded atomic.Bool
	e.inFlight.Add(1)
	err = send(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() {
		slow.Stop()
		responded.Store(true)
	}}), e)
	if err == nil {
		return false, nil
	}
	e.release()
	unreachable := errors.Is(err, ErrUnreachable)
	if unreachable || errors.Is(err, ErrTimeout) {
		e.failures.Add(1)
		c.pool.triggerHealthCheck(e)
	}
	return unreachable && !responded.Load(), err
}

// release says that a response, or a tail, has ended.
func (e *upstream) release() { e.inFlight.Add(-1) }

// isGatewayError are statuses that a gateway gives for a Loki that is not there.
func isGatewayError(status int) bool {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// Ready tells whether Loki takes queries, at one of its URLs at least; nil is yes. It reads no logs, so
// no tenant is named.
func (c *Client) Ready(ctx context.Context) error {
	timed, cancel := c.withDeadline(ctx, RequestOptions{})
	defer cancel()
	var status int
	e, err := c.doWithRetry(timed, func(attempt context.Context, e *upstream) (err error) {
		if status, err = c.health(attempt, e); err != nil {
			return classify(ctx, timed, ErrUnreachable, err)
		}
		return nil
	})
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && e != nil {
			c.pool.triggerHealthCheck(e) // it had longer than it needs: whoever asks here is a probe as well
		}
		return err
	}
	e.release()
	if status != http.StatusOK {
		c.pool.triggerHealthCheck(e)
		return failed("status %d", status)
	}
	return nil
}

// probe tells whether an endpoint is worth asking. One that refuses us is: it will say so again to those
// who ask, and that must not look like a Loki that is away.
func (c *Client) probe(ctx context.Context, e *upstream) error {
	status, err := c.health(ctx, e)
	if err == nil && status >= http.StatusInternalServerError {
		return failed("status %d", status)
	}
	return err //nolint:wrapcheck // the transport's own
}

// health asks an endpoint how it is. A query frontend without queriers, and a Loki that is starting, say
// 503 to /ready. The nginx of Loki's Helm chart knows no /ready, and routes the API: where there is no
// /ready, the build information has to do, for which a gateway without a Loki answers 502 or 504.
func (c *Client) health(ctx context.Context, e *upstream) (status int, err error) {
	for _, path := range []string{"/ready", "/loki/api/v1/status/buildinfo"} {
		status, err = c.status(ctx, e, path)
		if err != nil || status < 400 || status >= 500 {
			break
		}
	}
	return status, err
}

// status asks for one path and looks at nothing but the status.
func (c *Client) status(ctx context.Context, e *upstream, path string) (int, error) {
	request, err := c.withoutTenant().newRequest(ctx, e, RequestOptions{}, path, encoded{})
	if err != nil {
		return 0, err
	}
	response, err := c.transport.RoundTrip(request) // which follows no redirect
	if err != nil {
		return 0, err //nolint:wrapcheck // classified above
	}
	defer response.Body.Close()                                             //nolint:errcheck // only read
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxMessage)) // so that the connection is kept
	return response.StatusCode, err
}
