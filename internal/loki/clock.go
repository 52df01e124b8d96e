package loki

import (
	"context"
	"fmt"
	"time"
)

// clock bounds the time that Loki takes for a request, from connecting to the last byte of the response. It stands while nobody
// reads the response: it is streamed, and a client that takes it slowly is not Loki's fault. All in all, a response may
// take maxStretch times as long, so that no client holds it for ever.
type clock struct {
	request context.Context // ends when the time is over, with a cause that is ErrTimeout
	stop    context.CancelFunc

	timer *time.Timer
	left  time.Duration // when it last began to run
	began time.Time     // zero: it stands
}

const maxStretch = 10

// errTimeIsUp is the cause of the end of a request's context.
var errTimeIsUp = fmt.Errorf("%w: %w", ErrTimeout, context.DeadlineExceeded)

// startClock starts the time of a request, as [Client.withDeadline] does. It is stopped when the response has been read.
func (c *Client) startClock(ctx context.Context, options RequestOptions) *clock {
	timeout := c.timeoutOf(options)
	ctx, stop := context.WithTimeoutCause(ctx, maxStretch*timeout, errTimeIsUp)
	request, cancel := context.WithCancelCause(ctx)
	k := &clock{request: request, left: timeout, began: time.Now()}
	k.timer = time.AfterFunc(timeout, func() { cancel(errTimeIsUp) })
	k.stop = func() {
		k.timer.Stop()
		cancel(nil)
		stop()
	}
	return k
}

// pause and resume are called in turn, by the one goroutine that has the response.
func (k *clock) pause() {
	if !k.began.IsZero() && k.timer.Stop() {
		k.left -= time.Since(k.began)
		k.began = time.Time{}
	}
}

func (k *clock) resume() {
	if k.began.IsZero() {
		k.began = time.Now()
		k.timer.Reset(max(k.left, 0))
	}
}
