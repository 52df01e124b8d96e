package tail_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/tail"
)

// inBubble runs a test with time that passes only when everything waits.
func inBubble(t *testing.T, name string, test func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
}

func numbered(from, to int) (want []string) {
	for i := from; i < to; i++ {
		want = append(want, fmt.Sprint(i))
	}
	return want
}

// TestTailBegins guarantees that a tail gives the newest lines since its start, oldest first, and all that
// come later, those that Loki's tail misses while it begins included.
func TestTailBegins(t *testing.T) {
	inBubble(t, "with the newest", func(t *testing.T) {
		f := &fake{}
		for i := range 10 {
			f.take(line(time.Now().Add(time.Duration(i-10)*time.Second), "%d", i))
		}
		tl := start(t, f, tail.ViewerConfig{Lines: 3})
		if got := texts(t, tl, 3); !slices.Equal(got, numbered(7, 10)) {
			t.Fatalf("got %v", got)
		}
		// Loki's tail has not begun.
		f.take(line(time.Now(), "missed by Loki's tail"))
		time.Sleep(2 * begins)
		f.take(line(time.Now(), "live"), line(time.Now().Add(-time.Hour), "late"))
		if got := texts(t, tl, 3); !slices.Equal(got, []string{"missed by Loki's tail", "live", "late"}) {
			t.Errorf("got %v", got)
		}
		nothing(t, tl)
	})
	inBubble(t, "with nothing before its start", func(t *testing.T) {
		f := &fake{}
		f.take(line(time.Now().Add(-time.Second), "before"))
		tl := start(t, f, tail.ViewerConfig{Start: time.Now()})
		time.Sleep(2 * begins)
		f.take(line(time.Now(), "live"))
		if got := texts(t, tl, 1); got[0] != "live" {
			t.Errorf("got %v", got)
		}
		nothing(t, tl)
	})
	inBubble(t, "with more lines in one nanosecond than it shows", func(t *testing.T) {
		f := &fake{}
		at := time.Now().Add(-time.Second)
		for i := range 10 {
			f.take(line(at, "%d", i))
		}
		tl := start(t, f, tail.ViewerConfig{Lines: 4})
		texts(t, tl, 4)
		nothing(t, tl)
	})
}

// TestTailSurvivesLokisEnd guarantees that Loki's end, and its absence, lose no line and repeat none, lines
// of the nanosecond in which it ended included.
func TestTailSurvivesLokisEnd(t *testing.T) {
	for name, end := range map[string]func(*fake){
		"restarted":                       func(f *fake) { f.leave(); time.AfterFunc(40*time.Second, f.back) },
		"the tail's longest time reached": (*fake).endTails,
	} {
		inBubble(t, name, func(t *testing.T) {
			f := &fake{}
			tl := start(t, f, tail.ViewerConfig{})
			time.Sleep(2 * begins)
			at := time.Now()
			f.take(line(at, "0"), line(at, "1"))
			f.take(line(at, "2"))
			want := texts(t, tl, 3)
			end(f)
			// Taken in by another process's Loki, so to say: not by a tail.
			f.take(line(at, "3"), line(at.Add(-time.Second), "4: written before, taken in after"), line(at.Add(1), "5"))
			want = append(want, "4: written before, taken in after", "3", "5")
			got := append(slices.Clone(want[:3]), texts(t, tl, 3)...)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got %v\nwant %v", got, want)
			}
			time.Sleep(2 * begins)
			f.take(line(time.Now(), "live"))
			if got := texts(t, tl, 1); got[0] != "live" {
				t.Errorf("got %v", got)
			}
			nothing(t, tl)
		})
	}
}

// TestTailUnderLoad guarantees the same while lines come all the time, many with the same timestamp.
func TestTailUnderLoad(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f := &fake{}
		tl := start(t, f, tail.ViewerConfig{})
		const n = 3000
		go func() {
			for i := range n {
				f.take(line(time.Now().Truncate(50*time.Millisecond), "%d", i))
				if i%1000 == 700 {
					f.endTails()
				}
				time.Sleep(7 * time.Millisecond)
			}
		}()
		got := texts(t, tl, n)
		nothing(t, tl)
		seen := map[string]int{}
		for _, g := range got {
			seen[g]++
		}
		for _, want := range numbered(0, n) {
			if seen[want] != 1 {
				t.Errorf("line %s came %d times", want, seen[want])
			}
		}
	})
}

// TestTailResumes guarantees that a tail goes on after a mark that another one has left, at any line.
func TestTailResumes(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f := &fake{}
		began := time.Now()
		for i := range 30 {
			f.take(line(began.Add(time.Duration(i/7)), "%d", i)) // seven to a nanosecond
		}
		time.Sleep(time.Second)
		all := start(t, f, tail.ViewerConfig{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var entries []loki.Entry
		for len(entries) < 30 { // in one batch or in several, as they come
			b, err := all.Next(ctx)
			if err != nil {
				t.Fatal(len(entries), err)
			}
			entries = append(entries, b.Entries...)
		}
		if len(entries) != 30 {
			t.Fatalf("%d lines, want 30", len(entries))
		}
		var cursor tail.Cursor
		for i, e := range entries {
			cursor.Add(e)
			read, err := tail.ParseCursor(cursor.String())
			if err != nil {
				t.Fatal(err)
			}
			tl := start(t, f, tail.ViewerConfig{After: read, Lines: 1})
			read.Add(line(time.Now(), "the mark goes on with its reader"))
			if rest := 30 - i - 1; rest > 0 {
				got := texts(t, tl, rest)
				slices.Sort(got)
				want := numbered(i+1, 30)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Fatalf("after %d: got %v", i, got)
				}
			}
			nothing(t, tl)
		}
	})
}

// TestTailDropsTheOldest guarantees that a reader who does not read is told how many lines went by, and
// finds the newest; and that what Loki dropped is told too.
func TestTailDropsTheOldest(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f := &fake{}
		tl := start(t, f, tail.ViewerConfig{})
		time.Sleep(2 * begins)
		text := strings.Repeat("x", 1000)
		const n = 20_000
		for i := range n {
			f.take(line(time.Now(), "%d %s", i, text))
			if i%500 == 0 {
				synctest.Wait()
			}
		}
		f.drop(loki.Dropped{Nanos: 1, Labels: "{}"}, loki.Dropped{Nanos: 2, Labels: "{}"})
		synctest.Wait()
		got, drops := 0, tail.Drops{}
		last := ""
		for got+drops.Slow < n {
			b, err := tl.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got += len(b.Entries)
			drops.Slow += b.Drops.Slow
			drops.Loki += b.Drops.Loki
			drops.Named = append(drops.Named, b.Drops.Named...)
			if len(b.Entries) > 0 {
				last = b.Entries[len(b.Entries)-1].Line
			}
		}
		if got+drops.Slow != n || drops.Loki != 2 || !strings.HasPrefix(last, fmt.Sprint(n-1)) {
			t.Errorf("got %d lines, %d dropped here and %d by Loki; the last %.10s", got, drops.Slow, drops.Loki, last)
		}
		if got > 2500 || len(drops.Named) > 200 {
			t.Errorf("%d lines of a kilobyte were held, %d named", got, len(drops.Named))
		}
	})
}

// TestTailEnds guarantees that each end says why, after the lines that had come.
func TestTailEnds(t *testing.T) {
	inBubble(t, "Loki is away from the beginning", func(t *testing.T) {
		f := &fake{away: true}
		h := hub()
		defer h.Close()
		if _, err := open(t.Context(), h, f, tail.ViewerConfig{}); !errors.Is(err, loki.ErrUnreachable) {
			t.Errorf("got %v", err)
		}
	})
	inBubble(t, "Loki stays away", func(t *testing.T) {
		f, h := &fake{}, tail.NewHub(tail.HubConfig{GiveUp: 30 * time.Second})
		defer h.Close()
		tl := join(t, h, f, tail.ViewerConfig{})
		time.Sleep(2 * begins)
		f.take(line(time.Now(), "last"))
		f.leave()
		if got := texts(t, tl, 1); got[0] != "last" {
			t.Errorf("got %v", got)
		}
		began := time.Now()
		_, err := tl.Next(t.Context())
		var end *tail.EndError
		if !errors.As(err, &end) || !errors.Is(err, loki.ErrUnreachable) {
			t.Errorf("got %v", err)
		}
		if waited := time.Since(began); waited < 30*time.Second || waited > 45*time.Second || f.tries() > 40 {
			t.Errorf("after %s and %d tries", waited, f.tries())
		}
	})
	inBubble(t, "Loki refuses the query from some time on", func(t *testing.T) {
		f := &fake{}
		tl := start(t, f, tail.ViewerConfig{})
		time.Sleep(2 * begins)
		f.mu.Lock()
		f.refuse = &loki.RefusedError{Status: 400, Message: "no"}
		f.mu.Unlock()
		f.endTails()
		_, err := tl.Next(t.Context())
		var refused *loki.RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("got %v", err)
		}
	})
	inBubble(t, "the reader's context", func(t *testing.T) {
		f := &fake{}
		tl := start(t, f, tail.ViewerConfig{})
		why := errors.New("token expired")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		if _, err := tl.Next(ctx); !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
	})
}

// TestTailOfReplicas guarantees that a line which Loki's tail brings again, since another replica sends it later, comes once, however many
// others come in between.
func TestTailOfReplicas(t *testing.T) {
	for _, every := range []time.Duration{time.Millisecond, time.Second} {
		inBubble(t, every.String(), func(t *testing.T) {
			f := &fake{again: time.Second}
			w := start(t, f, tail.ViewerConfig{})
			time.Sleep(2 * begins)
			const n = 3000
			go func() {
				for i := range n {
					f.take(line(time.Now(), "%d", i))
					time.Sleep(every)
				}
			}()
			if got := texts(t, w, n); !slices.Equal(got, numbered(0, n)) {
				t.Errorf("got %d lines, from %s to %s", len(got), got[0], got[len(got)-1])
			}
			nothing(t, w)
		})
	}
}

// TestTailResumesInADenseNanosecond guarantees that a tail goes on exactly, after any number of lines of one nanosecond
// and while others of it arrive.
func TestTailResumesInADenseNanosecond(t *testing.T) {
	for _, n := range []int{255, 256, 257, 300, 2000, 4990} {
		for _, delivered := range []int{1, 256, 257, n / 2, n} {
			if delivered > n {
				continue
			}
			inBubble(t, fmt.Sprintf("%d of %d", delivered, n), func(t *testing.T) {
				f := &fake{}
				at := time.Now().Add(-time.Second)
				var all []loki.Entry
				for i := range n {
					all = append(all, line(at, "%d", i-i%10)) // some lines come ten times
				}
				f.take(all...)
				rand.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
				var cursor tail.Cursor
				want := map[string]int{}
				for i, e := range all {
					if i < delivered {
						cursor.Add(e)
					} else {
						want[e.Line]++
					}
				}
				read, err := tail.ParseCursor(cursor.String())
				if err != nil {
					t.Fatal(err)
				}
				tl := start(t, f, tail.ViewerConfig{After: read})
				for _, text := range texts(t, tl, n-delivered) {
					want[text]--
				}
				for text, missing := range want {
					if missing != 0 {
						t.Errorf("line %q is %d times too few", text, missing)
					}
				}
				nothing(t, tl)
			})
		}
	}
}

// TestMark guarantees that a mark's text is what it was made from, and that nothing else is read as one.
func TestMark(t *testing.T) {
	at := time.Unix(0, 1_795_441_417_608_265_119)
	var m tail.Cursor
	if m.String() != "" || !m.IsZero() {
		t.Errorf("zero mark is %q", m.String())
	}
	for i := range 1000 {
		m.Add(line(at, "%d", i))
		m.Add(line(at.Add(-1), "older"))
	}
	text := m.String()
	if len(text) > 2100 {
		t.Errorf("%d bytes", len(text))
	}
	read, err := tail.ParseCursor(text)
	if err != nil || read.String() != text || read.Nanos() != at.UnixNano() {
		t.Errorf("got %q, %v", read.String(), err)
	}
	for _, bad := range []string{
		"", "-", "1795441417608265119", "0-", "-5-", "+5-", "05-", "1-AAA", "1-AAAAAAAA=", "1-AAAA AAAA", "x-AAAAAAAA",
		"99999999999999999999-AAAAAAAA", text + "AAAA", text[:len(text)-4],
	} {
		if _, err := tail.ParseCursor(bad); !errors.Is(err, tail.ErrCursor) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

// TestCloseEndsViewers guarantees that the end of a hub ends all of its viewers with an error, those as well that read nothing,
// and that there are no new ones.
func TestCloseEndsViewers(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f, h := &fake{}, hub()
		reads, stalls := join(t, h, f, tail.ViewerConfig{}), join(t, h, f, tail.ViewerConfig{})
		time.Sleep(time.Minute)
		f.take(line(time.Now(), "before"))
		texts(t, reads, 1)
		h.Close()
		for _, w := range []*watch{reads, stalls} {
			var got []string
			for {
				b, err := w.Next(t.Context())
				var end *tail.EndError
				if errors.As(err, &end) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, b.Entries[0].Line)
			}
			if w == stalls && !slices.Equal(got, []string{"before"}) || w == reads && got != nil {
				t.Errorf("before the end: %v", got)
			}
		}
		if _, err := open(t.Context(), h, f, tail.ViewerConfig{}); !errors.Is(err, tail.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
		if len(f.tails) != 0 {
			t.Errorf("%d tails of Loki's", len(f.tails))
		}
	})
}

// TestBehind guarantees that a viewer is behind as long as it has not read the last batch, and not after it.
func TestBehind(t *testing.T) {
	inBubble(t, "", func(t *testing.T) {
		f, h := &fake{}, hub()
		defer h.Close()
		w := join(t, h, f, tail.ViewerConfig{Start: time.Now()})
		time.Sleep(time.Minute)
		f.take(line(time.Now(), "to join the ring"))
		texts(t, w, 1)
		for i := range 3 {
			f.take(line(time.Now(), "%d", i))
			time.Sleep(time.Second)
		}
		for i := range 3 {
			if texts(t, w, 1); w.Behind() != (i < 2) {
				t.Errorf("after line %d: %t", i, w.Behind())
			}
		}
	})
}
