package limits

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// TestTurnsAreFair guarantees that a tenant's flood delays another tenant by one turn, not by the
// flood.
func TestTurnsAreFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(t, TurnsConfig{AtOnce: 1, QueuePerKey: 10, Queue: 100})
		release, err := turns.Acquire(t.Context(), "flood")
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		for _, key := range []string{"flood", "flood", "flood", "acme", "beta", "acme"} {
			go func() {
				release, err := turns.Acquire(t.Context(), key)
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, key) // one holds the turn at a time, so this is no race
				release()
			}()
			synctest.Wait()
		}
		release()
		synctest.Wait()
		// The flood holds the turn when all arrive, so it comes last of the three, and then each in turn.
		want := "[acme beta flood acme flood flood]"
		if got := fmt.Sprint(order); got != want {
			t.Errorf("turns were given to %s, want %s", got, want)
		}
		assertForgotten(t, turns)
	})
}

// TestTurnsRefuseBeyondTheQueue guarantees that waiting is bounded, for one key and in all.
func TestTurnsRefuseBeyondTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(t, TurnsConfig{AtOnce: 1, QueuePerKey: 1, Queue: 2})
		ctx, cancel := context.WithCancel(t.Context())
		release, err := turns.Acquire(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		var left atomic.Int32
		wait := func(key string) {
			go func() {
				if _, err := turns.Acquire(ctx, key); errors.Is(err, context.Canceled) {
					left.Add(1)
				}
			}()
			synctest.Wait()
		}
		wait("a")
		if _, err := turns.Acquire(ctx, "a"); !errors.Is(err, ErrOverloaded) {
			t.Errorf("a second waiter of one key: %v, want ErrOverloaded", err)
		}
		wait("b")
		if _, err := turns.Acquire(ctx, "c"); !errors.Is(err, ErrOverloaded) {
			t.Errorf("a third waiter in all: %v, want ErrOverloaded", err)
		}
		cancel()
		synctest.Wait()
		if left.Load() != 2 {
			t.Errorf("%d callers left with the context's error, want 2", left.Load())
		}
		release()
		assertForgotten(t, turns)
	})
}

// TestAcquireAfterTheCallerLeft guarantees that a caller that is gone takes no turn, though one is free.
func TestAcquireAfterTheCallerLeft(t *testing.T) {
	turns := newTurns(t, TurnsConfig{AtOnce: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := turns.Acquire(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	assertForgotten(t, turns)
}

// TestReleaseTwice guarantees that a turn is given back once, however often release is called.
func TestReleaseTwice(t *testing.T) {
	turns := newTurns(t, TurnsConfig{AtOnce: 1})
	release, err := turns.Acquire(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	release()
	release()
	if _, err := turns.Acquire(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := turns.Acquire(t.Context(), "a"); !errors.Is(err, ErrOverloaded) {
		t.Fatalf("a second turn was given where one may be held: %v", err)
	}
}

// TestLeaveWithTheTurn guarantees that the turn of a caller that left in the instant it was given is
// not lost: it goes to the next.
func TestLeaveWithTheTurn(t *testing.T) {
	turns := newTurns(t, TurnsConfig{AtOnce: 1, QueuePerKey: 2, Queue: 2})
	first, _, err := turns.enter([]Claim{{Key: "a", PerKey: 9, QueuePerKey: 9}})
	if err != nil {
		t.Fatal(err)
	}
	second, leaver, err := turns.enter([]Claim{{Key: "b", PerKey: 9, QueuePerKey: 9}})
	if err != nil {
		t.Fatal(err)
	}
	_, next, err := turns.enter([]Claim{{Key: "c", PerKey: 9, QueuePerKey: 9}})
	if err != nil {
		t.Fatal(err)
	}
	turns.giveBack(first)
	turns.leave(second, leaver)
	select {
	case <-next.value.turn:
	default:
		t.Fatal("the turn was lost")
	}
}

// TestTurnsConfigValidate guarantees that every mistake is named, and a key cannot fill the queue.
func TestTurnsConfigValidate(t *testing.T) {
	_, err := NewTurns(TurnsConfig{AtOnce: -1, PerKey: -2, QueuePerKey: 3, Queue: 2})
	want := "turns: AtOnce: -1 is negative; write 0 or more\nPerKey: -2 is negative; write 0 or more\n" +
		"QueuePerKey: 3 is more than may wait in all; write at most 2"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestTurnsKeepTheirPromises drives random callers through random bounds and holds, after each step:
// no bound is exceeded, no turn lies idle while somebody could have it, a key's callers are served in
// order, no key is served twice while another one waits that could have been, and only a full queue
// refuses.
func TestTurnsKeepTheirPromises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The wrapper hides Deadline, which panics in a bubble.
		rapid.Check(struct{ testing.TB }{t}, func(rt *rapid.T) {
			c := TurnsConfig{AtOnce: rapid.IntRange(1, 4).Draw(rt, "atOnce"), PerKey: rapid.IntRange(0, 4).Draw(rt, "perKey")}
			c.Queue = rapid.IntRange(0, 12).Draw(rt, "queue")
			c.QueuePerKey = rapid.IntRange(0, c.Queue).Draw(rt, "queuePerKey")
			w := newWorld(rt, c)
			defer w.dismiss() // a run that ends early must not leave callers waiting in the bubble
			rt.Repeat(map[string]func(*rapid.T){
				"arrive":  func(rt *rapid.T) { w.arrive(rt, rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "key")) },
				"release": w.releaseOne,
				"leave":   w.leaveOne,
				"":        w.check,
			})
			w.end(rt)
		})
	})
}

// world is what the property test knows of the callers, told only by Acquire's answers.
type world struct {
	config TurnsConfig
	perKey int
	turns  *Turns
	events chan event
	held   []*caller
	queue  []*caller                 // in the order of arrival
	passed map[string]map[string]int // passed[k][o]: turns that went to o while k could have had them
}

type caller struct {
	key     string
	cancel  context.CancelFunc
	release func()
}

type event struct {
	caller  *caller
	release func()
	err     error
}

func newWorld(rt *rapid.T, c TurnsConfig) *world {
	turns, err := NewTurns(c)
	if err != nil {
		rt.Fatal(err)
	}
	w := &world{config: c, perKey: c.PerKey, turns: turns, events: make(chan event, 100), passed: map[string]map[string]int{}}
	if w.perKey == 0 {
		w.perKey = c.AtOnce
	}
	return w
}

func (w *world) heldBy(key string) (n int) {
	for _, c := range w.held {
		if c.key == key {
			n++
		}
	}
	return n
}

func (w *world) waitingUnder(key string) (n int) {
	for _, c := range w.queue {
		if c.key == key {
			n++
		}
	}
	return n
}

func (w *world) arrive(rt *rapid.T, key string) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &caller{key: key, cancel: cancel}
	atOnce := len(w.held) < w.config.AtOnce && w.heldBy(key) < w.perKey
	full := w.waitingUnder(key) >= w.config.QueuePerKey || len(w.queue) >= w.config.Queue
	go func() {
		release, err := w.turns.Acquire(ctx, key)
		w.events <- event{c, release, err}
	}()
	synctest.Wait()
	switch e, ok := w.event(); {
	case atOnce:
		if !ok || e.err != nil {
			rt.Fatalf("a turn was free for %s, and Acquire answered %v (%t)", key, e.err, ok)
		}
		c.release = e.release
		w.held = append(w.held, c)
	case full:
		if !ok || !errors.Is(e.err, ErrOverloaded) {
			rt.Fatalf("the queue was full for %s, and Acquire answered %v (%t)", key, e.err, ok)
		}
		cancel()
	default:
		if ok {
			rt.Fatalf("%s should wait, and Acquire answered %v", key, e.err)
		}
		w.queue = append(w.queue, c)
	}
}

func (w *world) event() (event, bool) {
	select {
	case e := <-w.events:
		return e, true
	default:
		return event{}, false
	}
}

func (w *world) releaseOne(rt *rapid.T) {
	if len(w.held) == 0 {
		rt.Skip("nobody holds a turn")
	}
	i := rapid.IntRange(0, len(w.held)-1).Draw(rt, "holder")
	c := w.held[i]
	w.held = append(w.held[:i:i], w.held[i+1:]...)
	c.release()
	c.cancel()
	synctest.Wait()
	e, ok := w.event()
	if !ok {
		return // check says whether somebody should have been served
	}
	w.served(rt, e)
	if _, more := w.event(); more {
		rt.Fatal("one turn came free and two callers were answered")
	}
}

// served holds the order: within the key, and between keys.
func (w *world) served(rt *rapid.T, e event) {
	if e.err != nil {
		rt.Fatalf("a waiting caller of %s was answered %v", e.caller.key, e.err)
	}
	for i, c := range w.queue {
		if c.key != e.caller.key {
			continue
		}
		if c != e.caller {
			rt.Fatalf("a caller of %s was served before one that came earlier", c.key)
		}
		w.queue = append(w.queue[:i:i], w.queue[i+1:]...)
		break
	}
	delete(w.passed, e.caller.key)
	for _, key := range []string{"a", "b", "c", "d"} {
		if key == e.caller.key || w.waitingUnder(key) == 0 || w.heldBy(key) >= w.perKey {
			continue
		}
		if w.passed[key] == nil {
			w.passed[key] = map[string]int{}
		}
		if w.passed[key][e.caller.key]++; w.passed[key][e.caller.key] > 1 {
			rt.Fatalf("%s was served twice while %s waited", e.caller.key, key)
		}
	}
	e.caller.release = e.release
	w.held = append(w.held, e.caller)
}

func (w *world) leaveOne(rt *rapid.T) {
	if len(w.queue) == 0 {
		rt.Skip("nobody waits")
	}
	i := rapid.IntRange(0, len(w.queue)-1).Draw(rt, "leaver")
	c := w.queue[i]
	w.queue = append(w.queue[:i:i], w.queue[i+1:]...)
	c.cancel()
	synctest.Wait()
	if e, ok := w.event(); !ok || !errors.Is(e.err, context.Canceled) || e.caller != c {
		rt.Fatalf("a caller of %s left and was answered %v (%t)", c.key, e.err, ok)
	}
	if w.waitingUnder(c.key) == 0 {
		delete(w.passed, c.key) // it lost its place with its last caller
	}
}

// dismiss sends everybody home.
func (w *world) dismiss() {
	for _, c := range append(w.queue, w.held...) {
		c.cancel()
	}
	synctest.Wait()
}

func (w *world) check(rt *rapid.T) {
	if len(w.held) > w.config.AtOnce {
		rt.Fatalf("%d hold a turn, %d may", len(w.held), w.config.AtOnce)
	}
	for _, key := range []string{"a", "b", "c", "d"} {
		if n := w.heldBy(key); n > w.perKey {
			rt.Fatalf("%s holds %d turns and may hold %d", key, n, w.perKey)
		}
		if len(w.held) < w.config.AtOnce && w.waitingUnder(key) > 0 && w.heldBy(key) < w.perKey {
			rt.Fatalf("a turn lies idle while %s waits", key)
		}
	}
}

func (w *world) end(rt *rapid.T) {
	for len(w.queue) > 0 {
		w.leaveOne(rt)
	}
	for len(w.held) > 0 {
		w.releaseOne(rt)
	}
	assertForgotten(rt, w.turns)
}

// TestTurnsUnderLoad lets the race detector watch callers that come, wait, work and leave all at once.
func TestTurnsUnderLoad(t *testing.T) {
	turns := newTurns(t, TurnsConfig{AtOnce: 3, PerKey: 2, QueuePerKey: 20, Queue: 60})
	var holding, most, granted atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for n := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+n)%7 == 0 {
					go cancel()
				}
				release, err := turns.Acquire(ctx, fmt.Sprint(i%5))
				if err == nil {
					granted.Add(1)
					now := holding.Add(1)
					for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
					}
					holding.Add(-1)
					release()
				} else if !errors.Is(err, ErrOverloaded) && !errors.Is(err, context.Canceled) {
					t.Errorf("unknown error %v", err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 {
		t.Errorf("%d held a turn at once, 3 may", most.Load())
	}
	if granted.Load() == 0 {
		t.Error("nobody was served")
	}
	assertForgotten(t, turns)
}

func BenchmarkTurns(b *testing.B) {
	turns, err := NewTurns(TurnsConfig{QueuePerKey: 1000, Queue: 1000})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			release, err := turns.Acquire(ctx, "acme")
			if err != nil {
				b.Error(err)
				return
			}
			release()
		}
	})
}

func newTurns(t *testing.T, c TurnsConfig) *Turns {
	t.Helper()
	turns, err := NewTurns(c)
	if err != nil {
		t.Fatal(err)
	}
	return turns
}

// assertForgotten holds that nothing is left once nobody holds a turn or waits.
func assertForgotten(t interface {
	Helper()
	Errorf(string, ...any)
}, turns *Turns,
) {
	t.Helper()
	turns.mu.Lock()
	defer turns.mu.Unlock()
	if len(turns.keys) != 0 || turns.queued != 0 || turns.ring.len != 0 {
		t.Errorf("left behind: %d keys, %d waiting, %d in the ring", len(turns.keys), turns.queued, turns.ring.len)
	}
}
