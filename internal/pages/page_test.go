package pages_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
)

// both is a source of either direction, which returns the lines of a nanosecond in an order of its own.
func (h *held) both(_ context.Context, p loki.RangeParams, maxBytes int64) (loki.Lines, error) {
	h.requests++
	all := slices.Clone(h.entries)
	slices.SortStableFunc(all, func(a, b loki.Entry) int {
		c := int(a.Nanos - b.Nanos)
		if p.Direction == "backward" {
			return -c
		}
		return c
	})
	return h.page(all, p, maxBytes)
}

// read reads the page of a cursor, and holds it against the text of the cursor.
func read(t *rapid.T, h *held, c pages.Cursor, limit int) ([]loki.Entry, pages.Page) {
	again, err := pages.ParseCursor(c.String())
	if err != nil || again.String() != c.String() || again.At != c.At {
		t.Fatalf("%+v came back as %+v, %v", c, again, err)
	}
	r := pages.Reading{Walk: pages.Walk{Source: h.both, Lines: 50}, Cursor: again, Limit: limit}
	page, err := r.Page(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	lines := page.Lines()
	if len(lines) > limit {
		t.Fatalf("%d lines, limit %d", len(lines), limit)
	}
	return lines, page
}

// clashing draws lines that clash in every way: of the same time, the same labels, and the same in all.
func clashing(t *rapid.T) *held {
	h := &held{}
	perNano := map[int]int{}
	for range rapid.IntRange(0, 120).Draw(t, "lines") {
		at := rapid.OneOf(rapid.IntRange(0, 4), rapid.IntRange(0, int(24*time.Hour)-1)).Draw(t, "at")
		if perNano[at]++; perNano[at] >= 50 {
			continue
		}
		e := entry(time.Duration(at), fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "text")))
		e.Labels = fmt.Sprintf(`{"app":"%d"}`, rapid.IntRange(0, 2).Draw(t, "stream"))
		h.entries = append(h.entries, e)
	}
	return h
}

func day() loki.Window { return loki.Window{Start: noon, End: noon.Add(24 * time.Hour)} }

// TestCursorGivesEachLineOnce guarantees that a walk by cursors, in either direction and to and fro, has each line exactly
// once and in order, whatever the limits and however many lines share a nanosecond.
func TestCursorGivesEachLineOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, backward := clashing(t), rapid.Bool().Draw(t, "backward")
		want := slices.Clone(h.entries)
		pages.Sort(want, backward)
		c := pages.FirstCursor(day(), backward, pages.Digest{1})
		at := 0
		for {
			lines, page := read(t, h, c, rapid.IntRange(1, 40).Draw(t, "limit"))
			if !slices.Equal(lines, want[at:at+len(lines)]) {
				t.Fatalf("at %d: got %v\nwant %v", at, lines, want[at:])
			}
			at += len(lines)
			if (page.Previous == nil) != (at == len(lines)) {
				t.Fatalf("at %d after %d lines: previous is %+v", at, len(lines), page.Previous)
			}
			switch {
			case page.Previous != nil && rapid.IntRange(0, 3).Draw(t, "turn") == 0:
				from := at - len(lines)
				earlier, _ := read(t, h, *page.Previous, rapid.IntRange(1, 40).Draw(t, "limit"))
				if len(earlier) == 0 || !slices.Equal(earlier, want[from-len(earlier):from]) {
					t.Fatalf("before %d: got %v\nwant an end of %v", from, earlier, want[:from])
				}
			}
			if page.Next == nil {
				break
			}
			c = *page.Next
		}
		if at != len(want) {
			t.Fatalf("%d lines of %d", at, len(want))
		}
	})
}

// TestPreviousIsTheWalkBack guarantees that previous leads from the end to the first page, and there ends.
func TestPreviousIsTheWalkBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, backward := clashing(t), rapid.Bool().Draw(t, "backward")
		want := slices.Clone(h.entries)
		pages.Sort(want, backward)
		c := pages.FirstCursor(day(), !backward, pages.Digest{1}) // the far end
		c.Backward, c.Previous = backward, true
		at := len(want)
		for {
			lines, page := read(t, h, c, rapid.IntRange(1, 40).Draw(t, "limit"))
			if !slices.Equal(lines, want[at-len(lines):at]) {
				t.Fatalf("before %d: got %v", at, lines)
			}
			at -= len(lines)
			if page.Previous == nil {
				break
			}
			c = *page.Previous
		}
		if at != 0 {
			t.Fatalf("%d lines were not read", at)
		}
	})
}

// TestCursorWhileLinesChange guarantees that of the lines which stay none is lost or repeated while others arrive and
// are deleted, in the nanosecond of the cursor as well.
func TestCursorWhileLinesChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &held{}
		kept := map[string]int{}
		for i := range rapid.IntRange(1, 30).Draw(t, "lines") {
			h.entries = append(h.entries, entry(time.Duration(i/15), fmt.Sprintf("%02d kept", i)))
			kept[h.entries[i].Line] = 0
		}
		c := pages.FirstCursor(day(), rapid.Bool().Draw(t, "backward"), pages.Digest{})
		for i := 0; ; i++ {
			lines, page := read(t, h, c, rapid.IntRange(1, 5).Draw(t, "limit"))
			for _, e := range lines {
				if strings.HasSuffix(e.Line, "kept") {
					kept[e.Line]++
				}
			}
			if page.Next == nil {
				break
			}
			c = *page.Next
			if n := len(h.entries); n < 45 {
				added := entry(time.Duration(rapid.IntRange(0, 1).Draw(t, "at")), fmt.Sprintf("%02d added %d", rapid.IntRange(0, 30).Draw(t, "text"), i))
				h.entries = slices.Insert(h.entries, rapid.IntRange(0, n).Draw(t, "place"), added)
			}
		}
		for line, n := range kept {
			if n != 1 {
				t.Errorf("%s was returned %d times", line, n)
			}
		}
	})
}

// TestCursorOfADeletedLine guarantees that a cursor at a line that Loki has deleted goes on behind it.
func TestCursorOfADeletedLine(t *testing.T) {
	for _, backward := range []bool{false, true} {
		lines := []loki.Entry{entry(0, "a"), entry(0, "b"), entry(0, "c"), entry(0, "d")}
		pages.Sort(lines, backward)
		p := pages.PositionOf(lines, 1, backward)
		left := slices.Delete(slices.Clone(lines), 1, 2)
		if got := p.After(left, backward); !slices.Equal(got, lines[2:]) {
			t.Errorf("backward %t: got %v", backward, got)
		}
	}
}

// TestPageEndsEarly guarantees that a page that takes long, or is large, ends with what it has, and that the next one goes
// on, a page without lines included.
func TestPageEndsEarly(t *testing.T) {
	h := &held{entries: []loki.Entry{entry(0, "a"), entry(20*time.Hour, strings.Repeat("b", 2000)), entry(21*time.Hour, "c")}}
	c, got := pages.FirstCursor(day(), false, pages.Digest{}), []loki.Entry(nil)
	empty := 0
	for {
		r := pages.Reading{Walk: pages.Walk{Source: h.both}, Cursor: c, Limit: 10, Late: func() bool { return true }}
		page, err := r.Page(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lines := page.Lines()
		if got = append(got, lines...); len(lines) == 0 {
			empty++
		}
		if page.Next == nil {
			break
		}
		c = *page.Next
	}
	if !slices.Equal(got, h.entries) || empty == 0 {
		t.Errorf("got %d lines, %d empty pages", len(got), empty)
	}
	r := pages.Reading{Walk: pages.Walk{Source: h.both, Span: time.Hour}, Cursor: pages.FirstCursor(day(), false, pages.Digest{}), Limit: 10, MaxBytes: 100}
	page, err := r.Page(t.Context())
	if err != nil || page.Last-page.First != 1 || page.Next == nil {
		t.Errorf("%d lines, next %v, %v", page.Last-page.First, page.Next, err)
	}
}

// FuzzCursor guarantees that no text makes a cursor but the one that the cursor writes, that it is within its window, and
// that it is no longer than a kilobyte.
func FuzzCursor(f *testing.F) {
	lines := []loki.Entry{entry(0, "a"), entry(0, "b"), entry(1, "c")}
	for _, c := range []pages.Cursor{
		pages.FirstCursor(day(), false, pages.Digest{}), pages.FirstCursor(day(), true, pages.Digest{1, 2, 3}),
		{Window: day(), Backward: true, Previous: true, At: pages.PositionOf(lines, 1, false), Binding: pages.Digest{9}},
	} {
		f.Add(c.String())
		f.Add(c.String()[:40] + "\n\r" + c.String()[40:]) // base64 skips line breaks
	}
	f.Add("")
	f.Add(strings.Repeat("A", 1025))
	f.Fuzz(func(t *testing.T, text string) {
		c, err := pages.ParseCursor(text)
		if err != nil {
			return
		}
		if c.String() != text || len(text) > pages.MaxCursor {
			t.Errorf("%q is read as %q", text, c)
		}
		w := c.Rest()
		if w.Start.Before(c.Window.Start) || w.End.After(c.Window.End) || w.End.Before(w.Start) || c.At.Rank < 0 || c.At.Ordinal < 0 {
			t.Errorf("%+v rests %v", c, w)
		}
		c.At.After(lines, c.Order())
	})
}
