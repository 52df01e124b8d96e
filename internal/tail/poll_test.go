package tail_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/tail"
)

// TestMoreQueriesThanTails guarantees that the newest queries are polled where there are no more tails, that their viewers
// are told and lose and repeat no line, and that a tail takes over when there is a place.
func TestMoreQueriesThanTails(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		h := tail.NewHub(tail.HubConfig{MaxTails: 1})
		defer h.Close()
		f := &fake{}
		first := join(t, h, f, tail.ViewerConfig{Key: tail.Key{Organization: "a"}})
		second := join(t, h, f, tail.ViewerConfig{Key: tail.Key{Organization: "a|b"}})
		time.Sleep(time.Minute)
		if s := h.Stats(); f.tries() != 1 || s != (tail.HubStats{Viewers: 2, Streams: 2, Tailed: 1, Polled: 1}) {
			t.Fatalf("%d tails of Loki's, %+v", f.tries(), s)
		}
		const n = 500
		go func() {
			for i := range n {
				f.take(line(time.Now().Truncate(50*time.Millisecond), "%d", i))
				if i == n/2 {
					first.Viewer.Close() // its tail is free half a minute later
				}
				time.Sleep(200 * time.Millisecond)
			}
		}()
		if got := texts(t, second, n); !slices.Equal(got, numbered(0, n)) {
			t.Errorf("got %d lines", len(got))
		}
		nothing(t, second)
		var kinds []tail.EventKind
		for _, e := range second.events {
			kinds = append(kinds, e.Kind)
		}
		if !slices.Equal(kinds, []tail.EventKind{tail.EventPolling, tail.EventTailing}) || f.tries() != 2 {
			t.Errorf("told %v after %d tails of Loki's", kinds, f.tries())
		}
	})
}

// TestPollsAreBounded guarantees that each poll has a slot, that a quiet query is polled every five seconds, and that no more
// than so many queries of a tenant are polled: one more is refused.
func TestPollsAreBounded(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		h := tail.NewHub(tail.HubConfig{MaxTails: 1})
		defer h.Close()
		f := &fake{refuseTails: true}
		var slots, inUse atomic.Int64
		slot := func(context.Context) (func(), error) {
			slots.Add(1)
			inUse.Add(1)
			return func() { inUse.Add(-1) }, nil
		}
		w := join(t, h, f, tail.ViewerConfig{Stream: tail.StreamConfig{Slot: slot}})
		time.Sleep(50 * time.Second)
		if n := slots.Load(); n < 10 || n > 16 || inUse.Load() != 0 {
			t.Errorf("%d slots, %d in use", n, inUse.Load())
		}
		f.take(line(time.Now(), "polled"))
		began := time.Now()
		if got := texts(t, w, 1); got[0] != "polled" || time.Since(began) > 5*time.Second {
			t.Errorf("got %v after %s", got, time.Since(began))
		}
		time.Sleep(2 * time.Minute)
		if f.tries() < 3 || f.tries() > 5 {
			t.Errorf("%d tails of Loki's were tried", f.tries())
		}
	})
}

// TestTailIsRenewed guarantees that a tail of Loki's is replaced before its longest time, without a word to its viewers and
// without losing or repeating a line.
func TestTailIsRenewed(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f, h := &fake{}, hub()
		defer h.Close()
		w := join(t, h, f, tail.ViewerConfig{})
		time.Sleep(2 * begins) // a late line before that is in no tail of Loki's, and older than the first query
		const n = 1400
		go func() {
			for i := range n {
				f.take(line(time.Now(), "%d", i), line(time.Now().Add(-time.Minute), "late %d", i))
				time.Sleep(3 * time.Second) // 70 minutes in all
			}
		}()
		seen := map[string]int{}
		for _, text := range texts(t, w, 2*n) {
			seen[text]++
		}
		nothing(t, w)
		for i := range n {
			if seen[fmt.Sprint(i)] != 1 || seen[fmt.Sprintf("late %d", i)] != 1 {
				t.Fatalf("line %d came %d times, and late %d times", i, seen[fmt.Sprint(i)], seen[fmt.Sprintf("late %d", i)])
			}
		}
		if f.tries() != 2 || len(w.events) > 0 {
			t.Errorf("%d tails of Loki's, told %+v", f.tries(), w.events)
		}
	})
}

// TestRenewalWaitsForLateFrames guarantees that lines which Loki had taken in before the next tail began, and sends seconds
// after, are not lost, those included that are too old for a query.
func TestRenewalWaitsForLateFrames(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f, h := &fake{lag: 9 * time.Second}, hub()
		defer h.Close()
		w := join(t, h, f, tail.ViewerConfig{})
		time.Sleep(49 * time.Minute)
		const n = 4000
		go func() {
			for i := range n {
				f.take(line(time.Now(), "%d", i), line(time.Now().Add(-time.Minute), "late %d", i))
				time.Sleep(100 * time.Millisecond) // 6m40s in all, in which the tail is renewed
			}
		}()
		seen := map[string]int{}
		for len(seen) < 2*n {
			for _, text := range texts(t, w, 1) {
				seen[text]++
			}
		}
		nothing(t, w)
		for text, times := range seen {
			if times != 1 {
				t.Errorf("line %s came %d times", text, times)
			}
		}
		if f.tries() != 2 || len(w.events) > 0 {
			t.Errorf("%d tails of Loki's, told %+v", f.tries(), w.events)
		}
	})
}

// TestPollingPausesBetweenTries guarantees that the time of polling which is over to the nanosecond is followed by another.
func TestPollingPausesBetweenTries(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		h := tail.NewHub(tail.HubConfig{})
		defer h.Close()
		f := &fake{refuseTails: true}
		w := join(t, h, f, tail.ViewerConfig{})
		for i := range 300 { // a line in each second: a poll is due when the minute is over
			f.take(line(time.Now(), "%d", i))
			time.Sleep(time.Second)
		}
		if got := texts(t, w, 300); !slices.Equal(got, numbered(0, 300)) {
			t.Errorf("got %d lines", len(got))
		}
		if f.tries() > 7 {
			t.Errorf("%d tails of Loki's were tried in five minutes", f.tries())
		}
	})
}
