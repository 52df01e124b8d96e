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

// TestFairSemaphoreIsFair guarantees that a tenant's flood delays another tenant by one slot, not by the
// flood.
func TestFairSemaphoreIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		semaphore := newFairSemaphore(t, FairSemaphoreConfig{AtOnce: 1, QueuePerKey: 10, Queue: 100})
		release, err := semaphore.Acquire(t.Context(), "flood")
		if err != nil {
			t.Fatal(err)
		}
		var order []string
		for _, key := range []string{"flood", "flood", "flood", "acme", "beta", "acme"} {
			go func() {
				release, err := semaphore.Acquire(t.Context(), key)
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, key) // one holds the slot at a time, so this is no race
				release()
			}()
			synctest.Wait()
		}
		release()
		synctest.Wait()
		// The flood holds the slot when all arrive, so it comes last of the three, and then one by one.
		want := "[acme beta flood acme flood flood]"
		if got := fmt.Sprint(order); got != want {
			t.Errorf("slots were given to %s, want %s", got, want)
		}
		assertForgotten(t, semaphore)
	})
}

// TestFairSemaphoreRefusesBeyondItsQueue guarantees that waiting is bounded, for one key and in all.
func TestFairSemaphoreRefusesBeyondItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		semaphore := newFairSemaphore(t, FairSemaphoreConfig{AtOnce: 1, QueuePerKey: 1, Queue: 2})
		ctx, cancel := context.WithCancel(t.Context())
		release, err := semaphore.Acquire(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		var left atomic.Int32
		wait := func(key string) {
			go func() {
				if _, err := semaphore.Acquire(ctx, key); errors.Is(err, context.Canceled) {
					left.Add(1)
				}
			}()
			synctest.Wait()
		}
		wait("a")
		if _, err := semaphore.Acquire(ctx, "a"); !errors.Is(err, ErrOverloaded) {
			t.Errorf("a second waiter of one key: %v, want ErrOverloaded", err)
		}
		wait("b")
		if _, err := semaphore.Acquire(ctx, "c"); !errors.Is(err, ErrOverloaded) {
			t.Errorf("a third waiter in all: %v, want ErrOverloaded", err)
		}
		cancel()
		synctest.Wait()
		if left.Load() != 2 {
			t.Errorf("%d callers left with the context's error, want 2", left.Load())
		}
		release()
		assertForgotten(t, semaphore)
	})
}

// TestAcquireAfterTheCallerLeft guarantees that a caller that is gone takes no slot, though one is free.
func TestAcquireAfterTheCallerLeft(t *testing.T) {
	semaphore := newFairSemaphore(t, FairSemaphoreConfig{AtOnce: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := semaphore.Acquire(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	assertForgotten(t, semaphore)
}

// TestReleaseTwice guarantees that a slot is given back once, however often release is called.
func TestReleaseTwice(t *testing.T) {
	semaphore := newFairSemaphore(t, FairSemaphoreConfig{AtOnce: 1})
	release, err := semaphore.Acquire(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	release()
	release()
	if _, err := semaphore.Acquire(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := semaphore.Acquire(t.Context(), "a"); !errors.Is(err, ErrOverloaded) {
		t.Fatalf("a second slot was given where one may be held: %v", err)
	}
}

// TestLeaveWithTheSlot guarantees that the slot of a caller that left in the instant it was given is
// not lost: it goes to the next.
func TestLeaveWithTheSlot(t *testing.T) {
	semaphore := newFairSemaphore(t, FairSemaphoreConfig{AtOnce: 1, QueuePerKey: 2, Queue: 2})
	first, _, err := semaphore.enqueue([]SlotRequest{{Key: "a", PerKey: 9, QueuePerKey: 9}})
	if err != nil {
		t.Fatal(err)
	}
	second, leaver, err := semaphore.enqueue([]SlotRequest{{Key: "b", PerKey: 9, QueuePerKey: 9}})
	if err != nil {
		t.Fatal(err)
	}
	_, next, err := semaphore.enqueue([]SlotRequest{{Key: "c", PerKey: 9, QueuePerKey: 9}})
	if err != nil {
		t.Fatal(err)
	}
	semaphore.giveBack(first)
	semaphore.leave(second, leaver)
	select {
	case <-next.value.granted:
	default:
		t.Fatal("the slot was lost")
	}
}

// TestFairSemaphoreConfigValidate guarantees that every mistake is named, and a key cannot fill the queue.
func TestFairSemaphoreConfigValidate(t *testing.T) {
	_, err := NewFairSemaphore(FairSemaphoreConfig{AtOnce: -1, PerKey: -2, QueuePerKey: 3, Queue: 2})
	want := "fair semaphore: AtOnce: -1 is negative; write 0 or more\nPerKey: -2 is negative; write 0 or more\n" +
		"QueuePerKey: 3 is more than may wait in all; write at most 2"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestFairSemaphoreProperties drives random callers through random bounds and holds, after each step:
// no bound is exceeded, no slot lies idle while somebody could have it, a key's callers are served in
// order, no key is served twice while another one waits that could have been, and only a full queue
// refuses.
func TestFairSemaphoreProperties(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The wrapper hides Deadline, which panics in a bubble.
		rapid.Check(struct{ testing.TB }{t}, func(rt *rapid.T) {
			c := FairSemaphoreConfig{AtOnce: rapid.IntRange(1, 4).Draw(rt, "atOnce"), PerKey: rapid.IntRange(0, 4).Draw(rt, "perKey")}
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

// world is what the property test knows of the callers, derived only from what Acquire returns.
type world struct {
	config    FairSemaphoreConfig
	perKey    int
	semaphore *FairSemaphore
	events    chan event
	held      []*caller
	queue     []*caller                 // in the order of arrival
	passed    map[string]map[string]int // passed[k][o]: slots that went to o while k could have had them
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

func newWorld(rt *rapid.T, c FairSemaphoreConfig) *world {
	semaphore, err := NewFairSemaphore(c)
	if err != nil {
		rt.Fatal(err)
	}
	w := &world{config: c, perKey: c.PerKey, semaphore: semaphore, events: make(chan event, 100), passed: map[string]map[string]int{}}
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
		release, err := w.semaphore.Acquire(ctx, key)
		w.events <- event{c, release, err}
	}()
	synctest.Wait()
	switch e, ok := w.event(); {
	case atOnce:
		if !ok || e.err != nil {
			rt.Fatalf("a slot was free for %s, and Acquire returned %v (%t)", key, e.err, ok)
		}
		c.release = e.release
		w.held = append(w.held, c)
	case full:
		if !ok || !errors.Is(e.err, ErrOverloaded) {
			rt.Fatalf("the queue was full for %s, and Acquire returned %v (%t)", key, e.err, ok)
		}
		cancel()
	default:
		if ok {
			rt.Fatalf("%s should wait, and Acquire returned %v", key, e.err)
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
		rt.Skip("nobody holds a slot")
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
		rt.Fatal("one slot came free and two callers got it")
	}
}

// served holds the order: within the key, and between keys.
func (w *world) served(rt *rapid.T, e event) {
	if e.err != nil {
		rt.Fatalf("a waiting caller of %s got %v", e.caller.key, e.err)
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
		rt.Fatalf("a caller of %s left and got %v (%t)", c.key, e.err, ok)
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
		rt.Fatalf("%d hold a slot, %d may", len(w.held), w.config.AtOnce)
	}
	for _, key := range []string{"a", "b", "c", "d"} {
		if n := w.heldBy(key); n > w.perKey {
			rt.Fatalf("%s holds %d slots and may hold %d", key, n, w.perKey)
		}
		if len(w.held) < w.config.AtOnce && w.waitingUnder(key) > 0 && w.heldBy(key) < w.perKey {
			rt.Fatalf("a slot lies idle while %s waits", key)
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
	assertForgotten(rt, w.semaphore)
}

// TestFairSemaphoreUnderLoad lets the race detector watch callers that come, wait, work and leave all at once.
func TestFairSemaphoreUnderLoad(t *testing.T) {
	semaphore := newFairSemaphore(t, FairSemaphoreConfig{AtOnce: 3, PerKey: 2, QueuePerKey: 20, Queue: 60})
	var holding, most, granted atomic.Int64
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for n := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+n)%7 == 0 {
					go cancel()
				}
				release, err := semaphore.Acquire(ctx, fmt.Sprint(i%5))
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
		t.Errorf("%d held a slot at once, 3 may", most.Load())
	}
	if granted.Load() == 0 {
		t.Error("nobody was served")
	}
	assertForgotten(t, semaphore)
}

func BenchmarkFairSemaphore(b *testing.B) {
	semaphore, err := NewFairSemaphore(FairSemaphoreConfig{QueuePerKey: 1000, Queue: 1000})
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			release, err := semaphore.Acquire(ctx, "acme")
			if err != nil {
				b.Error(err)
				return
			}
			release()
		}
	})
}

func newFairSemaphore(t *testing.T, c FairSemaphoreConfig) *FairSemaphore {
	t.Helper()
	semaphore, err := NewFairSemaphore(c)
	if err != nil {
		t.Fatal(err)
	}
	return semaphore
}

// assertForgotten holds that nothing is left once nobody holds a slot or waits.
func assertForgotten(t interface {
	Helper()
	Errorf(string, ...any)
}, semaphore *FairSemaphore,
) {
	t.Helper()
	semaphore.mu.Lock()
	defer semaphore.mu.Unlock()
	if len(semaphore.queues) != 0 || semaphore.queued != 0 || semaphore.runQueue.len != 0 {
		t.Errorf("left behind: %d keys, %d waiting, %d in the run queue", len(semaphore.queues), semaphore.queued, semaphore.runQueue.len)
	}
}
