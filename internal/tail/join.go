package tail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
)

// join places the viewer in the ring, after lines of the ring where those are all that it wants, or after lines that
// it queries, which takes its time.
func (v *Viewer) join(ctx context.Context) {
	r := v.stream.ring
	if !v.config.After.IsZero() {
		if r.placeAfter(v, v.config.After.text) {
			v.id = v.config.After.text
			v.atOnce(nil)
			return
		}
	} else if entries, id, ok := r.newest(v, v.config.Start, v.config.Lines); ok {
		v.id = id
		v.atOnce(entries)
		return
	}
	go func() {
		defer close(v.joined)
		read := v.history
		if !v.config.After.IsZero() {
			read = v.resume
		}
		if v.failed = read(ctx); v.failed != nil {
			close(v.broken)
			return
		}
		r.joined(v)
	}()
}

// atOnce has the viewer begin with lines of the ring.
func (v *Viewer) atOnce(entries []loki.Entry) {
	close(v.begun)
	v.stream.ring.joined(v)
	v.held.start(v.config.After, entries)
	id, batches := v.id, []*Batch{}
	for len(entries) > 0 {
		n := batchEnd(entries)
		batches = append(batches, &Batch{Entries: entries[:n:n], id: id})
		entries = entries[n:]
	}
	v.joined = make(chan *Batch, len(batches))
	for i, b := range batches {
		if i < len(batches)-1 {
			b.id = "" // of lines in an order of their own: none of them is a position
		}
		v.joined <- b
	}
	close(v.joined)
}

// history begins with the newest lines.
func (v *Viewer) history(ctx context.Context) error {
	v.stream.ring.place(v)
	now := v.stream.hub.now()
	entries, complete, reserved, err := v.newest(ctx, loki.Window{Start: v.config.Start, End: latest(now, v.config.Start).Add(lookahead)})
	if err != nil {
		return fmt.Errorf("begin with the newest lines: %w", err)
	}
	defer reserved.Release()
	close(v.begun) // before the lines, which take as long as their reader
	slices.Reverse(entries)
	own := &ownPosition{cursor: CursorAt(latest(v.config.Start.Add(lookback), now)), queried: map[uint64]int{}, cut: v.config.Start.UnixNano() - 1}
	if len(entries) > 0 {
		own.cursor = Cursor{}
		if !complete {
			own.cut = entries[0].Nanos // there may be older ones, which were not requested
		}
	}
	for _, e := range entries {
		own.queried[fingerprint(e)]++
	}
	if err := v.send(ctx, own, entries); err != nil {
		return err
	}
	v.adopt(own)
	return nil
}

// adopt is called when all that was queried has been handed over.
func (v *Viewer) adopt(own *ownPosition) {
	const perLine = 48
	own.joined, own.size = time.Now(), int64(len(own.queried))*perLine
	v.quota.force(own.size)
	v.own = own
	v.held.start(own.cursor, nil)
}

// send hands lines over, in batches.
func (v *Viewer) send(ctx context.Context, own *ownPosition, entries []loki.Entry) error {
	for len(entries) > 0 {
		n := batchEnd(entries)
		for _, e := range entries[:n] {
			own.cursor.Add(e)
		}
		b := &Batch{Entries: slices.Clone(entries[:n]), id: own.cursor.String()}
		b.size = sizeOfBatch(b)
		select {
		case v.joined <- b:
		case <-ctx.Done():
			return ctx.Err()
		}
		entries = entries[n:]
	}
	return nil
}

// newest requests the newest lines of a window, the newest first, and reports whether these are all there are. Where
// they are larger than a page, they are requested as a long one; and beyond that, fewer. The caller releases what is
// reserved for them.
func (v *Viewer) newest(ctx context.Context, w loki.Window) (entries []loki.Entry, complete bool, _ pages.Reservation, err error) {
	lines, maxBytes := min(v.config.Lines, v.config.Stream.PageLines), int64(pages.DefaultBytes)
	for {
		reserved, err := v.config.Reserve.Get(ctx, maxBytes)
		if err != nil {
			return nil, false, nil, err
		}
		found, err := v.config.Source.Entries(ctx, loki.RangeParams{Window: w, Limit: lines}, maxBytes)
		if err == nil {
			reserved.Fill(pages.Size(found.Entries))
			return found.Entries, found.Complete, reserved, nil
		}
		reserved.Release()
		switch {
		case !errors.Is(err, loki.ErrTooLarge):
			return nil, false, nil, err
		case maxBytes < v.config.Stream.LongBytes:
			maxBytes = v.config.Stream.LongBytes
		case lines > 1:
			lines = pages.FewerLines(lines, err)
		default:
			return nil, false, nil, err
		}
	}
}

// resume goes on after a cursor that the ring does not know: with all lines since, and again with those that have come
// meanwhile, until the ring has what follows.
func (v *Viewer) resume(ctx context.Context) error {
	after := v.config.After.clone()
	own := &ownPosition{cursor: after, cut: after.nanos - 1}
	begun := false
	for from := after.nanos; ; {
		v.stream.ring.place(v)
		began := v.stream.hub.now()
		if err := v.walk(ctx, own, from, &begun); err != nil {
			return err
		}
		if v.stream.ring.has(v) {
			v.adopt(own)
			return nil
		}
		from = max(after.nanos, min(own.cursor.nanos, began.Add(-lookback).UnixNano()))
	}
}

// walk hands over the lines from a nanosecond on that were not handed over before.
func (v *Viewer) walk(ctx context.Context, own *ownPosition, from int64, begun *bool) error {
	now := v.stream.hub.now()
	known := own.queried
	own.queried = map[uint64]int{}
	walk := pages.Walk{
		Source: v.config.Source.Entries, Lines: v.config.Stream.PageLines, LongBytes: v.config.Stream.LongBytes, Reserve: v.config.Reserve,
		Window: loki.Window{Start: time.Unix(0, from), End: latest(now, time.Unix(0, from)).Add(lookahead)},
	}
	for page, err := range walk.Pages(ctx) {
		if err != nil {
			return fmt.Errorf("request missed lines: %w", err)
		}
		v.begin(begun)
		if known == nil && page[0].Nanos == own.cursor.nanos {
			known = own.cursor.delivered(page)
			own.restart(page, known)
		}
		fresh := page[:0]
		for _, e := range page {
			f := fingerprint(e)
			own.note(f, e.Nanos >= now.Add(-lookback).UnixNano())
			if known[f] > 0 {
				known[f]--
			} else {
				fresh = append(fresh, e)
			}
		}
		if err := v.send(ctx, own, fresh); err != nil {
			return err
		}
	}
	v.begin(begun)
	return nil
}

func (v *Viewer) begin(begun *bool) {
	if !*begun {
		close(v.begun)
		*begun = true
	}
}

// restart makes the cursor of the lines that it holds, which it may know by their sums alone: so more can be added.
func (o *ownPosition) restart(page []loki.Entry, delivered map[uint64]int) {
	cursor, left := Cursor{nanos: o.cursor.nanos}, map[uint64]int{}
	for _, e := range page {
		f := fingerprint(e)
		if e.Nanos == cursor.nanos && left[f] < delivered[f] {
			left[f]++
			cursor.Add(e)
		}
	}
	o.cursor = cursor
}

// note records a line that the ring may bring as well: half of those that fit are for any, half for new ones.
func (o *ownPosition) note(f uint64, recent bool) {
	if n := len(o.queried); n < maxFetched/2 || recent && n < maxFetched {
		o.queried[f]++
	}
}
