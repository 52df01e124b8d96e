package pages_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// held is a Loki that holds entries, and counts its requests.
type held struct {
	entries  []loki.Entry
	requests int
	most     int // entries in one response
	// repeated has it count every second line twice towards the limit, as a Loki does that holds it twice.
	repeated bool
}

func (h *held) source(_ context.Context, p loki.RangeParams, maxBytes int64) (loki.Lines, error) {
	h.requests++
	if p.Direction != "forward" || p.Limit < 1 {
		return loki.Lines{}, fmt.Errorf("unexpected parameters %+v", p)
	}
	return h.page(h.entries, p, maxBytes)
}

// page is the response to a request, of lines in its order.
func (h *held) page(all []loki.Entry, p loki.RangeParams, maxBytes int64) (loki.Lines, error) {
	var page []loki.Entry
	var size int64
	sent := 0
	for _, e := range all {
		if sent < p.Limit && !e.Time().Before(p.Start) && e.Time().Before(p.End) {
			page = append(page, e)
			size += int64(len(e.Line))
			if sent++; h.repeated && len(page)%2 == 0 {
				sent++
			}
		}
	}
	h.most = max(h.most, len(page))
	if size > maxBytes {
		return loki.Lines{}, loki.ErrTooLarge
	}
	return loki.Lines{Entries: page, Complete: sent < p.Limit}, nil
}

func (h *held) sort() {
	slices.SortStableFunc(h.entries, func(a, b loki.Entry) int {
		return cmp.Or(cmp.Compare(a.Nanos, b.Nanos), cmp.Compare(a.Labels, b.Labels))
	})
}

func collect(w pages.Walk) (all []loki.Entry, err error) {
	for page, err := range w.Pages(context.Background()) {
		if err != nil {
			return all, err
		}
		all = append(all, page...)
	}
	return all, nil
}

func entry(offset time.Duration, line string) loki.Entry {
	return loki.Entry{Nanos: noon.Add(offset).UnixNano(), Line: line, Labels: `{"app":"web"}`}
}

func walk(h *held) pages.Walk {
	return pages.Walk{Source: h.source, Window: loki.Window{Start: noon, End: noon.Add(24 * time.Hour)}}
}

// TestPagesGivesEachLineOnce guarantees the package's promise for lines that clash in every way: all of them
// once and in order, or an error where a nanosecond has as many as a page.
func TestPagesGivesEachLineOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &held{}
		lines := rapid.IntRange(1, 9).Draw(t, "page")
		perNano := map[int]int{}
		for i := range rapid.IntRange(0, 80).Draw(t, "lines") {
			at := rapid.OneOf(rapid.IntRange(0, 12), rapid.IntRange(0, int(24*time.Hour)-1)).Draw(t, "at")
			perNano[at]++
			h.entries = append(h.entries, entry(time.Duration(at), fmt.Sprint(i)))
		}
		h.sort()
		w := walk(h)
		w.Lines = lines
		got, err := collect(w)
		dense := 0
		for _, n := range perNano {
			dense = max(dense, n)
		}
		var tooDense *pages.DenseError
		switch {
		case dense >= lines && !errors.As(err, &tooDense):
			t.Fatalf("%d lines of one nanosecond in pages of %d: got error %v", dense, lines, err)
		case dense < lines && err != nil:
			t.Fatal(err)
		case !slices.Equal(got, h.entries[:len(got)]):
			t.Fatalf("got %v\nwant a beginning of %v", got, h.entries)
		case err == nil && len(got) != len(h.entries):
			t.Fatalf("got %d lines of %d, and no error", len(got), len(h.entries))
		}
	})
}

// TestPagesShrinkToTheirBytes guarantees that long lines come in smaller pages, each once.
func TestPagesShrinkToTheirBytes(t *testing.T) {
	h := &held{}
	for i := range 100 {
		size := 10
		if i > 40 && i < 60 {
			size = 1000
		}
		h.entries = append(h.entries, entry(time.Duration(i/2), fmt.Sprintf("%d %s", i, strings.Repeat("x", size))))
	}
	w := walk(h)
	w.Lines, w.Bytes = 50, 4000
	got, err := collect(w)
	if err != nil || !slices.Equal(got, h.entries) {
		t.Errorf("got %d lines of %d, error %v", len(got), len(h.entries), err)
	}
	// Two lines of one nanosecond that do not fit together: a longer page, and beyond it an error, not a loss.
	w.Bytes, w.LongBytes = 1500, 2500
	if got, err = collect(w); err != nil || !slices.Equal(got, h.entries) {
		t.Errorf("got %d lines of %d, error %v", len(got), len(h.entries), err)
	}
	w.LongBytes = 1500
	got, err = collect(w)
	var dense *pages.DenseError
	if !errors.As(err, &dense) || !slices.Equal(got, h.entries[:len(got)]) {
		t.Errorf("got %d lines, error %v", len(got), err)
	}
}

// TestPagesOfAnEmptyYear guarantees that a span without lines takes a few questions, not one an hour.
func TestPagesOfAnEmptyYear(t *testing.T) {
	h := &held{}
	w := walk(h)
	w.Window.End = noon.Add(365 * 24 * time.Hour)
	if got, err := collect(w); len(got) != 0 || err != nil || h.requests > 20 {
		t.Errorf("got %d lines, error %v, after %d requests", len(got), err, h.requests)
	}
}

// TestPagesStop guarantees that nothing is requested after the receiver has enough, or after an error.
func TestPagesStop(t *testing.T) {
	h := &held{entries: []loki.Entry{entry(0, "a"), entry(1, "b"), entry(2, "c")}}
	w := walk(h)
	w.Lines = 2
	for _, err := range w.Pages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	if h.requests != 1 {
		t.Errorf("%d requests", h.requests)
	}
	broken := errors.New("broken")
	calls := 0
	w.Source = func(context.Context, loki.RangeParams, int64) (loki.Lines, error) {
		calls++
		return loki.Lines{}, broken
	}
	if _, err := collect(w); !errors.Is(err, broken) || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

// budget counts what is reserved, and the most that ever was.
type budget struct {
	reserved, most int64
	refuse         error
}

func (b *budget) reserve(_ context.Context, bytes int64) (pages.Reservation, error) {
	if b.refuse != nil {
		return nil, b.refuse
	}
	b.reserved += bytes
	b.most = max(b.most, b.reserved)
	return &reserved{of: b, bytes: bytes}, nil
}

type reserved struct {
	of    *budget
	bytes int64
}

func (r *reserved) Fill(bytes int64) {
	r.of.reserved -= r.bytes - min(bytes, r.bytes)
	r.bytes = min(bytes, r.bytes)
}

func (r *reserved) Release() { r.of.reserved -= r.bytes; r.bytes = 0 }

// TestPagesReserve guarantees that no page is requested before its memory is reserved, that a page's memory is
// held until the next is requested, and that none is left at the end of the walk, however it ends: of lines of
// all lengths, one of which is longer than a page.
func TestPagesReserve(t *testing.T) {
	h := &held{}
	for i := range 400 {
		h.entries = append(h.entries, entry(time.Duration(i), fmt.Sprintf("%d %s", i, strings.Repeat("x", i*i%3000))))
	}
	h.entries[200].Line = strings.Repeat("long", 20_000)
	b := &budget{}
	w := walk(h)
	w.Bytes, w.LongBytes, w.Reserve = 20_000, 100_000, b.reserve
	source := w.Source
	w.Source = func(ctx context.Context, p loki.RangeParams, maxBytes int64) (loki.Lines, error) {
		if b.reserved != pages.Cost(maxBytes) {
			t.Errorf("%d are reserved for a page of %d", b.reserved, maxBytes)
		}
		return source(ctx, p, maxBytes)
	}
	var got []loki.Entry
	for page, err := range w.Pages(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if size := pages.Size(page); b.reserved != size {
			t.Errorf("%d are reserved while a page of %d is held", b.reserved, size)
		}
		got = append(got, page...)
	}
	if !slices.Equal(got, h.entries) || b.reserved != 0 || b.most > pages.Cost(w.LongBytes) {
		t.Errorf("%d lines of %d, %d reserved, %d at most", len(got), len(h.entries), b.reserved, b.most)
	}
	if per := len(h.entries) / h.requests; per < 4 {
		t.Errorf("%d requests for %d lines", h.requests, len(h.entries))
	}
	for range w.Pages(t.Context()) { //nolint:errcheck // what is given back is tested
		break
	}
	func() {
		defer func() { recover() }()     //nolint:errcheck // as the server does
		for range w.Pages(t.Context()) { //nolint:errcheck // what is given back is tested
			panic("while a page is held")
		}
	}()
	if b.reserved != 0 {
		t.Errorf("%d are left", b.reserved)
	}
	b.refuse = errors.New("no room")
	if got, err := collect(w); !errors.Is(err, b.refuse) || len(got) != 0 {
		t.Errorf("got %d lines, %v", len(got), err)
	}
}

// TestRepeatedLines guarantees that a walk returns all lines where Loki holds some of them twice, so that it returns fewer than
// were requested although there are more.
func TestRepeatedLines(t *testing.T) {
	t.Parallel()
	for _, backward := range []bool{false, true} {
		h := &held{repeated: true}
		for i := range 2000 {
			h.entries = append(h.entries, entry(time.Duration(i/5), fmt.Sprint("line ", i)))
		}
		w := walk(h)
		w.Source, w.Backward, w.Lines = h.both, backward, 50
		got, err := collect(w)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		for _, e := range got {
			seen[e.Line]++
		}
		if len(got) != len(h.entries) || len(seen) != len(h.entries) {
			t.Errorf("backward %t: %d lines, %d different ones, of %d", backward, len(got), len(seen), len(h.entries))
		}
	}
}
