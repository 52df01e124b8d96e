package pages_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
)

var errOfWindow, errOfLoad, errFatal = errors.New("of the window"), errors.New("of the load"), errors.New("fatal")

func kindOf(err error) pages.ErrorKind {
	switch {
	case errors.Is(err, errOfWindow):
		return pages.ErrorOfWindow
	case errors.Is(err, errOfLoad):
		return pages.ErrorOfLoad
	default:
		return pages.ErrorFatal
	}
}

// locked is held.both for several windows at the same time.
func (h *held) locked() pages.Source {
	var mu sync.Mutex
	return func(ctx context.Context, p loki.RangeParams, maxBytes int64) (loki.Lines, error) {
		mu.Lock()
		defer mu.Unlock()
		return h.both(ctx, p, maxBytes)
	}
}

func streamOf(source pages.Source, c pages.Cursor) pages.StreamConfig {
	return pages.StreamConfig{Walk: pages.Walk{Source: source, Lines: 50}, Cursor: c, AtOnce: 4, Kind: kindOf}
}

// drain reads a stream to its end.
func drain(ctx context.Context, s *pages.Stream) (lines []loki.Entry, gaps []pages.Gap, err error) {
	for {
		e, err := s.Next(ctx)
		if err != nil {
			return lines, gaps, err
		}
		if e.Gap != nil {
			gaps = append(gaps, *e.Gap)
			continue
		}
		lines = append(lines, e.Lines()...)
	}
}

// TestStreamGivesEachLineOnce guarantees that a stream has each line once and in order, and that one which is cut off
// anywhere goes on by its cursor without a line lost or repeated.
func TestStreamGivesEachLineOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, backward := clashing(t), rapid.Bool().Draw(t, "backward")
		want := slices.Clone(h.entries)
		pages.Sort(want, backward)
		c := pages.FirstCursor(day(), backward, pages.Digest{1})
		var got []loki.Entry
		for {
			config := streamOf(h.locked(), c)
			config.Limit = rapid.IntRange(0, 60).Draw(t, "limit")
			s := pages.NewStream(context.Background(), config)
			var err error
			cut := rapid.IntRange(1, 30).Draw(t, "events")
			for ; cut > 0 && err == nil; cut-- {
				var e pages.Event
				if e, err = s.Next(context.Background()); err == nil {
					got = append(got, e.Lines()...)
				}
			}
			c = s.Cursor()
			s.Close()
			if errors.Is(err, pages.ErrStreamEnd) {
				break
			}
			if err != nil && !errors.Is(err, pages.ErrStreamLimit) {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %d lines\nwant %d", len(got), len(want))
		}
	})
}

// TestStreamGap guarantees that a part of the range that fails is divided, then a gap, that the gaps and nothing else hold
// the lines that are missing, and that the rest comes.
func TestStreamGap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, backward := clashing(t), rapid.Bool().Draw(t, "backward")
		from := noon.Add(time.Duration(rapid.IntRange(0, int(24*time.Hour)).Draw(t, "from")))
		bad := loki.Window{Start: from, End: from.Add(time.Duration(rapid.IntRange(1, int(time.Hour)).Draw(t, "length")))}
		source := h.locked()
		s := pages.NewStream(context.Background(), streamOf(func(ctx context.Context, p loki.RangeParams, maxBytes int64) (loki.Lines, error) {
			if p.Start.Before(bad.End) && bad.Start.Before(p.End) {
				return loki.Lines{}, errOfWindow
			}
			return source(ctx, p, maxBytes)
		}, pages.FirstCursor(day(), backward, pages.Digest{})))
		defer s.Close()
		got, gaps, err := drain(context.Background(), s)
		if !errors.Is(err, pages.ErrStreamEnd) {
			t.Fatal(err)
		}
		within := func(e loki.Entry) bool {
			return slices.ContainsFunc(gaps, func(g pages.Gap) bool { return !e.Time().Before(g.Start) && e.Time().Before(g.End) })
		}
		want := slices.DeleteFunc(slices.Clone(h.entries), within)
		pages.Sort(want, backward)
		if !slices.Equal(got, want) {
			t.Fatalf("got %d lines, want %d outside of the gaps %v", len(got), len(want), gaps)
		}
		for _, g := range gaps {
			if !g.Start.Before(bad.End) || !bad.Start.Before(g.End) || !errors.Is(g.Err, errOfWindow) {
				t.Errorf("a gap %v that is not around %v", g, bad)
			}
		}
		if bad.Start.Before(day().End) && len(gaps) == 0 {
			t.Error("no gap")
		}
	})
}

// TestStreamOfADenseNanosecond guarantees that a nanosecond with more lines than Loki returns at once is a gap of its own.
func TestStreamOfADenseNanosecond(t *testing.T) {
	for _, backward := range []bool{false, true} {
		h := &held{entries: []loki.Entry{entry(0, "before"), entry(2*time.Hour, "after")}}
		for i := range 60 {
			h.entries = append(h.entries, entry(time.Hour, fmt.Sprint(i)))
		}
		s := pages.NewStream(t.Context(), streamOf(h.locked(), pages.FirstCursor(day(), backward, pages.Digest{})))
		got, gaps, err := drain(t.Context(), s)
		s.Close()
		if len(got) != 2 || len(gaps) != 1 || gaps[0].End.Sub(gaps[0].Start) != 1 || !errors.Is(err, pages.ErrStreamEnd) {
			t.Errorf("backward %t: %d lines, gaps %v, %v", backward, len(got), gaps, err)
		}
	}
}

// TestStreamErrors guarantees that an error of the moment is tried again once, that others end the stream, and that a
// stream does not wait for Loki's timeout for ever.
func TestStreamErrors(t *testing.T) {
	h := &held{entries: []loki.Entry{entry(0, "a"), entry(23*time.Hour, "b")}}
	good := h.locked()
	for _, tt := range []struct {
		name string
		err  error
		bad  func(n int) bool
		want error
	}{
		{"once overloaded", errOfLoad, func(n int) bool { return n == 2 }, pages.ErrStreamEnd},
		{"overloaded", errOfLoad, func(n int) bool { return n >= 2 }, errOfLoad},
		{"fatal", errFatal, func(n int) bool { return n >= 3 }, errFatal}, // and stays: a window that is read ahead may be read again
		{"nothing but gaps", errOfWindow, func(int) bool { return true }, errOfWindow},
	} {
		var mu sync.Mutex
		n := 0
		w := day()
		w.Start = w.End.Add(-365 * 24 * time.Hour)
		config := streamOf(func(ctx context.Context, p loki.RangeParams, maxBytes int64) (loki.Lines, error) {
			mu.Lock()
			n++
			bad := tt.bad(n)
			mu.Unlock()
			if bad {
				return loki.Lines{}, tt.err
			}
			return good(ctx, p, maxBytes)
		}, pages.FirstCursor(w, true, pages.Digest{}))
		s := pages.NewStream(t.Context(), config)
		if _, _, err := drain(t.Context(), s); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v after %d requests", tt.name, err, n)
		}
		s.Close()
	}
}

// reservations are a budget that knows who waits and who holds.
type reservations struct {
	mu    sync.Mutex
	room  int64
	freed chan struct{}
	most  int64
	held  int64
}

func (r *reservations) reserve(ctx context.Context, bytes int64) (pages.Reservation, error) {
	for {
		r.mu.Lock()
		if r.held+bytes <= r.room {
			r.held += bytes
			r.most = max(r.most, r.held)
			r.mu.Unlock()
			return &reservation{of: r, bytes: bytes}, nil
		}
		freed := r.freed
		r.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

type reservation struct {
	of    *reservations
	bytes int64
}

func (r *reservation) Fill(int64) {}

func (r *reservation) Release() {
	r.of.mu.Lock()
	defer r.of.mu.Unlock()
	r.of.held -= r.bytes
	r.bytes = 0
	close(r.of.freed)
	r.of.freed = make(chan struct{})
}

// TestStreamsShareLittleMemory guarantees that streams which have room for a single page together all end, with every line,
// pages that need more memory than others included; and that nothing is left reserved.
func TestStreamsShareLittleMemory(t *testing.T) {
	h := &held{}
	for i := range 400 {
		size := 10
		if i%40 == 0 {
			size = 3000
		}
		h.entries = append(h.entries, entry(time.Duration(i)*3*time.Minute, fmt.Sprintf("%03d%s", i, strings.Repeat("x", size))))
	}
	want := slices.Clone(h.entries)
	pages.Sort(want, true)
	room := &reservations{room: pages.Cost(4000), freed: make(chan struct{})}
	source := h.locked()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			config := streamOf(source, pages.FirstCursor(day(), true, pages.Digest{}))
			config.Bytes, config.LongBytes, config.Reserve = 1500, 4000, room.reserve
			s := pages.NewStream(t.Context(), config)
			defer s.Close()
			if got, gaps, err := drain(t.Context(), s); !errors.Is(err, pages.ErrStreamEnd) || !slices.Equal(got, want) {
				t.Errorf("%d lines of %d, %d gaps, %v", len(got), len(want), len(gaps), err)
			}
		})
	}
	all.Wait()
	if room.held != 0 || room.most > room.room {
		t.Errorf("%d bytes are reserved, %d were", room.held, room.most)
	}
}

// TestStreamClose guarantees that a stream that is closed has nothing in flight, and that a wait for its next event ends
// with its context and can be repeated.
func TestStreamClose(t *testing.T) {
	arrived, left := make(chan struct{}, 10), make(chan struct{}, 10)
	room := &reservations{room: 1 << 40, freed: make(chan struct{})}
	config := streamOf(func(ctx context.Context, _ loki.RangeParams, _ int64) (loki.Lines, error) {
		arrived <- struct{}{}
		<-ctx.Done()
		left <- struct{}{}
		return loki.Lines{}, ctx.Err()
	}, pages.FirstCursor(day(), true, pages.Digest{}))
	config.Reserve = room.reserve
	s := pages.NewStream(t.Context(), config)
	ctx, cancel := context.WithCancel(t.Context())
	context.AfterFunc(ctx, func() {})
	go func() {
		<-arrived
		cancel()
	}()
	for range 2 {
		if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	s.Close()
	if len(left) != 1 || room.held != 0 {
		t.Errorf("%d requests have ended, %d bytes are reserved", len(left), room.held)
	}
}
