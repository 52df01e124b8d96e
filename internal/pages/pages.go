// Package pages reads all lines of a log query over a time range, page by page, beyond the number of lines that
// Loki returns at once.
//
// Guarantee: every line that Loki holds for the span while the walk passes it is returned exactly once, in the
// order of time, those of one nanosecond in the order of their streams' labels; or the walk ends with an
// error. No more than a page is held, and its memory is reserved before it is requested.
//
// Not promised here: what a query may cost (package limits), or lines that arrive behind the walk.
//
// A page may end between lines of one nanosecond. Where Loki may have more lines than it returned, the last nanosecond is
// therefore left for the next page to begin with, so no state and no comparison is needed. A nanosecond with as
// many lines as a page holds can therefore not be passed: that is a [DenseError], never a gap.
//
// Pages are small, so that many fit into the budget of memory: a page has as many lines as are expected to fit
// into PageBytes, by the size of those before. Only what cannot be divided is larger: a long line, or a nanosecond
// with many lines.
package pages

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// Defaults of [Walk], and what other readers of pages keep to.
const (
	// DefaultLines is Loki's own bound, max_entries_limit_per_query.
	DefaultLines = 5000
	// DefaultBytes bounds a page as Loki writes it.
	DefaultBytes = 2 << 20
	// DefaultLongBytes bounds a page of a single line, or of a single nanosecond.
	DefaultLongBytes = 16 << 20

	// guessedLine is how many bytes a line is expected to have before any was seen.
	guessedLine = 1 << 10

	firstSpan = time.Hour
	minSpan   = time.Second
)

// Cost is how much memory a response takes, of which Loki writes so many bytes: the lines as text, what belongs to
// each of them (for short ones that is more than their text), and what the decoder leaves for the garbage
// collector.
func Cost(bytes int64) int64 { return bytes * 5 / 2 }

// Size is how much memory lines hold.
func Size(lines []loki.Entry) (bytes int64) {
	for _, e := range lines {
		bytes += int64(e.Size())
	}
	return bytes
}

// Reservation is memory that is reserved for a page: [limits.Reservation].
type Reservation interface {
	// Fill keeps so many bytes and gives back the rest; Release gives back all.
	Fill(bytes int64)
	Release()
}

// Reserve waits for memory; the error of one who got none ends the walk. The nil Reserve has as much as is
// wanted.
type Reserve func(ctx context.Context, bytes int64) (Reservation, error)

// Get reserves memory for a response of at most so many bytes.
func (r Reserve) Get(ctx context.Context, maxBytes int64) (Reservation, error) {
	if r == nil {
		return unlimited{}, nil
	}
	return r(ctx, Cost(maxBytes))
}

type unlimited struct{}

func (unlimited) Fill(int64) {}
func (unlimited) Release()   {}

// Source requests one page of at most maxBytes from Loki: [loki.Client.Entries] for one caller and query.
type Source func(ctx context.Context, p loki.RangeParams, maxBytes int64) (loki.Lines, error)

// Walk describes what to read.
type Walk struct {
	Source Source
	// Window is the span; its end is not in it. Both are required.
	Window loki.Window
	// Backward reads from the end of the window to its start.
	Backward bool
	// Lines is how many lines a page has at most; 0 is DefaultLines. Loki refuses more than its own bound.
	Lines int
	// Want is how many lines the receiver wants; it may stop there. Pages request few more than that. 0 is all.
	Want int
	// Span is how much of the window the first page looks at; 0 is an hour.
	Span time.Duration
	// LineBytes is how many bytes a line is expected to have; 0 is 1 KiB.
	LineBytes int64
	// Step is called after each page with what of the window is left, and whether it goes on; nil: it does.
	Step func(rest loki.Window) bool
	// Bytes is how large a page is at most; 0 is DefaultBytes. Larger pages are requested again with
	// fewer lines. LongBytes is how large one may be that cannot be divided; 0 is DefaultLongBytes.
	Bytes, LongBytes int64
	// Reserve reserves the memory of a page before it is requested.
	Reserve Reserve
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

// Pages returns the lines a page at a time. A page has all lines of each of its nanoseconds. It is the receiver's until
// the next one is requested; then its memory is given back. An error is the last value.
func (w Walk) Pages(ctx context.Context) iter.Seq2[[]loki.Entry, error] {
	return func(yield func([]loki.Entry, error) bool) {
		s := newWalkState(w)
		for s.rest.Start.Before(s.rest.End) && s.step(ctx, yield) {
			if w.Step != nil && !w.Step(s.rest) {
				return
			}
		}
	}
}

// walkState is the position of a walk.
type walkState struct {
	Walk
	rest loki.Window // of the window
	// span is how far the next page looks. Loki processes a complete span even for its first lines, and splits it
	// by the hour to work in parallel: requesting all of the rest each time would cost the square of the span.
	span  time.Duration
	lines int
	got   int // lines that were handed on
	// dense is set while a page is of one nanosecond that fills it, and its lines grow; long while a page cannot
	// be divided and is larger than others.
	dense, long bool
}

func newWalkState(w Walk) *walkState {
	if w.Lines == 0 {
		w.Lines = DefaultLines
	}
	if w.Bytes == 0 {
		w.Bytes = DefaultBytes
	}
	if w.LongBytes == 0 {
		w.LongBytes = DefaultLongBytes
	}
	if w.Span == 0 {
		w.Span = firstSpan
	}
	if w.LineBytes == 0 {
		w.LineBytes = guessedLine
	}
	s := &walkState{Walk: w, rest: w.Window, span: w.Span}
	s.expect(w.LineBytes)
	return s
}

// leastWanted is how many lines a page requests at least of a receiver that has all that it said it wants, and goes on.
const leastWanted = 100

// expect sets the lines of the next page by the bytes of a line; a quarter is left for those that are longer.
func (s *walkState) expect(bytes int64) {
	s.lines = int(min(max(s.Bytes*3/4/max(bytes, 1), 1), int64(s.Lines)))
	switch {
	case s.Want == 0:
	case s.got < s.Want:
		s.lines = min(s.lines, s.Want-s.got+1) // one more ends the last nanosecond, where it is alone in it
	default:
		s.lines = min(s.lines, leastWanted)
	}
}

// step requests a page, and hands its complete part on while its memory is reserved. It reports whether the walk
// goes on.
func (s *walkState) step(ctx context.Context, yield func([]loki.Entry, error) bool) (more bool) {
	maxBytes := s.Bytes
	if s.long {
		maxBytes = s.LongBytes
	}
	reserved, err := s.Reserve.Get(ctx, maxBytes)
	if err != nil {
		return yield(nil, err) && false
	}
	defer reserved.Release()
	page, err := s.nextPage(ctx, maxBytes)
	if err != nil {
		return yield(nil, err) && false
	}
	reserved.Fill(Size(page))
	return len(page) == 0 || yield(page, nil)
}

// next is what the next page looks at.
func (s *walkState) next() loki.Window {
	span := s.span
	if s.dense {
		span = 1
	}
	if left := s.rest.End.Sub(s.rest.Start); span >= left {
		return s.rest
	}
	if s.Backward {
		return loki.Window{Start: s.rest.End.Add(-span), End: s.rest.End}
	}
	return loki.Window{Start: s.rest.Start, End: s.rest.Start.Add(span)}
}

// passed moves on behind a window that was read completely.
func (s *walkState) passed(w loki.Window) {
	if s.Backward {
		s.rest.End = w.Start
	} else {
		s.rest.Start = w.End
	}
}

// leave moves on to a nanosecond, which is still to be read, and returns how much of the window was passed.
func (s *walkState) leave(nanos int64) time.Duration {
	before := s.rest
	if s.Backward {
		s.rest.End = time.Unix(0, nanos+1)
		return before.End.Sub(s.rest.End)
	}
	s.rest.Start = time.Unix(0, nanos)
	return s.rest.Start.Sub(before.Start)
}

// nextPage requests a page, returns its complete part and moves on; that may be empty, and the walk continues.
func (s *walkState) nextPage(ctx context.Context, maxBytes int64) ([]loki.Entry, error) {
	w, direction := s.next(), "forward"
	if s.Backward {
		direction = "backward"
	}
	lines, err := s.Source(ctx, loki.RangeParams{Window: w, Limit: s.lines, Direction: direction}, maxBytes)
	switch {
	case errors.Is(err, loki.ErrTooLarge):
		return nil, s.shrink(err)
	case err != nil:
		return nil, err
	case lines.Complete:
		s.passed(w)
		s.span, s.dense, s.long = 2*max(s.span, minSpan), false, false
		s.handOn(lines.Entries)
		return lines.Entries, nil
	default:
		return s.splitPage(lines.Entries)
	}
}

// handOn counts lines, and expects more like them.
func (s *walkState) handOn(page []loki.Entry) {
	if s.got += len(page); len(page) > 0 {
		s.expect(Size(page) / int64(len(page)))
	}
}

// shrink has the next page hold fewer lines, or be larger where it cannot hold fewer.
func (s *walkState) shrink(err error) error {
	switch {
	case s.lines > 1 && !s.dense:
		s.lines = FewerLines(s.lines, err)
	case !s.long && s.LongBytes > s.Bytes:
		s.long = true
	default:
		return &DenseError{Nanos: s.edge(), Lines: s.lines}
	}
	return nil
}

// edge is the nanosecond that is to be read next.
func (s *walkState) edge() int64 {
	if s.Backward {
		return s.rest.End.UnixNano() - 1
	}
	return s.rest.Start.UnixNano()
}

// FewerLines is how many lines to request after a page of so many was too large: half of them, or as many as fit
// by what was read if that is less.
func FewerLines(lines int, err error) int {
	fewer := lines / 2
	var tooLarge *loki.TooLargeError
	if errors.As(err, &tooLarge) {
		fewer = min(fewer, tooLarge.Lines*3/4)
	}
	return max(fewer, 1)
}

// splitPage leaves the last nanosecond of a page that is not complete to the next one.
func (s *walkState) splitPage(page []loki.Entry) ([]loki.Entry, error) {
	last := page[len(page)-1].Nanos
	complete := len(page)
	for complete > 0 && page[complete-1].Nanos == last {
		complete--
	}
	if complete > 0 {
		elapsed := s.leave(last)
		s.span, s.dense, s.long = max(2*elapsed, minSpan), false, false
		s.handOn(page[:complete])
		return page[:complete], nil
	}
	if s.lines == s.Lines {
		return nil, &DenseError{Nanos: last, Lines: len(page)}
	}
	s.leave(last) // there is nothing before it
	s.lines, s.dense = min(2*s.lines, s.Lines), true
	return nil, nil
}
