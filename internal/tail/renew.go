package tail

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// handOver is how long two tails of Loki's are read when one takes over from the other: a line that Loki had taken in before
// the second began comes by the first alone, up to half a second later where Loki is not busy, since it looks that often
// for lines to send.
const handOver = lookback

// renewal opens another tail of Loki's beside the first, and has both read until the first has sent all that Loki took in
// before the other began. What both bring is delivered once.
type renewal struct {
	stream *stream
	due    *time.Timer // at first the opening, then the end of the first tail
	cancel context.CancelFunc
	opened chan *renewed // gets the other tail, or nil where there is none; nil while none is being opened
	next   *reader
	prints []uint64 // of the lines since another one is being opened
}

// renewed is a tail of Loki's that is about to take over.
type renewed struct {
	reader *reader
	opened time.Time
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

// begin starts the hand-over to a tail that has begun. Loki's tail begins with a line of before: it is known by a query, which
// also has lines that the first tail is late with.
func (n *renewal) begin(ctx context.Context, next *renewed) {
	n.cancel()
	n.opened = nil
	if next == nil {
		n.fail()
		return
	}
	n.next = next.reader
	if err := n.stream.catchUp(ctx, next.opened.Add(-clockSkew)); err != nil {
		n.fail()
		return
	}
	n.note(n.prints)
	n.prints = nil
	n.due.Reset(handOver)
}

// fail goes on with the first tail alone, and has another be opened soon.
func (n *renewal) fail() {
	if n.next != nil {
		n.next.close()
	}
	n.next, n.prints = nil, nil
	n.due.Reset(time.Minute)
}

// frames are those of the other tail; nil while there is none.
func (n *renewal) frames() <-chan loki.Frame {
	if n.next == nil {
		return nil
	}
	return n.next.frames
}

// note records lines that either tail may bring again.
func (n *renewal) note(prints []uint64) {
	switch {
	case n.opened != nil:
		n.prints = append(n.prints, prints[:min(len(prints), maxFetched-len(n.prints))]...)
	case n.next != nil:
		for _, f := range prints {
			n.stream.addFetched(f)
		}
		n.stream.fetchedUntil = time.Now().Add(overlap)
	}
}

// take returns the other tail, if it has begun, which is the caller's then.
func (n *renewal) take() *reader {
	next := n.next
	n.next = nil
	return next
}

// stop ends what was not taken.
func (n *renewal) stop() {
	n.due.Stop()
	if n.opened != nil {
		n.cancel()
		if next := <-n.opened; next != nil {
			next.reader.close()
		}
	}
	if n.next != nil {
		n.next.close()
	}
}
