package pages

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// Stream reads the lines of a range in windows of time, several at the same time, and hands them on in order.
//
// Guarantee: every line that Loki holds for the range while its window passes is returned exactly once and in the order
// of a [Reading], or a gap says where lines are missing, or the stream ends with an error. The memory of a window is
// reserved before anything is requested for it, the window to be handed on next first, and held to its end: a stream
// waits for memory only while it holds none, or for a window behind those that go on without it.
//
// It is used by one goroutine. The caller closes it.
type Stream struct {
	StreamConfig

	ctx    context.Context
	cancel context.CancelFunc

	queue  []*window   // in order; the first one is handed on
	rest   loki.Window // of the range, not in the queue
	span   time.Duration
	atOnce int
	free   Reservation // of a window that has ended; nil: there is none
	line   int64       // bytes of a line, as expected

	at      Position // behind what was handed on
	handed  *window  // whose page the receiver has
	lines   int
	windows int
	gaps    int // in a row
}

// StreamConfig describes what to read.
type StreamConfig struct {
	// Walk reads the lines of each window; what is of a window is set by the stream.
	Walk
	// Cursor is where it begins, and its order.
	Cursor Cursor
	// Limit is how many lines it has at most.
	Limit int
	// AtOnce is how many windows are read at the same time at most.
	AtOnce int
	// Slot waits for a place among the requests at Loki, for one request. Nil: none is needed.
	Slot func(context.Context) (release func(), err error)
	// Kind decides what an error of a window means.
	Kind func(error) ErrorKind
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// ErrorKind is what an error of a window means for the stream.
type ErrorKind int

// The kinds of error.
const (
	// ErrorFatal ends the stream.
	ErrorFatal ErrorKind = iota
	// ErrorOfWindow is one of the window alone: it is divided, and in the end a gap.
	ErrorOfWindow
	// ErrorOfLoad is one of the moment: the window is requested again, once.
	ErrorOfLoad
)

// Event is what a stream has next: lines, or a gap.
type Event struct {
	Batch

	// Gap is a part of the range of which lines are missing; nil: there are lines.
	Gap *Gap
}

// Gap is a part of the range that could not be read.
type Gap struct {
	loki.Window

	Err error
}

// The ends of a stream.
var (
	// ErrStreamEnd is the end of the range.
	ErrStreamEnd = errors.New("the range has been read")
	// ErrStreamLimit means that the stream has as many lines as it may have.
	ErrStreamLimit = errors.New("the limit of lines is reached")
)

// Of windows: the span of the first one, and how long Loki is to take for one. They are short, so that the first lines and
// progress come soon, and grow where Loki is quick.
const (
	firstWindow  = 15 * time.Minute
	windowTarget = 1500 * time.Millisecond
	maxGrowth    = 4
)

// Of windows that fail: how often one is divided, how short its parts are at least, and after how many gaps in a row the
// stream ends: each may have cost a timeout of Loki's.
const (
	maxDivisions = 3
	leastPart    = time.Second
	maxGapsInRow = 20
	// gapsUntilGrowth is after how many of them the windows grow.
	gapsUntilGrowth = 8
)

// StreamBytes bounds the page of a window as Loki writes it.
const StreamBytes = 1 << 20

// NewStream begins to read. It ends with ctx.
func NewStream(ctx context.Context, c StreamConfig) *Stream {
	if c.Bytes == 0 {
		c.Bytes = StreamBytes
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Slot == nil {
		c.Slot = func(context.Context) (func(), error) { return func() {}, nil }
	}
	s := &Stream{StreamConfig: c, rest: c.Cursor.Rest(), span: firstWindow, atOnce: 1, at: c.Cursor.At, line: c.LineBytes}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// Close ends the stream, and returns when nothing of it is left: no request to Loki, and no memory.
func (s *Stream) Close() {
	s.cancel()
	s.drop(s.queue)
	s.release()
}

// Cursor is the one behind what was handed on.
func (s *Stream) Cursor() Cursor {
	c := s.StreamConfig.Cursor
	c.At = s.at
	return c
}

// Done is the part of the range that was handed on, from 0 to 1.
func (s *Stream) Done() float64 {
	w := s.StreamConfig.Cursor.Window
	passed, all := time.Unix(0, s.at.Nanos).Sub(w.Start), w.End.Sub(w.Start)
	if s.backward() {
		passed = all - passed
	}
	return min(max(float64(passed)/float64(max(all, 1)), 0), 1)
}

// Windows is how many windows were begun, and Lines how many lines were handed on.
func (s *Stream) Windows() int { return s.windows }

// Lines is how many lines were handed on.
func (s *Stream) Lines() int { return s.lines }

func (s *Stream) backward() bool { return s.StreamConfig.Cursor.Backward }

// Next waits for the next event until ctx ends; then it can be called again. Lines are the receiver's until then. The end is
// [ErrStreamEnd] or [ErrStreamLimit], and every other error the one that ended the stream, or ctx's.
func (s *Stream) Next(ctx context.Context) (Event, error) {
	s.handBack()
	for {
		if s.Limit > 0 && s.lines >= s.Limit {
			return Event{}, ErrStreamLimit
		}
		s.plan() //nolint:contextcheck // windows are the stream's, and go on between calls
		if len(s.queue) == 0 {
			return Event{}, ErrStreamEnd
		}
		select {
		case r := <-s.queue[0].reports:
			if event, ok, err := s.take(s.queue[0], r); ok || err != nil {
				return event, err
			}
		case <-s.waiting():
		case <-s.ctx.Done():
			return Event{}, s.ctx.Err()
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

// handBack lets the window go on whose page the receiver had.
func (s *Stream) handBack() {
	if s.handed != nil {
		s.handed.goOn(s.ctx)
		s.handed = nil
	}
}

// plan cuts windows from the rest, and starts those that may.
func (s *Stream) plan() {
	for len(s.queue) < s.atOnce && s.rest.Start.Before(s.rest.End) {
		var w loki.Window
		w, s.rest = s.cut(s.rest, s.span)
		s.queue = append(s.queue, newWindow(w, 0))
	}
	if i := s.waits(); i >= 0 && s.free != nil {
		s.drop(s.queue[i : i+1]) // it goes on with what is free: no window behind it may have that
	}
	for i, w := range s.queue {
		switch {
		case w.started() && w.growing:
			return
		case w.started():
			continue
		case s.free != nil:
			s.start(w, s.free)
			s.free = nil
		case s.waiting() == nil && !slices.ContainsFunc(s.queue[i:], (*window).started):
			s.start(w, nil)
		default:
			return // it is started when the window before it has its memory, or has ended
		}
	}
	s.release() // no window needs it
}

// cut divides a window: the part to be read first, of at most so much time, and the rest.
func (s *Stream) cut(w loki.Window, span time.Duration) (first, rest loki.Window) {
	if span >= w.End.Sub(w.Start) {
		return w, loki.Window{Start: w.End, End: w.End}
	}
	if s.backward() {
		at := w.End.Add(-span)
		return loki.Window{Start: at, End: w.End}, loki.Window{Start: w.Start, End: at}
	}
	at := w.Start.Add(span)
	return loki.Window{Start: w.Start, End: at}, loki.Window{Start: at, End: w.End}
}

// waiting is closed when the window that waits for memory has it; nil: none waits.
func (s *Stream) waiting() <-chan struct{} {
	if i := s.waits(); i >= 0 {
		return s.queue[i].reserved
	}
	return nil
}

// waits is the index of the window that waits for memory; below 0: none does.
func (s *Stream) waits() int {
	return slices.IndexFunc(s.queue, func(w *window) bool { return w.started() && !w.hasMemory() })
}

// drop ends windows before their time; they can be started again.
func (s *Stream) drop(windows []*window) {
	for _, w := range windows {
		if w.started() {
			w.cancel()
		}
	}
	for i, w := range windows {
		if w.started() {
			<-w.ended
			w.giveBack()
			windows[i] = newWindow(w.Window, w.divisions)
			windows[i].again = w.again
		}
	}
}

func (s *Stream) release() {
	if s.free != nil {
		s.free.Release()
		s.free = nil
	}
}

// take handles what the first window reports. It is ok where that is an event.
func (s *Stream) take(w *window, r report) (event Event, ok bool, err error) {
	w.growing = r.wantsMore
	switch {
	case r.page != nil:
		if event, ok = s.hand(r.page); !ok {
			w.goOn(s.ctx)
			return Event{}, false, nil
		}
		s.handed = w
		return event, true, nil
	case r.wantsMore:
		s.drop(s.queue[1:])
		w.goOn(s.ctx)
		return Event{}, false, nil
	case !r.ended:
		s.passed(r.rest)
		w.goOn(s.ctx)
		return Event{}, false, nil
	}
	<-w.ended
	s.queue = s.queue[1:]
	if w.held != nil && !w.long {
		s.free = w.held
	} else {
		w.giveBack()
	}
	if r.err != nil {
		return s.failed(w, r.err)
	}
	s.gaps = 0
	s.adapt(w)
	return Event{}, false, nil
}

// passed moves on to what is left of a window.
func (s *Stream) passed(rest loki.Window) {
	s.at = Position{Nanos: rest.Start.UnixNano()}
	if s.backward() {
		s.at.Nanos = rest.End.UnixNano()
	}
}

// hand makes an event of a page, up to the limit.
func (s *Stream) hand(page []loki.Entry) (Event, bool) {
	backward := s.backward()
	Sort(page, backward)
	b := Batch{All: page, First: len(page) - len(s.StreamConfig.Cursor.At.After(page, backward)), Last: len(page), Backward: backward}
	if s.Limit > 0 {
		b.Last = min(b.Last, b.First+s.Limit-s.lines)
	}
	if b.First >= b.Last {
		return Event{}, false
	}
	s.lines += b.Last - b.First
	s.gaps = 0
	s.at = PositionOf(page, b.Last-1, backward)
	s.line = Size(page) / int64(len(page))
	return Event{Batch: b}, true
}

// adapt sets the span of later windows by how long Loki took for one, and by how many pages it had: the first page of each
// is read ahead, and no other.
func (s *Stream) adapt(w *window) {
	if w.pages == 0 {
		return // it was empty
	}
	factor := float64(maxGrowth)
	if w.took > 0 {
		factor = min(max(float64(windowTarget)/float64(w.took), 1./maxGrowth), maxGrowth)
	}
	if w.pages > 1 {
		factor = min(factor, 1/float64(w.pages))
	}
	length := float64(w.End.Sub(w.Start)) * factor
	s.span = time.Duration(min(max(length, float64(leastPart)), float64(1<<62)))
	s.atOnce = min(2*s.atOnce, max(s.AtOnce, 1))
}

// failed handles a window that has failed: what is left of it is divided, or a gap.
func (s *Stream) failed(w *window, err error) (event Event, ok bool, fatal error) {
	if s.ctx.Err() != nil {
		return Event{}, false, s.ctx.Err()
	}
	var dense *DenseError
	kind := s.Kind(err)
	switch {
	case errors.As(err, &dense):
		nanosecond := loki.Window{Start: dense.Time(), End: dense.Time().Add(1)}
		rest := loki.Window{Start: nanosecond.End, End: w.rest.End}
		if s.backward() {
			rest = loki.Window{Start: w.rest.Start, End: nanosecond.Start}
		}
		s.queue = slices.Insert(s.queue, 0, newWindow(rest, w.divisions))
		return s.gap(nanosecond, err)
	case kind == ErrorOfLoad && !w.again:
		again := newWindow(w.rest, w.divisions)
		again.again = true
		s.queue = slices.Insert(s.queue, 0, again)
		return Event{}, false, nil
	case kind != ErrorOfWindow || s.gaps >= maxGapsInRow:
		return Event{}, false, err
	case s.gaps == 0 && w.divisions < maxDivisions && w.rest.End.Sub(w.rest.Start) >= 2*leastPart:
		first, rest := s.cut(w.rest, w.rest.End.Sub(w.rest.Start)/2)
		s.queue = slices.Insert(s.queue, 0, newWindow(first, w.divisions+1), newWindow(rest, w.divisions+1))
		if w.divisions == 0 {
			s.span = max(s.span/2, leastPart)
		}
		return Event{}, false, nil
	default:
		return s.gap(w.rest, err)
	}
}

// gap moves on behind what could not be read.
func (s *Stream) gap(w loki.Window, err error) (Event, bool, error) {
	if s.gaps++; s.gaps > gapsUntilGrowth {
		s.span = min(2*s.span, 1<<60) // a day that cannot be read is not a thousand gaps
	}
	s.passed(loki.Window{Start: w.End, End: w.Start}) // its far end
	return Event{Gap: &Gap{Window: w, Err: err}}, true, nil
}
