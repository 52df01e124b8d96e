package tail_test

import (
	"context"
	"fmt"
	"slices"
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
		if s := h.Stats(); f.opens != 1 || s.Streams != 2 || s.Polled != 1 {
			t.Fatalf("%d tails of Loki's, %+v", f.opens, s)
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
		if !slices.Equal(kinds, []tail.EventKind{tail.EventPolling, tail.EventTailing}) || f.opens != 2 {
			t.Errorf("told %v after %d tails of Loki's", kinds, f.opens)
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
		slots, inUse := 0, 0
		slot := func(context.Context) (func(), error) {
			slots++
			inUse++
			return func() { inUse-- }, nil
		}
		w := join(t, h, f, tail.ViewerConfig{Stream: tail.StreamConfig{Slot: slot}})
		time.Sleep(50 * time.Second)
		if slots < 10 || slots > 16 || inUse != 0 {
			t.Errorf("%d slots, %d in use", slots, inUse)
		}
		f.take(line(time.Now(), "polled"))
		began := time.Now()
		if got := texts(t, w, 1); got[0] != "polled" || time.Since(began) > 5*time.Second {
			t.Errorf("got %v after %s", got, time.Since(began))
		}
		time.Sleep(2 * time.Minute)
		if f.opens < 3 || f.opens > 5 {
			t.Errorf("%d tails of Loki's were tried", f.opens)
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
		if f.opens != 2 || len(w.events) > 0 {
			t.Errorf("%d tails of Loki's, told %+v", f.opens, w.events)
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
		if f.opens > 7 {
			t.Errorf("%d tails of Loki's were tried in five minutes", f.opens)
		}
	})
}
