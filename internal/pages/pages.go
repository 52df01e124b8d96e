// Package pages reads all lines of a log query over a time range, page by page, beyond the number of lines that
// Loki returns at once.
//
// Guarantee: every line that Loki holds for the span while the walk passes it is returned exactly once, in the
// order of time, those of one nanosecond in the order of their streams' labels; or the walk ends with an
// error. No more than a page is held.
//
// Not promised here: what a query may cost (package limits), or lines that arrive behind the walk.
//
// A page may end between lines of one nanosecond. Where it was full, its last nanosecond is therefore left
// for the next page to begin with, so no state and no comparison is needed. A nanosecond with as
// many lines as a page holds can therefore not be passed: that is a [DenseError], never a gap.
package pages

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// Defaults of [Walk].
const (
	// DefaultLines is Loki's own bound, max_entries_limit_per_query.
	DefaultLines = 5000
	// DefaultBytes bounds a page as Loki writes it. It makes up to three times as much memory.
	DefaultBytes = 16 << 20

	firstSpan = time.Hour
	minSpan   = time.Second
)

// Source requests one page of at most maxBytes from Loki: [loki.Client.Entries] for one caller and query.
type Source func(ctx context.Context, p loki.RangeParams, maxBytes int64) ([]loki.Entry, error)

// Walk describes what to read.
type Walk struct {
	Source Source
	// Window is the span; its end is not in it. Both are required.
	Window loki.Window
	// Lines is how many lines a page has at most; 0 is DefaultLines. Loki refuses more than its own bound.
	Lines int
	// Bytes is how large a page is at most; 0 is DefaultBytes. Larger pages are requested again with
	// fewer lines.
	Bytes int64
}

// DenseError means that a nanosecond has more lines than fit into one page.
type DenseError struct {
	Nanos int64
	Lines int
}

// Time is the nanosecond.
func (e *DenseError) Time() time.Time { return time.Unix(0, e.Nanos) }

func (e *DenseError) Error() string {
	return fmt.Sprintf("%d lines or more share the nanosecond %d: more than one page holds", e.Lines, e.Nanos)
}

// Pages returns the lines a page at a time; the receiver may keep the slice. An error is the last value.
func (w Walk) Pages(ctx context.Context) iter.Seq2[[]loki.Entry, error] {
	return func(yield func([]loki.Entry, error) bool) {
		s := newWalkState(w)
		for s.start.Before(w.Window.End) {
			page, err := s.nextPage(ctx)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) > 0 && !yield(page, nil) {
				return
			}
		}
	}
}

// walkState is the position of a walk.
type walkState struct {
	Walk
	start time.Time
	// span is how far the next page looks. Loki processes a complete span even for its first lines, and splits it
	// by the hour to work in parallel: requesting all of the rest each time would cost the square of the span.
	span  time.Duration
	lines int
	// dense is set while lines grow because one nanosecond fills a page.
	dense bool
}

func newWalkState(w Walk) *walkState {
	if w.Lines == 0 {
		w.Lines = DefaultLines
	}
	if w.Bytes == 0 {
		w.Bytes = DefaultBytes
	}
	return &walkState{Walk: w, start: w.Window.Start, span: firstSpan, lines: w.Lines}
}

// nextPage requests a page, returns its complete part and moves on; that may be empty, and the walk continues.
func (s *walkState) nextPage(ctx context.Context) ([]loki.Entry, error) {
	end := s.start.Add(s.span)
	if end.After(s.Window.End) || end.Before(s.start) {
		end = s.Window.End
	}
	page, err := s.Source(ctx, loki.RangeParams{
		Window: loki.Window{Start: s.start, End: end}, Limit: s.lines, Direction: "forward",
	}, s.Bytes)
	switch {
	case errors.Is(err, loki.ErrTooLarge) && s.lines > 1 && !s.dense:
		s.lines /= 2
		return nil, nil
	case errors.Is(err, loki.ErrTooLarge):
		return nil, &DenseError{Nanos: s.start.UnixNano(), Lines: s.lines}
	case err != nil:
		return nil, err
	case len(page) < s.lines:
		s.start, s.span, s.dense = end, 2*s.span, false
		s.lines = min(2*s.lines, s.Lines)
		return page, nil
	default:
		return s.splitFullPage(page)
	}
}

// splitFullPage leaves the last nanosecond to the next page.
func (s *walkState) splitFullPage(page []loki.Entry) ([]loki.Entry, error) {
	last := page[len(page)-1].Nanos
	complete := len(page)
	for complete > 0 && page[complete-1].Nanos == last {
		complete--
	}
	if complete > 0 {
		elapsed := time.Unix(0, last).Sub(s.start)
		s.start, s.span, s.dense = time.Unix(0, last), max(2*elapsed, minSpan), false
		return page[:complete], nil
	}
	if s.lines == s.Lines {
		return nil, &DenseError{Nanos: last, Lines: len(page)}
	}
	s.lines, s.dense = min(2*s.lines, s.Lines), true
	return nil, nil
}
