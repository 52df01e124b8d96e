package tail

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// handOver is how long two tails of Loki's are read when one takes over from the other: a line that Loki had taken in before
// the second began comes by the first alone, up to half a second later, since Loki looks that often for lines to send.
const handOver = time.Second

// renewed is what continues a tail of Loki's that is about to end.
type renewed struct {
	reader *reader
	opened time.Time
	// prints are the lines that both may have brought.
	prints []uint64
}

// renewal opens another tail of Loki's beside the first, which is read until the other brings all that Loki takes in.
type renewal struct {
	stream *stream
	due    *time.Timer // at first the opening, then the end of the first tail
	cancel context.CancelFunc
	opened chan *renewed // gets the other tail, or nil where there is none; nil while none is being opened
	next   *renewed
	prints []uint64 // of the first tail's lines since another one is being opened
}

func newRenewal(s *stream) *renewal {
	return &renewal{stream: s, due: time.NewTimer(renewAfter - rand.N(renewAfter/10))} //nolint:gosec // no secret
}

// open opens the other tail; it does not wait for it.
func (n *renewal) open(ctx context.Context) {
	opening, cancel := context.WithCancel(ctx)
	opened := make(chan *renewed, 1)
	n.cancel, n.opened = cancel, opened
	s := n.stream
	go func() {
		next := &renewed{opened: s.hub.now()}
		defer func() { opened <- next }()
		upstream, err := s.config.Source.Open(opening, loki.TailParams{Start: next.opened.Add(-clockSkew), Limit: 1})
		if err != nil {
			next = nil
			return
		}
		next.reader = startReader(ctx, upstream, s.quota)
		if next.reader.waitStarted(opening) != nil {
			next.reader.close()
			next = nil
		}
	}()
}

// begun starts the hand-over to a tail that has begun. Without one, the first goes on, and another is tried soon.
func (n *renewal) begun(next *renewed) {
	n.cancel()
	n.opened, n.next = nil, next
	if next != nil {
		n.due.Reset(handOver)
		return
	}
	n.prints = nil
	n.due.Reset(time.Minute)
}

// note records lines of the first tail that the other may bring as well.
func (n *renewal) note(prints []uint64) {
	if n.opened != nil || n.next != nil {
		n.prints = append(n.prints, prints[:min(len(prints), maxFetched-len(n.prints))]...)
	}
}

// take returns the other tail, if it has begun, which is the caller's then.
func (n *renewal) take() *renewed {
	next := n.next
	if next != nil {
		next.prints, n.next = n.prints, nil
	}
	return next
}

// stop ends what was not taken.
func (n *renewal) stop() {
	n.due.Stop()
	next := n.next
	if n.opened != nil {
		n.cancel()
		next = <-n.opened
	}
	if next != nil {
		next.reader.close()
	}
}
