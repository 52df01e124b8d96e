package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// endTime is for what is cut off at last to end visibly.
const endTime = 5 * time.Second

// drain is how serving ends, so that no response is lost:
//
//  1. /readyz returns 503, and nothing else changes for a while: load balancers notice an end later than the
//     process does (Kubernetes removes an endpoint while it sends SIGTERM, not before), and what they
//     send until then has to be served. Connections in use are closed gracefully, each after a response.
//  2. Tails are told to reconnect, which leads to another process; no connections are accepted any more;
//     responses in flight continue to their end.
//  3. What has not ended in time is cut off, visibly.
type drain struct {
	delay, timeout time.Duration
	announce       func()                               // makes /readyz return 503; nil: there is none
	endTails       func(context.Context)                // has tails end, which have no end of their own; nil: there are none
	after          func(time.Duration) <-chan time.Time // the clock; nil: time.After
}

// say is the beginning of the first step.
func (d drain) say() {
	if d.announce != nil {
		d.announce()
	}
}

// wait is the rest of it.
func (d drain) wait() {
	if d.after == nil {
		d.after = time.After
	}
	<-d.after(d.delay)
}

// stop lets the requests in flight complete, and cuts off those that do not.
func (d drain) stop(ctx context.Context, s *http.Server, cut context.CancelFunc) error {
	ctx = context.WithoutCancel(ctx) // cut is to end the requests, not the waiting for them
	drained, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	if d.endTails != nil {
		// First: Shutdown does not know WebSockets, and cut would end them without a word.
		d.endTails(drained)
	}
	err := s.Shutdown(drained)
	cut()
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	end, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	if err := s.Shutdown(end); err != nil {
		return s.Close()
	}
	return nil
}

// leaving has every response close its connection once the end has begun, as a client expects it: by
// "Connection: close", or by GOAWAY in HTTP/2. http.Server's SetKeepAlivesEnabled would close idle
// connections at once as well, under the hands of clients that are just writing to them.
type leaving struct{ began atomic.Bool }

func (l *leaving) begin() { l.began.Store(true) }

func (l *leaving) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.began.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
