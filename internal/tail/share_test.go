package tail_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/tail"
)

// TestViewersShareATail guarantees that viewers of one key share one tail of Loki's and the same batches, and that
// viewers of another organization do not.
func TestViewersShareATail(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f, h := &fake{}, hub()
		defer h.Close()
		f.take(line(time.Now().Add(-time.Second), "before"))
		var viewers []*watch
		for range 20 {
			viewers = append(viewers, join(t, h, f, tail.ViewerConfig{}))
		}
		for _, v := range viewers {
			if got := texts(t, v, 1); got[0] != "before" {
				t.Fatalf("got %v", got)
			}
		}
		time.Sleep(time.Minute)
		f.take(line(time.Now(), "live"))
		var shared []*tail.Batch
		for _, v := range viewers {
			b, err := v.Next(t.Context())
			if err != nil || len(b.Entries) != 1 || b.Entries[0].Line != "live" {
				t.Fatal(b, err)
			}
			shared = append(shared, b)
		}
		encoded := 0
		for _, b := range shared {
			text := b.Encoded(tail.FormatEvents, func(b *tail.Batch) []byte { encoded++; return []byte(b.Entries[0].Line) })
			if b != shared[0] || string(text) != "live" {
				t.Error("not the same batch")
			}
		}
		if f.tries() != 1 || encoded != 1 || h.Stats().Streams != 1 {
			t.Errorf("%d tails of Loki's, encoded %d times, %d streams", f.tries(), encoded, h.Stats().Streams)
		}
		join(t, h, f, tail.ViewerConfig{Key: tail.Key{Organization: "other"}})
		if f.tries() != 2 || h.Stats().Streams != 2 {
			t.Errorf("another organization: %d tails of Loki's", f.tries())
		}
	})
}

// TestStreamOutlivesItsViewers guarantees that a stream goes on without the viewer that it was made for, for 30 seconds
// without any, and not longer.
func TestStreamOutlivesItsViewers(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f, h := &fake{}, hub()
		defer h.Close()
		ctx, leave := context.WithCancel(t.Context())
		first, err := open(ctx, h, f, tail.ViewerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		second := join(t, h, f, tail.ViewerConfig{})
		time.Sleep(time.Minute)
		leave()
		first.Viewer.Close()
		f.take(line(time.Now(), "without the first"))
		if got := texts(t, second, 1); got[0] != "without the first" {
			t.Fatalf("got %v", got)
		}
		second.Viewer.Close()
		time.Sleep(29 * time.Second)
		f.take(line(time.Now(), "without any"))
		synctest.Wait()
		third := join(t, h, f, tail.ViewerConfig{Start: time.Now().Add(-time.Second)})
		if got := texts(t, third, 1); got[0] != "without any" || f.tries() != 1 {
			t.Fatalf("got %v after %d tails of Loki's", got, f.tries())
		}
		third.Viewer.Close()
		time.Sleep(31 * time.Second)
		if h.Stats().Streams != 0 || len(f.tails) != 0 {
			t.Errorf("%d streams, %d tails of Loki's", h.Stats().Streams, len(f.tails))
		}
	})
}

// TestLateViewersReadTheRing guarantees that a viewer that comes late, or comes back, needs no query where the ring has
// what it wants, and that one which wants earlier lines gets each once.
func TestLateViewersReadTheRing(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f, h := &fake{}, hub()
		defer h.Close()
		for i := range 10 {
			f.take(line(time.Now().Add(time.Duration(i-3610)*time.Second), "%d", i))
		}
		first := join(t, h, f, tail.ViewerConfig{Start: time.Now().Add(-2 * time.Hour)})
		texts(t, first, 10)
		time.Sleep(time.Minute)
		var ids []string
		for i := 10; i < 50; i++ {
			f.take(line(time.Now(), "%d", i))
			if i%10 == 5 { // a late line, which no timestamp finds again
				f.take(line(time.Now().Add(-time.Hour), "late %d", i))
			}
			time.Sleep(time.Second)
			for {
				b, err := first.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, b.ID())
				if b.Entries[len(b.Entries)-1].Line == fmt.Sprint(i) && i%10 != 5 || strings.HasPrefix(b.Entries[len(b.Entries)-1].Line, "late") {
					break
				}
			}
		}
		queries := f.queries()
		late := join(t, h, f, tail.ViewerConfig{Lines: 20})
		if got := texts(t, late, 20); !slices.Equal(got, numbered(30, 50)) {
			t.Errorf("got %v", got)
		}
		for i, id := range ids {
			cursor, err := tail.ParseCursor(id)
			if err != nil {
				t.Fatal(err)
			}
			back := join(t, h, f, tail.ViewerConfig{After: cursor})
			if rest := 44 - 1 - i; len(ids) == 44 && rest > 0 {
				if got := texts(t, back, rest); got[len(got)-1] != "49" {
					t.Fatalf("after %s: %v", id, got)
				}
			}
			nothing(t, back)
			back.Viewer.Close()
		}
		if f.queries() != queries || len(ids) != 44 {
			t.Errorf("%d queries, %d positions", f.queries()-queries, len(ids))
		}
		early := join(t, h, f, tail.ViewerConfig{Start: time.Now().Add(-3 * time.Hour), Lines: 1000})
		if got := texts(t, early, 54); len(slices.Compact(slices.Sorted(slices.Values(got)))) != 54 {
			t.Errorf("got %v", got)
		}
		nothing(t, early)
	})
}

// TestSlowViewerSlowsNobody guarantees that a viewer that reads nothing delays no other one, and is told what it missed.
func TestSlowViewerSlowsNobody(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f, h := &fake{}, hub()
		defer h.Close()
		slow, fast := join(t, h, f, tail.ViewerConfig{}), join(t, h, f, tail.ViewerConfig{})
		time.Sleep(2 * begins)
		text := strings.Repeat("x", 1000)
		const n = 10_000
		for i := range n {
			f.take(line(time.Now(), "%d %s", i, text))
			if i%100 == 99 {
				time.Sleep(200 * time.Millisecond)
				if got := texts(t, fast, 100); !strings.HasPrefix(got[99], fmt.Sprint(i)) {
					t.Fatalf("after %d: %.10s", i, got[99])
				}
			}
		}
		got, dropped := 0, 0
		for got+dropped < n {
			b, err := slow.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got, dropped = got+len(b.Entries), dropped+b.Drops.Slow
		}
		if got+dropped != n || dropped == 0 || got == 0 {
			t.Errorf("%d lines and %d dropped, of %d", got, dropped, n)
		}
	})
}

// TestMissedLinesWaitForViewers guarantees that after Loki's absence all viewers that read get all lines, more than the
// ring holds, though one of them reads nothing.
func TestMissedLinesWaitForViewers(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f, h := &fake{}, hub()
		defer h.Close()
		stalled := join(t, h, f, tail.ViewerConfig{})
		_ = stalled
		var viewers []*watch
		for range 10 {
			viewers = append(viewers, join(t, h, f, tail.ViewerConfig{}))
		}
		time.Sleep(time.Minute)
		f.leave()
		const n = 20_000
		for i := range n {
			f.take(line(time.Now().Add(time.Duration(i)), "%d", i))
		}
		time.Sleep(20 * time.Second)
		f.back()
		var readers sync.WaitGroup
		for _, v := range viewers {
			readers.Go(func() {
				if got := texts(t, v, n); !slices.Equal(got, numbered(0, n)) {
					t.Errorf("got %d lines, not those wanted", len(got))
				}
				nothing(t, v)
			})
		}
		readers.Wait()
	})
}

// TestDelayIsAViewersOwn guarantees that a delay brings late lines into order for the viewer that wants it, that others of
// the same stream get lines at once, and that a delayed tail resumes exactly.
func TestDelayIsAViewersOwn(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f, h := &fake{}, hub()
		defer h.Close()
		prompt, delayed := join(t, h, f, tail.ViewerConfig{}), join(t, h, f, tail.ViewerConfig{Delay: 3 * time.Second})
		time.Sleep(time.Minute)
		began := time.Now()
		f.take(line(began.Add(2*time.Second), "1"))
		time.Sleep(time.Second)
		f.take(line(began, "0"))
		f.take(line(began.Add(3*time.Second), "2"))
		if got := texts(t, prompt, 3); !slices.Equal(got, []string{"1", "0", "2"}) {
			t.Errorf("at once: %v", got)
		}
		if got := texts(t, delayed, 2); !slices.Equal(got, []string{"0", "1"}) || time.Since(began) != 3*time.Second {
			t.Errorf("delayed: %v after %s", got, time.Since(began))
		}
		after, err := tail.ParseCursor(delayed.ID())
		if err != nil {
			t.Fatal(err)
		}
		delayed.Viewer.Close()
		back := join(t, h, f, tail.ViewerConfig{After: after, Delay: 3 * time.Second})
		if got := texts(t, back, 1); got[0] != "2" {
			t.Errorf("resumed: %v", got)
		}
		nothing(t, back)
		if f.tries() != 1 {
			t.Errorf("%d tails of Loki's", f.tries())
		}
	})
}

// TestViewersOfAChangingLoki guarantees the package's promise for viewers that come, leave and come back at any time, to this
// process or another, while lines arrive, many in one nanosecond, and Loki breaks off: each line once, from
// the first that a viewer has got.
func TestViewersOfAChangingLoki(t *testing.T) {
	for seed := range uint64(6) {
		inBubble(t, fmt.Sprint(seed), func(t *testing.T) { changingLoki(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func changingLoki(t *testing.T, r *rand.Rand) {
	f := &fake{}
	hubs := []*tail.Hub{hub(), hub()}
	defer hubs[0].Close()
	defer hubs[1].Close()
	const n = 6000
	var watchers sync.WaitGroup
	for i := range 8 {
		own := rand.New(rand.NewPCG(uint64(i), r.Uint64()))
		watchers.Go(func() { changingViewer(t, own, hubs, f, n) })
	}
	for i := 0; i < n; {
		at := time.Now().Truncate(40 * time.Millisecond)
		var batch []loki.Entry
		for range 1 + r.IntN(8) {
			batch = append(batch, line(at, "%d", i))
			i++
		}
		f.take(batch...)
		if r.IntN(400) == 0 {
			f.leave()
			time.AfterFunc(time.Duration(r.IntN(20))*time.Second, f.back)
		}
		if r.IntN(300) == 0 {
			f.endTails()
		}
		time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
	}
	f.back()
	f.take(line(time.Now(), "end"))
	watchers.Wait()
}

// changingViewer reads from the line that comes first to the end, over many viewers.
func changingViewer(t *testing.T, r *rand.Rand, hubs []*tail.Hub, f *fake, n int) {
	time.Sleep(time.Duration(r.IntN(30)) * time.Second)
	seen, last := map[string]int{}, ""
	for first := true; ; first = false {
		c := tail.ViewerConfig{Lines: 1 + r.IntN(300)}
		if !first {
			c.After, _ = tail.ParseCursor(last)
		}
		w, err := open(t.Context(), hubs[r.IntN(len(hubs))], f, c)
		if err != nil { // Loki is away
			if !errors.Is(err, loki.ErrUnreachable) {
				t.Error(err)
				return
			}
			time.Sleep(time.Second)
			continue
		}
		ended := false
		for range 1 + r.IntN(60) {
			b, err := w.Next(t.Context())
			if err != nil || b.Drops.Count() > 0 {
				t.Errorf("%v, %+v", err, b)
				break
			}
			for _, e := range b.Entries {
				seen[e.Line]++
			}
			if last = w.ID(); seen["end"] > 0 {
				ended = true
				break
			}
		}
		w.Viewer.Close()
		if ended {
			break
		}
		time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
	}
	least := n
	for i := range n {
		if seen[fmt.Sprint(i)] > 0 {
			least = min(least, i)
		}
	}
	wrong := 0
	for i := least; i < n; i++ {
		if times := seen[fmt.Sprint(i)]; times != 1 && wrong < 5 {
			wrong++
			t.Errorf("line %d came %d times; the first was %d", i, times, least)
		}
	}
}

// TestViewersAreToldOfInterruptions guarantees that viewers are told of a break at once and in order, with what is certain
// about the gap, and that one which comes meanwhile is told as well.
func TestViewersAreToldOfInterruptions(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f, h := &fake{}, hub()
		defer h.Close()
		w := join(t, h, f, tail.ViewerConfig{})
		time.Sleep(time.Minute)
		f.take(line(time.Now(), "before"))
		texts(t, w, 1)
		broke := time.Now()
		f.leave()
		kind := func(w *watch) *tail.Event {
			t.Helper()
			b, err := w.Viewer.Next(t.Context(), nil)
			if err != nil || b.Event == nil {
				t.Fatal(b, err)
			}
			return b.Event
		}
		if e := kind(w); e.Kind != tail.EventInterrupted || time.Since(broke) > 2*time.Second || e.Since != broke || !e.NextTry.After(broke) {
			t.Errorf("got %+v after %s", e, time.Since(broke))
		}
		f.take(line(time.Now(), "meanwhile"))
		after, err := tail.ParseCursor(w.ID())
		if err != nil {
			t.Fatal(err)
		}
		late := join(t, h, f, tail.ViewerConfig{After: after})
		if s := h.Stats(); s != (tail.HubStats{Viewers: 2, Streams: 1, Interrupted: 1}) {
			t.Errorf("meanwhile %+v", s)
		}
		if e := kind(late); e.Kind != tail.EventInterrupted || e.Since != broke {
			t.Errorf("the late one got %+v", e)
		}
		time.Sleep(20 * time.Second)
		f.back()
		for _, w := range []*watch{w, late} {
			if got := texts(t, w, 1); got[0] != "meanwhile" {
				t.Errorf("got %v", got)
			}
			w.events = nil
			nothing(t, w)
			if n := len(w.events); n != 1 || w.events[0].Kind != tail.EventResumed || w.events[0].Lines != 1 || w.events[0].From.After(broke.Add(-5*time.Second)) {
				t.Errorf("got %+v", w.events)
			}
		}
		if s := h.Stats(); s != (tail.HubStats{Viewers: 2, Streams: 1, Tailed: 1}) {
			t.Errorf("afterwards %+v", s)
		}
	})
}
