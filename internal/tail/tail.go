// Package tail follows the lines of a query as they arrive.
//
// Guarantee: each line is delivered once, across Loki's restarts and closed tails too, and dropped lines are
// counted; a tail holds no more than its bounds however slow the reader is, and ends with an
// [EndError] with the reason. Close leaves nothing running.
//
// Not promised here: lines that Loki's own tail drops without reporting it (see package loki), lines that
// arrive late, by more than a few seconds, while Loki is down, or who may read what (package tenancy).
//
// Loki's tail alone keeps none of that: it misses lines while it begins, and what arrives while it is closed.
// So a tail here is Loki's, and a query for what may have been missed each time that one begins.
package tail

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
	"github.com/logfence/logfence/internal/tenancy"
)

// Upstream is an open tail of Loki's; see [loki.Tail].
type Upstream interface {
	Begun() <-chan struct{}
	Receive(ctx context.Context) (loki.Frame, error)
	Close()
}

// Source reads from Loki for one caller and one query.
type Source interface {
	Open(ctx context.Context, p loki.TailParams) (Upstream, error)
	Entries(ctx context.Context, p loki.RangeParams, maxBytes int64) ([]loki.Entry, error)
}

// NewSource returns the source of a client, for one caller and one query.
func NewSource(client *loki.Client, options loki.RequestOptions, q tenancy.Query) Source {
	return &lokiSource{client, options, q}
}

type lokiSource struct {
	client  *loki.Client
	options loki.RequestOptions
	query   tenancy.Query
}

func (s *lokiSource) Open(ctx context.Context, p loki.TailParams) (Upstream, error) {
	upstream, err := s.client.Tail(ctx, s.options, s.query, p)
	if err != nil {
		return nil, err
	}
	return upstream, nil
}

func (s *lokiSource) Entries(ctx context.Context, p loki.RangeParams, maxBytes int64) ([]loki.Entry, error) {
	return s.client.Entries(ctx, s.options, s.query, p, maxBytes)
}

// Config configures a tail. The zero value begins with the newest 100 lines of the past hour.
type Config struct {
	// Start is when the lines to begin with are from; the zero time is an hour ago. Lines is how many
	// there are at most, the newest; 0 is 100.
	Start time.Time
	Lines int
	// After is where an earlier tail has ended: if it is not zero, the tail resumes there with all
	// lines since, and Start and Lines are ignored.
	After Cursor
	// Delay is how long Loki holds lines back to bring those that arrive late into order.
	Delay time.Duration
	// PageLines is how many lines are requested from Loki at once; 0 is its own bound.
	PageLines int
	// LongBytes is how large a page is at most that cannot be divided; 0 is pages.DefaultLongBytes.
	LongBytes int64
	// Reserve reserves the memory of a page before it is requested; nil: as much as is wanted.
	Reserve pages.Reserve
	// Room is the memory of what waits for the reader; nil: as much as the tail's own bounds allow.
	Room Room
	// GiveUp is how long Loki may be down before the tail ends; 0 is two minutes.
	GiveUp time.Duration
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

const (
	defaultLines = 100
	defaultSince = time.Hour
	// DefaultGiveUp is how long Loki may be down: long enough for it to be moved to another machine.
	DefaultGiveUp = 2 * time.Minute

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

	minRetryDelay, maxRetryDelay = 250 * time.Millisecond, 5 * time.Second
)

// Tail is a running tail. One goroutine at a time may call Next.
type Tail struct {
	source Source
	config Config
	buffer *buffer
	cancel context.CancelFunc

	open   chan struct{} // closed at Loki's first response
	opened sync.Once
	done   chan struct{} // closed when nothing runs any more
	err    error         // why it ended, to be read after done

	// What follows belongs to run alone.
	dedup dedupWindow
	// lastSeen is when Loki last sent anything: all that it ingested before was requested or has arrived.
	lastSeen time.Time
	// fetched are the lines of the query for missed lines, until no line of Loki's tail can be one of them.
	fetched      map[uint64]struct{}
	fetchedUntil time.Time
}

// EndError is the end of a tail that its reader did not request.
type EndError struct{ Cause error }

func (e *EndError) Error() string { return "the tail ended: " + e.Cause.Error() }

// Unwrap returns the cause: an error of package loki or of package pages.
func (e *EndError) Unwrap() error { return e.Cause }

// Start starts a tail, which runs until Close. The caller calls Close.
func Start(ctx context.Context, s Source, c Config) *Tail {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Lines == 0 {
		c.Lines = defaultLines
	}
	if c.PageLines == 0 {
		c.PageLines = pages.DefaultLines
	}
	if c.LongBytes == 0 {
		c.LongBytes = pages.DefaultLongBytes
	}
	if c.GiveUp == 0 {
		c.GiveUp = DefaultGiveUp
	}
	if c.Start.IsZero() {
		c.Start = c.Now().Add(-defaultSince)
	}
	t := &Tail{source: s, config: c, buffer: newBuffer(newQuota(c.Room)), open: make(chan struct{}), done: make(chan struct{})}
	t.dedup.oldest = c.Start.UnixNano()
	if !c.After.IsZero() {
		t.dedup.resume(c.After)
	}
	ctx, t.cancel = context.WithCancel(ctx)
	go func() {
		defer close(t.done)
		t.err = t.run(ctx)
	}()
	return t
}

// Open waits for Loki's first response, or returns the error of the first request.
func (t *Tail) Open(ctx context.Context) error {
	select {
	case <-t.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.done:
	}
	select {
	case <-t.open: // both
		return nil
	default:
		return t.err
	}
}

// Next waits for lines or a count of dropped lines. Lines buffered when the tail ended are returned first,
// then an [EndError]; when ctx ends, its cause.
func (t *Tail) Next(ctx context.Context) (Batch, error) {
	for {
		if ctx.Err() != nil {
			return Batch{}, context.Cause(ctx)
		}
		if batch, ok := t.buffer.take(); ok {
			return batch, nil
		}
		select {
		case <-t.buffer.added:
		case <-ctx.Done():
		case <-t.done:
			if batch, ok := t.buffer.take(); ok {
				return batch, nil
			}
			return Batch{}, t.err
		}
	}
}

// Close ends the tail and waits for what it has started.
func (t *Tail) Close() {
	t.cancel()
	<-t.done
}

// run keeps a tail of Loki's open.
func (t *Tail) run(ctx context.Context) error {
	pause, since := minRetryDelay, t.config.Now()
	for {
		started := t.config.Now()
		begun, err := t.session(ctx)
		now := t.config.Now()
		switch {
		case ctx.Err() != nil:
			return &EndError{context.Cause(ctx)}
		case !t.isOpen(), isPermanent(err):
			return &EndError{err}
		case begun:
			since = now
		case now.Sub(since) >= t.config.GiveUp:
			return &EndError{err}
		}
		if begun && now.Sub(started) > maxRetryDelay {
			pause = minRetryDelay
		}
		// Randomized: when Loki stops, every tail ends at once.
		timer := time.NewTimer(pause/2 + rand.N(pause)) //nolint:gosec // no secret
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
		errors.Is(err, loki.ErrNotFenced) || errors.Is(err, loki.ErrParameter)
}

func (t *Tail) isOpen() bool {
	select {
	case <-t.open:
		return true
	default:
		return false
	}
}

func (t *Tail) markOpen() { t.opened.Do(func() { close(t.open) }) }

// session is one tail of Loki's, from what was missed before it to its end. It has begun when live lines
// can have come.
func (t *Tail) session(ctx context.Context) (begun bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first := !t.isOpen() && t.config.After.IsZero()
	if !first {
		// All that was missed, before Loki's tail is opened: it would not wait for this query.
		if err := t.catchUp(ctx, t.dedup.resumeFrom(t.lastSeen), time.Time{}); err != nil {
			return false, err
		}
		t.markOpen()
	}
	opened := t.config.Now()
	upstream, err := t.source.Open(ctx, loki.TailParams{Start: opened.Add(-clockSkew), Limit: 1, Delay: t.config.Delay})
	if err != nil {
		return false, fmt.Errorf("open tail: %w", err)
	}
	r := startReader(ctx, upstream, t.buffer.quota)
	defer r.close()
	if first {
		if err := t.history(ctx, r); err != nil {
			return false, err
		}
	}
	if err := r.waitStarted(ctx); err != nil {
		return false, err
	}
	// What was taken in between the query before and the beginning of Loki's tail.
	if err := t.catchUp(ctx, t.dedup.resumeFrom(t.lastSeen), opened.Add(-clockSkew)); err != nil {
		return false, err
	}
	return true, t.follow(ctx, r)
}

// history begins with the newest lines, unless Loki has ended its tail by then.
func (t *Tail) history(ctx context.Context, r *reader) error {
	now := t.config.Now()
	entries, complete, reserved, err := t.newest(ctx, loki.Window{Start: t.config.Start, End: latest(now, t.config.Start).Add(lookahead)})
	if err != nil {
		return fmt.Errorf("begin with the newest lines: %w", err)
	}
	defer reserved.Release()
	if err := r.endError(); err != nil {
		return err
	}
	t.markOpen() // before the lines, which may be more than the buffer takes
	for i := len(entries) - 1; i >= 0; i-- {
		if err := t.buffer.pushWait(ctx, entries[i]); err != nil {
			return err
		}
		t.dedup.add(entries[i].Nanos, fingerprint(entries[i]))
	}
	if !complete {
		// There may be older ones, which were not requested.
		t.dedup.oldest = entries[len(entries)-1].Nanos + 1
	}
	t.lastSeen = now
	return nil
}

// newest requests the newest lines of a window, the newest first, and reports whether these are all there are. Where
// they are larger than a page, they are requested as a long one; and beyond that, fewer. The caller releases what is
// reserved for them.
func (t *Tail) newest(ctx context.Context, w loki.Window) (entries []loki.Entry, complete bool, _ pages.Reservation, err error) {
	lines, maxBytes := min(t.config.Lines, t.config.PageLines), int64(pages.DefaultBytes)
	for {
		reserved, err := t.config.Reserve.Get(ctx, maxBytes)
		if err != nil {
			return nil, false, nil, err
		}
		entries, err := t.source.Entries(ctx, loki.RangeParams{Window: w, Limit: lines}, maxBytes)
		if err == nil {
			reserved.Fill(pages.Size(entries))
			return entries, len(entries) < lines, reserved, nil
		}
		reserved.Release()
		switch {
		case !errors.Is(err, loki.ErrTooLarge):
			return nil, false, nil, err
		case maxBytes < t.config.LongBytes:
			maxBytes = t.config.LongBytes
		case lines > 1:
			lines = pages.FewerLines(lines, err)
		default:
			return nil, false, nil, err
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// catchUp requests the lines from a nanosecond on that were not delivered yet. Loki's tail begins with a line
// since a time, which may be earlier: lines from then on are recorded as fetched, and not delivered.
func (t *Tail) catchUp(ctx context.Context, from int64, since time.Time) error {
	now := t.config.Now()
	start := from
	if !since.IsZero() {
		start = min(start, since.UnixNano())
	}
	walk := pages.Walk{
		Source: t.source.Entries, Lines: t.config.PageLines, LongBytes: t.config.LongBytes, Reserve: t.config.Reserve,
		Window: loki.Window{Start: time.Unix(0, start), End: now.Add(lookahead)},
	}
	known := t.dedup.deliveredSince(start)
	t.fetched, t.fetchedUntil = map[uint64]struct{}{}, now.Add(lookahead+t.config.Delay+startTimeout+clockSkew)
	for page, err := range walk.Pages(ctx) {
		if err != nil {
			return fmt.Errorf("request missed lines: %w", err)
		}
		if since.IsZero() {
			t.markOpen()
		}
		known.meet(page)
		for _, e := range page {
			f := fingerprint(e)
			t.addFetched(f)
			if e.Nanos < from || known.take(f) {
				continue
			}
			if err := t.buffer.pushWait(ctx, e); err != nil {
				return err
			}
			t.dedup.add(e.Nanos, f)
		}
	}
	t.lastSeen = now
	return nil
}

// maxFetched bounds the lines recorded: 65,536 within the lookback. Beyond it some may be repeated.
const maxFetched = 1 << 16

func (t *Tail) addFetched(f uint64) {
	if len(t.fetched) < maxFetched {
		t.fetched[f] = struct{}{}
	}
}

// follow delivers the frames of Loki's tail until it ends.
func (t *Tail) follow(ctx context.Context, r *reader) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case frame, ok := <-r.frames:
			if !ok {
				return r.err
			}
			size := sizeOf(frame) // before it is taken apart
			t.deliver(frame)
			r.done(size)
		}
	}
}

func (t *Tail) deliver(frame loki.Frame) {
	now := t.config.Now()
	if t.fetched != nil && now.After(t.fetchedUntil) {
		t.fetched = nil
	}
	fresh := frame.Entries[:0]
	for _, e := range frame.Entries {
		f := fingerprint(e)
		if _, fetched := t.fetched[f]; !fetched {
			fresh = append(fresh, e)
			t.dedup.add(e.Nanos, f)
		}
	}
	t.buffer.push(fresh, frame.Dropped)
	t.lastSeen = now
}
