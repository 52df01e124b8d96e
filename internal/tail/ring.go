package tail

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

const (
	// ringLines and ringBytes bound what a ring holds, for viewers that are slow and for those that come late.
	ringLines = 8192
	ringBytes = 4 << 20
	// stalled is how long a viewer may take for a batch before missed lines wait for it no longer.
	stalled = 10 * time.Second
)

// ring holds the batches of a stream that came last. Each viewer has a position in it. At its bounds, and where its
// quota is used up, the oldest batches are dropped, and viewers that have not read them count the lines.
type ring struct {
	quota *quota
	full  func() // called when there is no room for more; it must not wait

	mu      sync.Mutex
	batches []*Batch // oldest first
	first   uint64   // the number of batches[0]
	lines   uint64   // how many were pushed
	held    int      // how many of them are in the batches
	bytes   int64
	// floor: every line of Loki's that is newer, and that the stream has delivered, is in the ring.
	floor     int64
	dropped   []loki.Dropped // the last ones
	state     *Event         // what a viewer that comes now has to know
	liveSince time.Time      // the zero time while the stream is not live
	id        string         // of the position at the end

	viewers map[*Viewer]struct{}
	more    chan struct{} // closed at the next change
	taken   chan struct{} // gets a value when a viewer has taken a batch
	ended   bool
	err     error
}

func newRing(q *quota, full func(), floor int64, id string) *ring {
	return &ring{
		quota: q, full: full, floor: floor, id: id, viewers: map[*Viewer]struct{}{}, more: make(chan struct{}), taken: make(chan struct{}, 1),
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// push adds a batch without waiting.
func (r *ring) push(b *Batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.hasRoom(b) {
		r.evict()
	}
	r.add(b)
	r.shedOne()
}

// shed drops the oldest batch if its memory is another tenant's by right, and reports whether it has.
func (r *ring) shed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shedOne()
}

func (r *ring) shedOne() bool {
	if len(r.batches) < 2 || !r.quota.overShare() || r.awaited() {
		return false
	}
	r.evict()
	return true
}

// pushWait adds a batch, and waits while the oldest would be dropped that a viewer is about to read.
func (r *ring) pushWait(ctx context.Context, b *Batch) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		r.mu.Lock()
		room := r.hasRoom(b)
		for !room && !r.awaited() {
			r.evict()
			room = r.hasRoom(b)
		}
		if room {
			r.add(b)
		}
		r.mu.Unlock()
		if room {
			return nil
		}
		select {
		case <-r.taken:
		case <-tick.C: // a viewer may have stalled
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hasRoom takes of the quota what the batch needs. A single one always has room.
func (r *ring) hasRoom(b *Batch) bool {
	switch {
	case len(r.batches) == 0:
		r.quota.force(b.size)
		return true
	case r.held+len(b.Entries) > ringLines || r.bytes+b.size > ringBytes:
		return false
	case r.quota.take(b.size):
		return true
	default:
		r.full()
		return false
	}
}

// awaited reports whether a viewer that reads has yet to read the oldest batch.
func (r *ring) awaited() bool {
	for v := range r.viewers {
		if !v.joining && v.next <= r.first && time.Since(v.lastTake) < stalled {
			return true
		}
	}
	return false
}

func (r *ring) evict() {
	b := r.batches[0]
	r.batches[0] = nil
	r.batches = r.batches[1:]
	r.first++
	r.held -= len(b.Entries)
	r.bytes -= b.size
	r.quota.give(b.size)
	for _, e := range b.Entries {
		r.floor = max(r.floor, e.Nanos)
	}
	for _, e := range b.Entries[max(0, len(b.Entries)-maxNamedDrops):] {
		r.dropped = append(r.dropped, loki.Dropped{Nanos: e.Nanos, Labels: e.Labels})
	}
	r.dropped = slices.Delete(r.dropped, 0, max(0, len(r.dropped)-maxNamedDrops))
}

func (r *ring) add(b *Batch) {
	b.before, b.at, b.live = r.lines, time.Now(), r.liveSince
	r.batches = append(r.batches, b)
	r.lines += uint64(len(b.Entries))
	r.held += len(b.Entries)
	r.bytes += b.size
	if b.id != "" {
		r.id = b.id
	}
	r.changed()
}

func (r *ring) changed() {
	close(r.more)
	r.more = make(chan struct{})
}

// pushed is how many lines were pushed.
func (r *ring) pushed() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines
}

// end has viewers get the error after the batches.
func (r *ring) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended, r.err = true, err
	r.changed()
}

// setState is what a viewer that comes from now on gets first, and whether the stream is live.
func (r *ring) setState(state *Event, live bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = state
	switch {
	case !live:
		r.liveSince = time.Time{}
	case r.liveSince.IsZero():
		r.liveSince = time.Now()
	}
}

// place puts a viewer at the end.
func (r *ring) place(v *Viewer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.enter(v, r.first+uint64(len(r.batches)), r.lines)
}

// enter sets a viewer's position.
func (r *ring) enter(v *Viewer, next, line uint64) {
	v.next, v.line, v.lastTake, v.greeting = next, line, time.Now(), r.state
	r.viewers[v] = struct{}{}
}

// joined has missed lines wait for a viewer from now on.
func (r *ring) joined(v *Viewer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v.joining, v.lastTake = false, time.Now()
}

// placeAfter puts a viewer behind the batch with an id, if the ring has all that follows.
func (r *ring) placeAfter(v *Viewer, id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, b := range slices.Backward(r.batches) {
		if b.id == id {
			r.enter(v, r.first+uint64(i)+1, b.before+uint64(len(b.Entries))) //nolint:gosec // an index
			return true
		}
	}
	return false
}

// has reports whether all that follows a viewer's position is in the ring.
func (r *ring) has(v *Viewer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return v.next >= r.first
}

func (r *ring) remove(v *Viewer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.viewers, v)
	signal(r.taken)
}

// newest returns the newest lines since a time, at most so many, in order, and places a viewer behind them; false if
// Loki may have others.
func (r *ring) newest(v *Viewer, start time.Time, lines int) (entries []loki.Entry, id string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.liveSince.IsZero() {
		return nil, "", false
	}
	from := max(r.floor+1, start.UnixNano())
	for _, b := range r.batches {
		for _, e := range b.Entries {
			if e.Nanos >= from {
				entries = append(entries, e)
			}
		}
	}
	if len(entries) < lines && start.UnixNano() <= r.floor {
		return nil, "", false
	}
	sortByTime(entries)
	r.enter(v, r.first+uint64(len(r.batches)), r.lines)
	return entries[max(0, len(entries)-lines):], r.id, true
}
