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

// asking is the context of one request to one of Loki's URLs: the caller's, and what is to be known on the
// way. Its Done is the caller's, too. The deadline is for whoever carries the request to keep: [direct] does so
// by the connection's own, which costs a third of a context with a timer, and [asking.inTime] makes such a
// context for net/http's transport.
type asking struct {
	context.Context //nolint:containedctx // it is one itself

	deadline time.Time
	answered atomic.Bool // something of an answer has come
	slow     func()      // what to do when nothing has for slowAnswer
}

type askingKey struct{}

// askingOf is the asking that a context is made of; nil: it is made of none.
func askingOf(ctx context.Context) *asking {
	a, _ := ctx.Value(askingKey{}).(*asking)
	return a
}

// Value finds the asking itself as well.
func (a *asking) Value(key any) any {
	if key == (askingKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// Deadline is when the request has had its time.
func (a *asking) Deadline() (time.Time, bool) {
	if callers, ok := a.Context.Deadline(); ok && callers.Before(a.deadline) {
		return callers, true
	}
	return a.deadline, true
}

// inTime is a context for net/http's transport: it ends by itself at the deadline. stop is to be called when
// all is read.
func (a *asking) inTime(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithDeadlineCause(ctx, a.deadline, ErrTimeout)
	slow := time.AfterFunc(slowAnswer, a.slow)
	heard := func() {
		slow.Stop()
		a.answered.Store(true)
	}
	stop = func() {
		slow.Stop()
		cancel()
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: heard}), stop
}

// attempt has send ask one of Loki's URLs, and another one once if not a byte came back from the first:
// everything asked here is a reading, and may be asked twice. A request that had its time, or whose
// caller has left, is not repeated. The endpoint counts as busy until it is released.
func (c *Client) attempt(ctx context.Context, deadline time.Time, send func(*asking, *endpoint) error) (*endpoint, error) {
	e, err := c.pool.pick(nil)
	if err != nil {
		return nil, err
	}
	silent, err := c.try(ctx, deadline, e, send)
	if !silent {
		return e, err
	}
	other, none := c.pool.pick(e)
	if none != nil {
		return e, err // of the two errors the one that says why
	}
	c.pool.retries.Add(1)
	_, err = c.try(ctx, deadline, other, send)
	return other, err
}

// try asks one endpoint. silent means that its connection failed before the first byte of an answer: what
// [classify] calls unreachable has neither the clock nor the caller for its reason.
func (c *Client) try(ctx context.Context, deadline time.Time, e *endpoint, send func(*asking, *endpoint) error) (silent bool, err error) {
	a := &asking{Context: ctx, deadline: deadline, slow: func() { c.pool.suspect(e) }}
	e.inFlight.Add(1)
	if err = send(a, e); err == nil {
		return false, nil
	}
	e.release()
	unreachable := errors.Is(err, ErrUnreachable)
	if unreachable || errors.Is(err, ErrTimeout) {
		e.failures.Add(1)
		c.pool.suspect(e)
	}
	return unreachable && !a.answered.Load(), err
}

// release says that an answer, or a tail, has ended.
func (e *endpoint) release() { e.inFlight.Add(-1) }

// suspicious are statuses that a gateway gives for a Loki that is not there.
func suspicious(status int) bool {
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
	deadline := c.deadline(Call{})
	var status int
	e, err := c.attempt(ctx, deadline, func(a *asking, e *endpoint) (err error) {
		if status, err = c.health(a, e); err != nil { //nolint:contextcheck // a is made of ctx
			return classify(ctx, deadline, ErrUnreachable, err)
		}
		return nil
	})
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && e != nil {
			c.pool.suspect(e) // it had longer than it needs: whoever asks here is a probe as well
		}
		return err
	}
	e.release()
	if status != http.StatusOK {
		c.pool.suspect(e)
		return failed("status %d", status)
	}
	return nil
}

// probe tells whether an endpoint is worth asking. One that refuses us is: it will say so again to those
// who ask, and that must not look like a Loki that is away.
func (c *Client) probe(ctx context.Context, e *endpoint) error {
	status, err := c.health(ctx, e)
	if err == nil && status >= http.StatusInternalServerError {
		return failed("status %d", status)
	}
	return err //nolint:wrapcheck // the transport's own
}

// health asks an endpoint how it is. A query frontend without queriers, and a Loki that is starting, say
// 503 to /ready. The nginx of Loki's Helm chart knows no /ready, and routes the API: where there is no
// /ready, the build information has to do, for which a gateway without a Loki answers 502 or 504.
func (c *Client) health(ctx context.Context, e *endpoint) (status int, err error) {
	for _, path := range []string{"/ready", "/loki/api/v1/status/buildinfo"} {
		status, err = c.status(ctx, e, path)
		if err != nil || status < 400 || status >= 500 {
			break
		}
	}
	return status, err
}

// status asks for one path and looks at nothing but the status.
func (c *Client) status(ctx context.Context, e *endpoint, path string) (int, error) {
	request, err := c.withoutTenant().newRequest(ctx, e, Call{}, path, "")
	if err != nil {
		return 0, err
	}
	response, err := c.bare.Do(request)
	if err != nil {
		return 0, err //nolint:wrapcheck // classified above
	}
	defer response.Body.Close()                                             //nolint:errcheck // only read
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxMessage)) // so that the connection is kept
	return response.StatusCode, err
}
