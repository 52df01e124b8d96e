package tail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
)

const (
	// startTimeout is how long to wait for Loki's first ping, which comes after a second; a proxy that drops
	// pings forwards none.
	startTimeout = 1500 * time.Millisecond
	// lookback is how far a query goes back each time that a tail of Loki's begins: lines written before the
	// last one ended may have been ingested after.
	lookback = 10 * time.Second
	// lookahead is how far a query goes into the future: not all clocks agree.
	lookahead = 10 * time.Second
	// clockSkew is how far Loki's clock may be behind ours: it refuses to tail from its future.
	clockSkew = 5 * time.Second
	// overlap is how long a line may take from a query that has it to Loki's tail.
	overlap = lookahead + startTimeout + clockSkew
	// batchInterval is how long lines are collected while others have just been delivered: each batch is written to
	// each viewer.
	batchInterval = 100 * time.Millisecond

	// renewAfter is how long a tail of Loki's is read before another one takes over: Loki ends it after an hour
	// (tail_max_duration). It is up to a tenth less, so that not all are renewed at once.
	renewAfter = 55 * time.Minute

	minRetryDelay, maxRetryDelay = 250 * time.Millisecond, 5 * time.Second
)

// stream reads the lines of one query for all of its viewers, and puts them into a ring.
type stream struct {
	config StreamConfig
	hub    *Hub
	key    Key
	ring   *ring
	quota  *quota
	room   Room
	cancel context.CancelFunc
	done   chan struct{} // closed when nothing runs any more

	open   chan struct{} // closed when Loki has taken the tail, or the first poll
	opened sync.Once

	// Held by hub.mu.
	viewers int
	used    bool // whether one has joined
	polled  bool // changed by run alone
	down    bool // whether it is interrupted
	linger  *time.Timer

	// What follows belongs to run alone.
	dedup  dedupWindow
	recent recentLines
	cursor Cursor
	// lastSeen is when Loki last sent anything: all that it ingested before was requested or has arrived.
	lastSeen time.Time
	// fetched are the lines of the query for missed lines, until no line of Loki's tail can be one of them.
	fetched      map[uint64]struct{}
	fetchedUntil time.Time
	lastPush     time.Time
	interrupted  time.Time // since when; the zero time while it is not
	missed       int       // lines that were missed since
	from         time.Time // where the query for them began
	batches      uint64
	epoch        uint64
	pollUntil    time.Time // when another tail of Loki's is tried
	mode         EventKind // the last one that viewers were told; 0 is that of a tail
}

// EndError is the end of a tail that its reader did not request.
type EndError struct{ Cause error }

func (e *EndError) Error() string { return "the tail ended: " + e.Cause.Error() }

// Unwrap returns the cause: an error of package loki or of package pages.
func (e *EndError) Unwrap() error { return e.Cause }

func newStream(h *Hub, key Key, c StreamConfig, room Room) *stream {
	s := &stream{
		config: c, hub: h, key: key, quota: newQuota(room, BaseBytes), room: room,
		open: make(chan struct{}), done: make(chan struct{}), epoch: rand.Uint64(), //nolint:gosec // no secret
	}
	// Lines are the stream's from shortly before it began.
	s.cursor = CursorAt(h.now())
	s.dedup.oldest, s.dedup.newest = s.cursor.nanos, s.cursor.nanos
	s.ring = newRing(s.quota, h.shedSoon, s.cursor.nanos-1, s.nextID())
	// Of no viewer's: it outlives them, and carries nothing of their requests.
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() {
		defer h.running.Done() // when it holds nothing any more
		defer close(s.done)
		if room.OverShare() {
			h.shedSoon()
		}
		s.ring.end(s.run(ctx))
		h.forget(s)
		room.Release()
	}()
	return s
}

// run keeps a tail of Loki's open.
func (s *stream) run(ctx context.Context) error {
	pause, since := minRetryDelay, time.Now()
	for {
		started := time.Now()
		begun, err := s.session(ctx)
		now := time.Now()
		if errors.Is(err, errPolled) {
			since = now
			continue
		}
		switch {
		case ctx.Err() != nil:
			return &EndError{context.Cause(ctx)}
		case !s.isOpen(), isPermanent(err):
			return &EndError{err}
		case begun:
			since = now
		case now.Sub(since) >= s.hub.config.GiveUp:
			return &EndError{err}
		}
		if begun && now.Sub(started) > maxRetryDelay {
			pause = minRetryDelay
		}
		// Randomized: when Loki stops, every tail ends at once.
		wait := pause/2 + rand.N(pause) //nolint:gosec // no secret
		s.interrupt(wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, maxRetryDelay)
	}
}

// isPermanent reports whether a retry would fail with the same error.
func isPermanent(err error) bool {
	var refused *loki.RefusedError
	var dense *pages.DenseError
	return errors.As(err, &refused) || errors.As(err, &dense) || errors.Is(err, loki.ErrOrgID) ||
		errors.Is(err, loki.ErrNotFenced) || errors.Is(err, loki.ErrParameter) || errors.Is(err, loki.ErrTooLong)
}

func (s *stream) isOpen() bool {
	select {
	case <-s.open:
		return true
	default:
		return false
	}
}

func (s *stream) markOpen() { s.opened.Do(func() { close(s.open) }) }

// interrupt tells the viewers that nothing is read, and when it is tried next.
func (s *stream) interrupt(wait time.Duration) {
	now := s.hub.now()
	if s.interrupted.IsZero() {
		s.interrupted, s.from, s.missed = now, time.Time{}, 0
		s.setDown(true)
	}
	e := &Event{Kind: EventInterrupted, Since: s.interrupted, NextTry: now.Add(wait)}
	s.ring.setState(e, false)
	s.pushEvent(e)
}

// live tells the viewers that all that was missed has been delivered, and how lines are read from now on.
func (s *stream) live(mode EventKind) {
	if !s.interrupted.IsZero() {
		s.pushEvent(&Event{Kind: EventResumed, Since: s.interrupted, From: s.from, Lines: s.missed})
		s.interrupted = time.Time{}
		s.setDown(false)
	}
	if mode != cmp.Or(s.mode, EventTailing) {
		s.pushEvent(&Event{Kind: mode})
		s.mode = mode
	}
	var state *Event
	if mode == EventPolling {
		state = &Event{Kind: mode}
	}
	s.ring.setState(state, true)
}

func (s *stream) pushEvent(e *Event) {
	b := &Batch{Event: e}
	b.size = sizeOfBatch(b)
	s.ring.push(b)
}

// tail is one tail of Loki's, from what was missed before it to its end. It has begun when live lines
// can have come.
func (s *stream) tail(ctx context.Context) (begun bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.isOpen() {
		// All that was missed, before Loki's tail is opened: it would not wait for this query.
		if err := s.catchUp(ctx, time.Time{}); err != nil {
			return false, err
		}
	}
	opened := s.hub.now()
	upstream, err := s.config.Source.Open(ctx, loki.TailParams{Start: opened.Add(-clockSkew), Limit: 1})
	if err != nil {
		return false, fmt.Errorf("open tail: %w", err)
	}
	r := startReader(ctx, upstream, s.quota)
	defer func() { r.close() }()
	s.markOpen()
	if err := r.waitStarted(ctx); err != nil {
		return false, err
	}
	// What was taken in between the query before and the beginning of Loki's tail.
	if err := s.catchUp(ctx, opened.Add(-clockSkew)); err != nil {
		return false, err
	}
	s.live(EventTailing)
	for {
		next, err := s.follow(ctx, r)
		if next == nil {
			return true, err
		}
		r.close()
		r = next
	}
}

// catchUp requests the lines that were not delivered yet. Loki's tail begins with a line since a time, which may be
// earlier: lines from then on are recorded as fetched, and not delivered.
func (s *stream) catchUp(ctx context.Context, since time.Time) error {
	now := s.hub.now()
	from := s.dedup.resumeFrom(s.lastSeen)
	if s.from.IsZero() {
		s.from = time.Unix(0, from)
	}
	start := from
	if !since.IsZero() {
		start = min(start, since.UnixNano())
	}
	walk := pages.Walk{
		Source: s.entries, Lines: s.config.PageLines, LongBytes: s.config.LongBytes, Reserve: s.config.Reserve,
		Window: loki.Window{Start: time.Unix(0, start), End: now.Add(lookahead)},
	}
	known := s.dedup.deliveredSince(start)
	s.fetched, s.fetchedUntil = map[uint64]struct{}{}, time.Now().Add(overlap)
	for page, err := range walk.Pages(ctx) {
		if err != nil {
			return fmt.Errorf("request missed lines: %w", err)
		}
		var fresh []loki.Entry
		var prints []uint64
		for _, e := range page {
			f := fingerprint(e)
			s.addFetched(f)
			if e.Nanos >= from && !known.take(f) {
				fresh, prints = append(fresh, e), append(prints, f)
			}
		}
		s.missed += len(fresh)
		for b := range s.split(fresh, prints, Drops{}) {
			b.caughtUp = true
			if err := s.ring.pushWait(ctx, b); err != nil {
				return err
			}
		}
	}
	s.lastSeen = now
	return nil
}

// maxFetched bounds the lines recorded: 65,536 within the lookback. Beyond it some may be repeated.
const maxFetched = 1 << 16

func (s *stream) addFetched(f uint64) {
	if s.fetched == nil {
		s.fetched = map[uint64]struct{}{}
	}
	if len(s.fetched) < maxFetched {
		s.fetched[f] = struct{}{}
	}
}

// split records entries as delivered, and returns them as batches.
func (s *stream) split(entries []loki.Entry, prints []uint64, drops Drops) func(yield func(*Batch) bool) {
	return func(yield func(*Batch) bool) {
		for len(entries) > 0 || drops.Count() > 0 {
			n := batchEnd(entries)
			b := &Batch{Entries: entries[:n:n], prints: prints[:n:n], Drops: drops}
			for i, e := range b.Entries {
				s.dedup.add(e.Nanos, prints[i])
				s.cursor.Add(e)
			}
			b.id = s.nextID()
			b.size = sizeOfBatch(b)
			entries, prints, drops = entries[n:], prints[n:], Drops{}
			if !yield(b) {
				return
			}
		}
	}
}

// nextID is the id of the position after the lines so far. It is no other position's.
func (s *stream) nextID() string {
	s.batches++
	return s.cursor.textWith(mix(s.epoch + s.batches))
}

// batchEnd is how many of the entries a batch holds.
func batchEnd(entries []loki.Entry) int {
	size := 0
	for i, e := range entries {
		if size += e.Size(); i == batchEntries || i > 0 && size > batchBytes {
			return i
		}
	}
	return len(entries)
}

// follow delivers the frames of Loki's tail until it ends, or another one takes over. Where many come, those of a short
// time are one batch.
func (s *stream) follow(ctx context.Context, r *reader) (next *reader, err error) {
	var p pending
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	renewal := newRenewal(s)
	defer renewal.stop()
	defer func() { s.flush(&p) }()
	take := func(from *reader, frame loki.Frame) {
		if p.reader != from {
			s.flush(&p) // whose memory it is is counted
		}
		first := p.size == 0
		renewal.note(s.collect(&p, from, frame))
		wait := batchInterval - time.Since(s.lastPush)
		switch {
		case wait <= 0 || len(p.entries) >= batchEntries || p.size >= batchBytes:
			s.flush(&p)
		case first:
			timer.Reset(wait)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-renewal.due.C:
			if renewal.next == nil {
				renewal.open(ctx)
				continue
			}
			for _, frame := range r.rest() {
				take(r, frame)
			}
			return renewal.take(), nil
		case next := <-renewal.opened:
			s.flush(&p) // before what a query finds
			renewal.begin(ctx, next)
		case <-timer.C:
			s.flush(&p)
		case frame, ok := <-renewal.frames():
			if ok {
				frame.Dropped = nil // the first tail has them, or reports them
				take(renewal.next, frame)
			} else {
				s.flush(&p)
				renewal.fail()
			}
		case frame, ok := <-r.frames:
			if ok {
				take(r, frame)
				continue
			}
			if next := renewal.take(); next != nil {
				return next, nil
			}
			return nil, r.err
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sortByTime sorts entries by time, those of one nanosecond as they are.
func sortByTime(entries []loki.Entry) {
	slices.SortStableFunc(entries, func(a, b loki.Entry) int { return cmp.Compare(a.Nanos, b.Nanos) })
}
