package pages

import (
	"context"
	"sync"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// window is a part of a stream's range, and the goroutine that reads it.
type window struct {
	loki.Window

	divisions int  // how often it was divided
	again     bool // it has failed before
	growing   bool // it waits for more memory than it had

	// Of one that is started.
	cancel   context.CancelFunc
	reports  chan report
	resume   chan struct{}
	reserved chan struct{} // closed when it has its memory
	ended    chan struct{} // closed when the goroutine has ended

	// The goroutine's until it has ended.
	rest  loki.Window
	held  Reservation // nil: none
	size  int64
	long  bool // it holds more than others
	once  sync.Once
	took  time.Duration // of requests to Loki
	pages int
}

// report is what a window reports to its stream, which lets it go on.
type report struct {
	page      []loki.Entry
	rest      loki.Window // after a page
	wantsMore bool        // memory, for a page that cannot be divided
	ended     bool
	err       error
}

func newWindow(w loki.Window, divisions int) *window {
	return &window{Window: w, divisions: divisions, rest: w}
}

func (w *window) started() bool { return w.ended != nil }

func (w *window) hasMemory() bool {
	select {
	case <-w.reserved:
		return true
	default:
		return false
	}
}

func (w *window) giveBack() {
	if w.held != nil {
		w.held.Release()
		w.held = nil
	}
}

// goOn lets the window go on after a report.
func (w *window) goOn(ctx context.Context) {
	select {
	case w.resume <- struct{}{}:
	case <-w.ended:
	case <-ctx.Done():
	}
}

// start begins to read a window, with memory that it takes over, or that it waits for.
func (s *Stream) start(w *window, memory Reservation) {
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(s.ctx)
	w.reports, w.resume = make(chan report), make(chan struct{})
	w.reserved, w.ended = make(chan struct{}), make(chan struct{})
	w.rest = w.Window
	if memory != nil {
		w.held, w.size = memory, Cost(s.Bytes)
		close(w.reserved)
	}
	s.windows++
	walk := s.walk(w)
	go func() {
		defer close(w.ended)
		defer w.cancel()
		err := w.read(ctx, walk)
		select {
		case w.reports <- report{ended: true, err: err}:
		case <-ctx.Done():
		}
	}()
}

// walk is the walk of a window.
func (s *Stream) walk(w *window) Walk {
	walk := s.Walk
	walk.Window, walk.Backward, walk.Span, walk.LineBytes = w.Window, s.backward(), max(w.End.Sub(w.Start), 1), s.line
	if s.Limit > 0 {
		walk.Want = s.Limit - s.lines
		if s.StreamConfig.Cursor.At.Of > 0 && s.lines == 0 {
			walk.Want += s.StreamConfig.Cursor.At.Of
		}
	}
	walk.Source = func(ctx context.Context, p loki.RangeParams, maxBytes int64) (loki.Lines, error) {
		release, err := s.Slot(ctx)
		if err != nil {
			return loki.Lines{}, err
		}
		defer release()
		began := s.Now()
		lines, err := s.Source(ctx, p, maxBytes)
		w.took += s.Now().Sub(began)
		w.pages++
		return lines, err
	}
	return walk
}

// read reads the window, and reports each page.
func (w *window) read(ctx context.Context, walk Walk) error {
	reserve := walk.Reserve
	walk.Reserve = func(ctx context.Context, bytes int64) (Reservation, error) { return w.reserve(ctx, reserve, bytes) }
	var ended error
	walk.Step = func(rest loki.Window) bool {
		w.rest = rest
		ended = w.report(ctx, report{rest: rest})
		return ended == nil
	}
	for page, err := range walk.Pages(ctx) {
		if err != nil {
			return err
		}
		if err := w.report(ctx, report{page: page}); err != nil {
			return err
		}
	}
	return ended
}

// report waits until the stream has taken a report, and lets the window go on.
func (w *window) report(ctx context.Context, r report) error {
	select {
	case w.reports <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-w.resume:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reserve reserves memory once for all pages of the window. Where a page needs more, it gives back what it has and waits
// for that, when it is the first window and no other one of the stream holds any.
func (w *window) reserve(ctx context.Context, reserve Reserve, bytes int64) (_ Reservation, err error) {
	if reserve == nil {
		reserve = func(context.Context, int64) (Reservation, error) { return unlimited{}, nil }
	}
	switch {
	case w.held == nil:
		w.held, err = reserve(ctx, bytes)
	case bytes > w.size:
		if err := w.report(ctx, report{wantsMore: true}); err != nil {
			return nil, err
		}
		w.giveBack()
		w.held, err = reserve(ctx, bytes)
		w.long = true
	}
	if err != nil {
		w.held = nil
		return nil, err
	}
	w.size = max(w.size, bytes)
	w.once.Do(func() {
		select {
		case <-w.reserved:
		default:
			close(w.reserved)
		}
	})
	return unlimited{}, nil // what it holds is given back when it ends
}
