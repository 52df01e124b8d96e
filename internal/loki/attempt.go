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

// sendFunc sends a request to one of Loki's URLs and returns when the response header has arrived. Its errors
// are classified.
type sendFunc func(context.Context, *upstream) error

// doWithRetry sends a request to one of Loki's URLs, and once more, to another one where there is one, if the first
// returned no byte, or was a reverse proxy that had no Loki to pass it to. Every request here only reads, so it may be
// repeated. A request that timed out, or whose caller has disconnected, is not repeated. The upstream counts as busy
// until it is released.
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
		return e, err // the more specific of the two errors
	}
	c.pool.retries.Add(1)
	_, err = c.do(ctx, other, send)
	return other, err
}

// do sends a request to one upstream, and triggers a health check if the first byte takes longer than
// slowResponse. retry means that the connection failed before the first byte (what [classify] calls unreachable
// is neither a timeout nor a disconnected caller), or that no Loki has seen the request.
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
	var failure *Error
	noLoki := errors.As(err, &failure) && failure.noLoki
	return unreachable && !responded.Load() || noLoki, err
}

// release marks a response or a tail as ended.
func (e *upstream) release() { e.inFlight.Add(-1) }

// isGatewayError reports whether a status is one that a gateway returns when Loki is not running.
func isGatewayError(status int) bool {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	default:
		return false
	}
}

// Ready returns nil if Loki accepts queries at one of its URLs at least. It reads no logs, so it sends no
// tenant.
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
			c.pool.triggerHealthCheck(e) // a readiness probe allows more time than Loki needs
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

// probe reports whether an upstream can serve requests. One that rejects the probe with a 4xx can: it will
// reject the callers' requests too, and that must not look like a Loki that is down.
func (c *Client) probe(ctx context.Context, e *upstream) error {
	status, err := c.health(ctx, e)
	if err == nil && status >= http.StatusInternalServerError {
		return failed("status %d", status)
	}
	return err
}

// health requests the health of an upstream. A query frontend without queriers, and a Loki that is starting,
// return 503 for /ready. The nginx of Loki's Helm chart routes the API but not /ready: where there is no
// /ready, the build information is used, for which a gateway without a Loki returns 502 or 504.
func (c *Client) health(ctx context.Context, e *upstream) (status int, err error) {
	for _, path := range []string{"/ready", "/loki/api/v1/status/buildinfo"} {
		status, err = c.status(ctx, e, path)
		if err != nil || status < 400 || status >= 500 {
			break
		}
	}
	return status, err
}

// status requests one path and returns only the status.
func (c *Client) status(ctx context.Context, e *upstream, path string) (int, error) {
	request, err := c.withoutTenant().newRequest(ctx, e, RequestOptions{}, path, encoded{})
	if err != nil {
		return 0, err
	}
	response, err := c.transport.RoundTrip(request) // which follows no redirect
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()                                             //nolint:errcheck // only read
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxMessage)) // so that the connection is kept
	return response.StatusCode, err
}
