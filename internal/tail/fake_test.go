package tail_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/tail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a Loki with the habits of the real one's tail: it begins a while after it was opened, and misses
// what comes meanwhile; it begins with a line of the past; it ends, and is away.
type fake struct {
	mu      sync.Mutex
	entries []loki.Entry
	tails   map[*upstream]bool
	away    bool
	opens   int
	queried int
	refuse  error // of Entries
	// refuseTails ends each tail soon after it was opened, as Loki does that has too many.
	refuseTails bool
	lag         time.Duration // from when a line is stored to when tails have it
	again       time.Duration // from when tails have a line to when they have it once more, as from another replica; 0 for never
}

var errAway = &loki.Error{Kind: loki.ErrUnreachable, Cause: errors.New("connection refused")}

type upstream struct {
	fake   *fake
	begun  chan struct{}
	frames chan loki.Frame
	end    chan struct{}
	once   sync.Once
	why    error // of its end; nil: that it has ended
}

// begins is how long after it was opened a tail takes part.
const begins = time.Second

func (f *fake) Open(_ context.Context, p loki.TailParams) (tail.Upstream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opens++
	if f.away {
		return nil, errAway
	}
	u := &upstream{fake: f, begun: make(chan struct{}), frames: make(chan loki.Frame, 1000), end: make(chan struct{})}
	if f.refuseTails {
		u.why = &loki.Error{Kind: loki.ErrTooManyTails, Cause: errors.New("max concurrent tail requests limit exceeded")}
		u.once.Do(func() { close(u.end) })
		return u, nil
	}
	time.AfterFunc(begins, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.tails == nil {
			f.tails = map[*upstream]bool{}
		}
		f.tails[u] = true
		var past []loki.Entry
		for _, e := range f.sorted() {
			if !e.Time().Before(p.Start) {
				past = append(past, e)
			}
		}
		if len(past) > 0 {
			u.frames <- loki.Frame{Entries: past[len(past)-1:]}
		}
		close(u.begun)
	})
	return u, nil
}

func (u *upstream) Begun() <-chan struct{} { return u.begun }

func (u *upstream) Receive(ctx context.Context) (loki.Frame, error) {
	select {
	case f := <-u.frames:
		return f, nil
	case <-u.end:
		if u.why != nil {
			return loki.Frame{}, u.why
		}
		return loki.Frame{}, &loki.Error{Kind: loki.ErrFailed, Cause: errors.New("EOF")}
	case <-ctx.Done():
		return loki.Frame{}, ctx.Err()
	}
}

func (u *upstream) Close() {
	u.fake.mu.Lock()
	defer u.fake.mu.Unlock()
	u.stop()
}

func (u *upstream) stop() {
	delete(u.fake.tails, u)
	u.once.Do(func() { close(u.end) })
}

func (f *fake) sorted() []loki.Entry {
	all := slices.Clone(f.entries)
	slices.SortStableFunc(all, func(a, b loki.Entry) int { return cmp.Compare(a.Nanos, b.Nanos) })
	return all
}

func (f *fake) Entries(_ context.Context, p loki.RangeParams, _ int64) (loki.Lines, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queried++
	if f.away {
		return loki.Lines{}, errAway
	}
	if f.refuse != nil {
		return loki.Lines{}, f.refuse
	}
	var found []loki.Entry
	for _, e := range f.sorted() {
		if !e.Time().Before(p.Start) && e.Time().Before(p.End) {
			found = append(found, e)
		}
	}
	if p.Direction != "forward" {
		slices.Reverse(found)
	}
	return loki.Lines{Entries: found[:min(p.Limit, len(found))], Complete: len(found) < p.Limit}, nil
}

// take takes lines in: they are stored, and sent to the tails that have begun.
func (f *fake) take(entries ...loki.Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entries = append(f.entries, entries...)
	for u := range f.tails {
		if f.lag == 0 {
			u.frames <- loki.Frame{Entries: slices.Clone(entries)}
		} else {
			f.sendLater(u, f.lag, entries)
		}
		if f.again > 0 {
			f.sendLater(u, f.lag+f.again, entries)
		}
	}
}

func (f *fake) sendLater(u *upstream, after time.Duration, entries []loki.Entry) {
	time.AfterFunc(after, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.tails[u] {
			u.frames <- loki.Frame{Entries: slices.Clone(entries)}
		}
	})
}

// tries is how many tails have been opened, or tried to be.
func (f *fake) tries() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opens
}

// queries is how many have been sent.
func (f *fake) queries() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.queried
}

func (f *fake) drop(dropped ...loki.Dropped) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for u := range f.tails {
		u.frames <- loki.Frame{Dropped: dropped}
	}
}

// leave ends every tail, and does not respond until back.
func (f *fake) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = true
	for u := range f.tails {
		u.stop()
	}
}

func (f *fake) back() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = false
}

// endTails ends every tail, as after tail_max_duration.
func (f *fake) endTails() {
	f.leave()
	f.back()
}

func line(at time.Time, text string, args ...any) loki.Entry {
	return loki.Entry{Nanos: at.UnixNano(), Line: fmt.Sprintf(text, args...), Labels: `{"app":"web"}`}
}

// watch is a viewer with a hub of its own.
type watch struct {
	*tail.Viewer

	hub    *tail.Hub
	events []tail.Event // that have come between the batches
}

func (w *watch) Close() {
	w.Viewer.Close()
	w.hub.Close()
}

// Next returns the next batch that is no event.
func (w *watch) Next(ctx context.Context) (*tail.Batch, error) {
	for {
		b, err := w.Viewer.Next(ctx, nil)
		if err != nil || b.Event == nil {
			return b, err
		}
		w.events = append(w.events, *b.Event)
	}
}

func hub() *tail.Hub { return tail.NewHub(tail.HubConfig{}) }

func open(ctx context.Context, h *tail.Hub, f *fake, c tail.ViewerConfig) (*watch, error) {
	c.Source, c.Stream.Source = f, f
	v, err := h.Open(ctx, c)
	return &watch{Viewer: v, hub: h}, err
}

// start starts a tail that has begun to follow.
func start(t *testing.T, f *fake, c tail.ViewerConfig) *watch {
	t.Helper()
	h := hub()
	t.Cleanup(h.Close)
	return join(t, h, f, c)
}

// join joins the tail of a hub.
func join(t *testing.T, h *tail.Hub, f *fake, c tail.ViewerConfig) *watch {
	t.Helper()
	w, err := open(t.Context(), h, f, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sync.OnceFunc(w.Viewer.Close))
	return w
}

// texts gives the next lines, in the order they come.
func texts(t *testing.T, tl *watch, n int) []string {
	t.Helper()
	var got []string
	for len(got) < n {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		b, err := tl.Next(ctx)
		cancel()
		if err != nil {
			t.Fatalf("after %d of %d lines: %v", len(got), n, err)
		}
		for _, e := range b.Entries {
			got = append(got, e.Line)
		}
	}
	return got
}

// nothing fails if anything comes within a minute.
func nothing(t *testing.T, tl *watch) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if b, err := tl.Next(ctx); err == nil {
		t.Fatalf("unexpected %+v", b)
	}
}
