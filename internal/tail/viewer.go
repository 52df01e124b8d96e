package tail

import (
	"context"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
)

const (
	defaultLines = 100
	defaultSince = time.Hour
)

// ViewerConfig configures a viewer. The zero value of its own fields begins with the newest 100 lines of the past hour.
type ViewerConfig struct {
	// Key is what the viewer's stream is shared by, and Stream what it reads with, if the viewer is its first.
	Key    Key
	Stream StreamConfig
	// Source requests the lines that the viewer begins with, for its caller.
	Source Source
	// Start is when the lines to begin with are from; the zero time is an hour ago. Lines is how many
	// there are at most, the newest; 0 is 100.
	Start time.Time
	Lines int
	// After is where an earlier tail has ended: if it is not zero, the viewer resumes there with all
	// lines since, and Start and Lines are ignored.
	After Cursor
	// Delay is how long lines are held back to bring those that arrive late into order.
	Delay time.Duration
	// Reserve reserves the memory of a page before it is requested; nil: as much as is wanted.
	Reserve pages.Reserve
	// Room reserves [ViewerBytes] for this viewer alone, and is waited for after the stream's; nil: as much as the
	// viewer's own bounds allow.
	Room func(context.Context) (Room, error)
}

// Viewer reads a stream from a position of its own. One goroutine at a time may call Next.
type Viewer struct {
	stream *stream
	config ViewerConfig
	room   Room
	quota  *quota
	cancel context.CancelFunc

	begun  chan struct{} // closed when the request for the first lines has succeeded
	joined chan *Batch   // the lines before those of the ring; closed when the viewer has joined it
	broken chan struct{} // closed when it cannot join
	failed error         // why, to be read after joined or broken are closed

	// Held by the ring's lock.
	next     uint64 // the number of the next batch
	line     uint64 // how many lines of the ring came before it
	joining  bool
	lastTake time.Time
	behind   bool // whether there were more batches when the last one was taken

	// What follows belongs to Next, once joined is closed.
	own        *ownPosition
	joinedRing bool
	id         string
	greeting   *Event
	held       *held // nil without a delay
}

// ownPosition is what a viewer that has queried lines needs to join the ring without losing or repeating one.
type ownPosition struct {
	cursor Cursor
	// queried counts the lines that the ring may still bring.
	queried map[uint64]int
	// cut: what was there before the viewer, up to this time, is not for it.
	cut    int64
	joined time.Time
	size   int64
}

// Open has a viewer join the stream of its query, and returns when Loki has responded. The viewer lasts until Close; ctx is
// that of its requests. The error is that of the first request, or the reason why the stream ended.
func (h *Hub) Open(ctx context.Context, c ViewerConfig) (*Viewer, error) {
	if c.Lines == 0 {
		c.Lines = defaultLines
	}
	if c.Start.IsZero() {
		c.Start = h.now().Add(-defaultSince)
	}
	c.Stream = c.Stream.withDefaults()
	s, err := h.attach(ctx, c.Key, c.Stream)
	if err != nil {
		return nil, err
	}
	room, err := roomOf(ctx, c.Room)
	if err != nil {
		h.detach(s)
		return nil, err
	}
	v := &Viewer{
		stream: s, config: c, room: room, quota: newQuota(room, ViewerBytes), joining: true,
		begun: make(chan struct{}), joined: make(chan *Batch), broken: make(chan struct{}),
	}
	if c.Delay > 0 {
		v.held = &held{delay: c.Delay}
	}
	ctx, v.cancel = context.WithCancel(ctx)
	v.join(ctx)
	if err := v.waitOpen(ctx); err != nil {
		v.Close()
		return nil, err
	}
	h.use(s)
	return v, nil
}

// waitOpen waits until Loki has responded to both the viewer and its stream.
func (v *Viewer) waitOpen(ctx context.Context) error {
	for _, opened := range []chan struct{}{v.stream.open, v.begun} {
		select {
		case <-opened:
			continue
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-v.broken:
		case <-v.stream.done:
		}
		select {
		case <-opened: // both
		case <-v.broken:
			return v.failed
		default:
			return v.stream.ring.err
		}
	}
	return nil
}

// ID is the position of the viewer: that of a later one which resumes after all that Next has returned.
func (v *Viewer) ID() string { return v.id }

// Behind reports whether Next, which has just returned a batch, has another one already: several can be written at once.
func (v *Viewer) Behind() bool { return v.joinedRing && v.own == nil && v.held == nil && v.behind }

// Close has the viewer leave its stream, and waits for what it has started.
func (v *Viewer) Close() {
	v.cancel()
	for range v.joined { // until it is closed
	}
	v.stream.ring.remove(v)
	v.stream.hub.detach(v.stream)
	v.room.Release()
}

// Next waits for the next batch, until the channel until gives a value: then it returns nil. What came before the stream
// ended is returned first, then an [EndError]; when ctx ends, its cause.
func (v *Viewer) Next(ctx context.Context, until <-chan time.Time) (*Batch, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		select {
		case b, ok := <-v.joined:
			if ok {
				v.id = b.id
				return b, nil
			}
			if v.failed != nil {
				return nil, &EndError{v.failed}
			}
			v.takePosition()
		case <-ctx.Done():
			continue
		case <-until:
			return nil, nil
		}
		b, more, err := v.take()
		if b != nil || err != nil {
			return b, err
		}
		due, stop := v.held.timer()
		select {
		case <-more:
		case <-due:
		case <-ctx.Done():
		case <-until:
			stop()
			return nil, nil
		}
		stop()
	}
}

// takePosition takes over the position at which the viewer has joined the ring.
func (v *Viewer) takePosition() {
	if !v.joinedRing && v.own != nil {
		v.id = v.own.cursor.String()
	}
	v.joinedRing = true
}

// take returns the next batch of the ring for the viewer, or a channel that is closed when there may be one.
func (v *Viewer) take() (*Batch, <-chan struct{}, error) {
	for {
		if b := v.held.due(v); b != nil {
			return b, nil, nil
		}
		if e := v.greeting; e != nil {
			v.greeting = nil
			return &Batch{Event: e}, nil, nil
		}
		b, more, err := v.read()
		if b == nil {
			if err != nil && v.held.any() {
				return v.held.all(v), nil, nil
			}
			return nil, more, err
		}
		if b = v.filter(b); b == nil {
			continue
		}
		if v.held == nil || len(b.Entries) == 0 {
			return b, nil, nil
		}
		if b = v.held.add(v, b); b != nil {
			return b, nil, nil
		}
	}
}

// read takes the batch at the viewer's position.
func (v *Viewer) read() (*Batch, <-chan struct{}, error) {
	r := v.stream.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	v.lastTake = time.Now()
	if v.next < r.first {
		first := r.lines
		if len(r.batches) > 0 {
			first = r.batches[0].before
		}
		missed := int(first - v.line) //nolint:gosec // lines of one tail
		v.next, v.line = r.first, first
		if missed > 0 {
			return &Batch{Drops: Drops{Slow: missed, Named: append([]loki.Dropped(nil), r.dropped[max(0, len(r.dropped)-missed):]...)}}, nil, nil
		}
	}
	i := v.next - r.first
	if i == uint64(len(r.batches)) {
		if r.ended {
			return nil, nil, r.err
		}
		return nil, r.more, nil
	}
	b := r.batches[i]
	v.next++
	v.line += uint64(len(b.Entries))
	v.behind = i+1 < uint64(len(r.batches))
	if v.own != nil && !b.live.IsZero() && b.at.Sub(latest(v.own.joined, b.live)) > overlap {
		v.quota.give(v.own.size)
		v.own = nil
	}
	signal(r.taken)
	return b, nil, nil
}

// filter leaves out what the viewer has queried, or what is not for it; nil where nothing is left. Until no line of the
// ring can be one of those, ids are the viewer's own.
func (v *Viewer) filter(b *Batch) *Batch {
	if v.own == nil && v.held == nil && b.id != "" {
		v.id = b.id
	}
	if v.own == nil || b.Event != nil || len(b.Entries) == 0 {
		return b
	}
	kept := make([]loki.Entry, 0, len(b.Entries))
	for i, e := range b.Entries {
		f := b.print(i)
		if n := v.own.queried[f]; n > 1 {
			v.own.queried[f] = n - 1
		} else if n == 1 {
			delete(v.own.queried, f)
		} else if !b.caughtUp || e.Nanos > v.own.cut {
			kept = append(kept, e)
			v.own.cursor.Add(e)
		}
	}
	if len(kept) == 0 && b.Drops.Count() == 0 {
		return nil
	}
	own := &Batch{Entries: kept, Drops: b.Drops, id: v.own.cursor.String(), size: sizeOfBatch(b), at: b.at}
	if len(kept) == len(b.Entries) {
		own.same = b
	}
	v.id = own.id
	return own
}
