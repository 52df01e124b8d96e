package pages

import (
	"context"
	"errors"
	"slices"

	"github.com/logfence/logfence/internal/loki"
)

// Reading is a reading of lines in pages of at most Limit lines, of which each [Cursor] is one.
//
// Guarantee: a walk over the pages returns every line that Loki holds for the window while its page is read exactly once,
// in the order of [Compare] or its reverse, however many share a nanosecond.
type Reading struct {
	// Walk reads the lines; its window, its order and Want are set by the reading.
	Walk

	Cursor Cursor
	Limit  int
	// MaxBytes ends a page early that holds more than so many bytes: 0 is without a bound.
	MaxBytes int64
	// Late reports whether the page has taken long enough, and is to end early; nil: never.
	Late func() bool
}

// Page is a page of lines, in the order of the reading.
type Page struct {
	Batch
	// Next and Previous are the pages behind this one and before it; nil: there is none.
	Next, Previous *Cursor
}

// FirstCursor is the cursor of the first page.
func FirstCursor(w loki.Window, backward bool, binding Digest) Cursor {
	c := Cursor{Window: w, Backward: backward, Binding: binding, At: Position{Nanos: w.Start.UnixNano()}}
	if backward {
		c.At.Nanos = w.End.UnixNano()
	}
	return c
}

// Page reads a page. It may have fewer lines than the limit, and none, where it ended early or would be too large; an
// error after its first lines ends it as well, and is that of the next page.
func (r Reading) Page(ctx context.Context) (Page, error) {
	p := pageReader{Reading: r, backward: r.Cursor.Order()}
	w := r.Walk
	if w.Bytes == 0 {
		w.Bytes = DefaultBytes
	}
	w.Window, w.Backward, w.Want = r.Cursor.Rest(), p.backward, r.Limit+r.Cursor.At.Of
	w.Step = p.step
	w.Reserve = p.reserve(w.Reserve, w.Bytes)
	p.rest = w.Window
	for page, err := range w.Pages(ctx) {
		if err != nil && (p.count() <= 0 || ctx.Err() != nil) {
			return Page{}, err
		}
		if err != nil {
			break
		}
		p.add(page)
	}
	return p.page(), nil
}

// pageReader is a page in the making.
type pageReader struct {
	Reading

	backward bool         // as it is read
	all      []loki.Entry // as they are read
	skipped  int          // of those, up to the position
	bytes    int64
	rest     loki.Window
}

func (p *pageReader) add(page []loki.Entry) {
	Sort(page, p.backward)
	first := len(p.all) == 0
	p.all = append(p.all, page...)
	p.bytes += Size(page)
	if first {
		p.skipped = len(p.all) - len(p.Cursor.At.After(p.all, p.backward))
	}
}

func (p *pageReader) count() int { return len(p.all) - p.skipped }

// errFull ends a page before a response that needs more memory than others: none is waited for while there are lines.
var errFull = errors.New("the page is full")

func (p *pageReader) reserve(reserve Reserve, bytes int64) Reserve {
	if reserve == nil {
		return nil
	}
	return func(ctx context.Context, needed int64) (Reservation, error) {
		if needed > Cost(bytes) && p.count() > 0 {
			return nil, errFull
		}
		return reserve(ctx, needed)
	}
}

// step reports whether the page is to be read on.
func (p *pageReader) step(rest loki.Window) bool {
	p.rest = rest
	full := p.count() >= p.Limit || p.MaxBytes > 0 && p.bytes >= p.MaxBytes && p.count() > 0
	return !full && (p.Late == nil || !p.Late())
}

func (p *pageReader) page() Page {
	end := p.skipped + min(p.count(), p.Limit)
	page := Page{Batch: Batch{All: p.all, First: p.skipped, Last: end, Backward: p.Cursor.Backward}}
	on, back := p.on(end), p.back()
	if p.Cursor.Previous {
		slices.Reverse(page.All)
		page.First, page.Last = len(p.all)-end, len(p.all)-p.skipped
		on, back = back, on
	}
	page.Next, page.Previous = on, back
	return page
}

// on is the cursor of the page that is read after this one; nil at the end of the window.
func (p *pageReader) on(end int) *Cursor {
	c := p.Cursor
	switch {
	case end < len(p.all):
		c.At = PositionOf(p.all, end-1, p.backward)
	case !p.rest.Start.Before(p.rest.End):
		return nil
	case p.backward:
		c.At = Position{Nanos: p.rest.End.UnixNano()}
	default:
		c.At = Position{Nanos: p.rest.Start.UnixNano()}
	}
	return &c
}

// back is the cursor of the page before the first line that was read; nil at the edge of the window.
func (p *pageReader) back() *Cursor {
	c := p.Cursor
	c.Previous = !c.Previous
	switch {
	case p.count() > 0:
		c.At = PositionOf(p.all, p.skipped, p.backward)
	case p.Cursor.At.Of > 0 && !p.backward: // nothing is behind the line: all of its nanosecond is before
		c.At = Position{Nanos: p.Cursor.At.Nanos + 1}
	default:
		c.At = Position{Nanos: p.Cursor.At.Nanos}
	}
	rest := c.Rest()
	if !rest.Start.Before(rest.End) || c.At.Of > 0 && p.Cursor.atStart() {
		return nil
	}
	return &c
}

// atStart reports whether the cursor is that of the first page.
func (c Cursor) atStart() bool {
	edge := c.Window.Start
	if c.Order() {
		edge = c.Window.End
	}
	return c.At.Of == 0 && c.At.Nanos == edge.UnixNano()
}
