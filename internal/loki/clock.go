package loki

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// clock bounds the time that Loki takes for a request, from connecting to the last byte of the response. It stands while nobody
// reads the response: it is streamed, and a client that takes it slowly is not Loki's fault. All in all, a response may
// take maxStretch times as long, so that no client holds it for ever.
//
// Its one timer is left alone by pause and resume, which a long response calls for each of its pieces: when it fires, it finds out
// whether the deadline is exceeded.
type clock struct {
	request context.Context // ends when the deadline is exceeded, with a cause that is ErrTimeout
	cancel  context.CancelCauseFunc
	end     time.Time // of all in all

	mu    sync.Mutex
	timer *time.Timer
	fires time.Time     // when the timer does
	left  time.Duration // when it last began to run
	began time.Time     // zero: it stands
}

const maxStretch = 10

// errTimeIsUp is the cause of the end of a request's context.
var errTimeIsUp = fmt.Errorf("%w: %w", ErrTimeout, context.DeadlineExceeded)

// startClock starts the time of a request. It is stopped when the response has been read.
func (c *Client) startClock(ctx context.Context, options RequestOptions) *clock {
	request, cancel := context.WithCancelCause(ctx)
	timeout, now := c.timeoutOf(options), time.Now()
	k := &clock{request: request, cancel: cancel, end: now.Add(maxStretch * timeout), fires: now.Add(timeout), left: timeout, began: now}
	k.mu.Lock() // until the timer is there
	defer k.mu.Unlock()
	k.timer = time.AfterFunc(timeout, k.check)
	return k
}

func (k *clock) stop() {
	k.cancel(nil)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timer.Stop()
}

// pause and resume are called in turn, by the one goroutine that has the response.
func (k *clock) pause() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.began.IsZero() {
		k.left -= time.Since(k.began)
		k.began = time.Time{}
	}
}

func (k *clock) resume() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.began.IsZero() {
		return
	}
	k.began = time.Now()
	if due := k.due(); due.Before(k.fires) {
		k.set(due)
	}
}

// check ends the request if its deadline is exceeded, and otherwise looks again at the deadline.
func (k *clock) check() {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch due := k.due(); {
	case k.request.Err() != nil: // stopped meanwhile
	case time.Now().Before(due):
		k.set(due)
	default:
		k.cancel(errTimeIsUp)
	}
}

// due is the deadline if nothing pauses or resumes it.
func (k *clock) due() time.Time {
	if due := k.began.Add(k.left); !k.began.IsZero() && due.Before(k.end) {
		return due
	}
	return k.end
}

func (k *clock) set(at time.Time) {
	k.fires = at
	k.timer.Reset(time.Until(at))
}
