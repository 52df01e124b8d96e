package limits

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/logfence/logfence/internal/tenant"
)

const testWait = 5 * time.Second

func newMemory(t *testing.T) *Memory {
	t.Helper()
	m, err := NewMemory(MinMemory, testWait)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func owner(tenants ...string) MemoryOwner {
	return MemoryOwner{Tenants: tenant.Names(tenants), Class: "test"}
}

// reserve is for what must be given at once.
func reserve(t *testing.T, m *Memory, bytes int64, tenants ...string) *Reservation {
	t.Helper()
	r, err := m.Reserve(t.Context(), MemoryPages, owner(tenants...), bytes)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// assertEmpty holds that nothing is left once nobody holds memory or waits.
func assertEmpty(t interface {
	Helper()
	Errorf(format string, args ...any)
}, m *Memory,
) {
	t.Helper()
	for use := range m.pools {
		p := &m.pools[use]
		if p.reserved != 0 || p.used != 0 || p.waiting != 0 || len(p.tenants) != 0 || len(p.queues) != 0 || p.order.len != 0 {
			t.Errorf("%s: %d reserved, %d used, %d waiting, %d tenants, %d queues", MemoryUse(use), p.reserved, p.used, p.waiting, len(p.tenants), len(p.queues))
		}
	}
}

// TestMemoryFloor guarantees that a tenant's first page has room however much the others hold, and that only
// first pages have it.
func TestMemoryFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		refused := 0
		m.OnRefusal(func(use MemoryUse, class string) {
			if use == MemoryPages && class == "test" {
				refused++
			}
		})
		page := m.Size(MemoryPages) / 4 // the floor
		var held []*Reservation
		for range 3 {
			held = append(held, reserve(t, m, page, "flood"))
		}
		began := time.Now()
		if _, err := m.Reserve(t.Context(), MemoryPages, owner("flood"), 1); !errors.Is(err, ErrNoMemory) || time.Since(began) != testWait {
			t.Errorf("got %v after %s", err, time.Since(began))
		}
		first := reserve(t, m, page, "acme")
		if _, err := m.Reserve(t.Context(), MemoryPages, owner("beta"), page); !errors.Is(err, ErrOverloaded) {
			t.Errorf("more was given than there is: %v", err)
		}
		if got := m.Stats(MemoryPages); got.Reserved != got.Size || refused != 2 {
			t.Errorf("got %+v, %d refused", got, refused)
		}
		for _, r := range append(held, first) {
			r.Release()
		}
		assertEmpty(t, m)
	})
}

// TestMemoryIsFair guarantees that a tenant's flood delays another's second page by one page of the flood's, and
// that a large reservation is not overtaken for ever.
func TestMemoryIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		page := m.Size(MemoryPages) / 16 // of which the floor is four
		held := []*Reservation{reserve(t, m, page, "acme"), reserve(t, m, page, "beta")}
		for range 10 {
			held = append(held, reserve(t, m, page, "flood"))
		}
		given := make(chan string, 6)
		end := make(chan struct{})
		for _, w := range []struct {
			tenant string
			pages  int64
		}{{"flood", 1}, {"flood", 1}, {"flood", 1}, {"acme", 2}, {"beta", 1}, {"acme", 1}} {
			go func() {
				r, err := m.Reserve(t.Context(), MemoryPages, owner(w.tenant), w.pages*page)
				if err != nil {
					t.Error(err)
					return
				}
				given <- fmt.Sprint(w.tenant, w.pages)
				<-end
				r.Release()
			}()
			synctest.Wait()
		}
		for _, r := range held[2:9] { // a page at a time
			r.Release()
			synctest.Wait()
		}
		close(end)
		close(given)
		var order []string
		for g := range given {
			order = append(order, g)
		}
		if got, want := fmt.Sprint(order), "[flood1 acme2 beta1 flood1 acme1 flood1]"; got != want {
			t.Errorf("given to %s, want %s", got, want)
		}
		for _, r := range held {
			r.Release()
		}
		synctest.Wait()
		assertEmpty(t, m)
	})
}

// TestMemoryWaits guarantees that a request which waits gets what is given back, and leaves when its caller does.
func TestMemoryWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		held := reserve(t, m, m.Size(MemoryPages), "acme")
		leave := waitForMemory(t, m, MemoryPages, 3)
		leave()
		if got := m.Stats(MemoryPages); got.Waiting != 0 {
			t.Errorf("%d wait", got.Waiting)
		}
		time.AfterFunc(time.Second, held.Release)
		r := reserve(t, m, m.Size(MemoryPages), "beta")
		held.Release() // again: nothing
		if got := m.Stats(MemoryPages).Reserved; got != m.Size(MemoryPages) {
			t.Errorf("%d are reserved", got)
		}
		r.Release()
		assertEmpty(t, m)
	})
}

// TestMemoryWaiting guarantees that of each tenant only so many requests wait for memory: for bodies fewer than for other
// uses. The next one is refused at once, and another tenant's waits.
func TestMemoryWaiting(t *testing.T) {
	for use := range MemoryUses {
		synctest.Test(t, func(t *testing.T) {
			m := newMemory(t)
			held, err := m.Reserve(t.Context(), use, owner("acme"), m.Size(use))
			if err != nil {
				t.Fatal(err)
			}
			most := 512
			if use == MemoryBodies {
				most = 64
			}
			leave := waitForMemory(t, m, use, most)
			began := time.Now()
			if _, err := m.Reserve(t.Context(), use, owner("acme"), 1); !errors.Is(err, ErrNoMemory) || time.Since(began) != 0 {
				t.Errorf("%s: got %v after %s", use, err, time.Since(began))
			}
			short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, err := m.Reserve(short, use, owner("beta"), 1); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: another tenant got %v", use, err)
			}
			leave()
			held.Release()
		})
	}
}

// waitForMemory has so many requests of acme wait, until leave is called.
func waitForMemory(t *testing.T, m *Memory, use MemoryUse, n int) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var left sync.WaitGroup
	for range n {
		left.Go(func() {
			if _, err := m.Reserve(ctx, use, owner("acme"), 1); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
	synctest.Wait()
	if got := m.Stats(use).Waiting; got != n {
		t.Errorf("%d of %d wait", got, n)
	}
	return func() {
		cancel()
		left.Wait()
	}
}

// TestMemoryOfSeveralTenants guarantees that a reservation counts once in all, and for each of its tenants.
func TestMemoryOfSeveralTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		quarter := m.Size(MemoryPages) / 4
		both := reserve(t, m, 3*quarter, "acme", "beta")
		if got := m.Stats(MemoryPages).Reserved; got != 3*quarter {
			t.Errorf("%d are reserved", got)
		}
		for _, name := range []string{"acme", "beta"} {
			if _, err := m.Reserve(t.Context(), MemoryPages, owner(name), quarter); !errors.Is(err, ErrNoMemory) {
				t.Errorf("%s got of the floor: %v", name, err)
			}
		}
		reserve(t, m, quarter, "gamma").Release()
		both.Release()
		assertEmpty(t, m)
	})
}

// TestMemoryFillAndGrow guarantees that what turns out not to be needed is given back, and that a reservation
// grows only where nobody waits and never by the floor.
func TestMemoryFillAndGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(t)
		size := m.Size(MemoryPages)
		r := reserve(t, m, size, "acme")
		if got := m.Stats(MemoryPages).Used; got != 0 {
			t.Errorf("%d are used", got)
		}
		r.Fill(size / 4)
		if got := m.Stats(MemoryPages); got.Used != size/4 || got.Reserved != size/4 {
			t.Errorf("got %+v", got)
		}
		grows := 3 * (size - size/4) / 4 // of what is beside the floor
		if !r.TryGrow(grows-size/4) || r.TryGrow(1) {
			t.Error("it grows to three quarters of what is beside the floor, and no further")
		}
		go func() {
			r, err := m.Reserve(t.Context(), MemoryPages, owner("acme"), size/2)
			if err != nil {
				t.Error(err)
			}
			r.Release()
		}()
		synctest.Wait()
		r.Fill(size / 2)
		if r.TryGrow(1) {
			t.Error("it grows while another waits")
		}
		r.Release()
		r.Fill(1)
		if r.TryGrow(1) {
			t.Error("it grows after its end")
		}
		synctest.Wait()
		assertEmpty(t, m)
		var none *Reservation
		none.Release()
		none.Fill(1)
	})
}

// TestMemoryGrowsFairly guarantees that a tenant which has grown leaves room for another to grow, and that, when it gives
// back what is over its share, both have the same.
func TestMemoryGrowsFairly(t *testing.T) {
	m := newMemory(t)
	const piece = 4 << 10
	first, second := reserve(t, m, piece, "flood"), reserve(t, m, piece, "acme")
	grow := func(r *Reservation) (bytes int64) {
		for bytes = r.bytes; r.TryGrow(piece); bytes += piece {
		}
		return bytes
	}
	most := grow(first)
	if first.OverShare() || most < m.Size(MemoryPages)/2 {
		t.Errorf("one has grown to %d of %d", most, m.Size(MemoryPages))
	}
	if got := grow(second); got < m.Size(MemoryPages)/8 {
		t.Errorf("there was room for %d of %d", got, m.Size(MemoryPages))
	}
	for range 100 {
		for ; first.OverShare(); most -= piece {
			first.Fill(most - piece)
		}
		grow(second)
	}
	if a, b := grow(first), grow(second); a-b > 4*piece || b-a > 4*piece || a < m.Size(MemoryPages)/4 {
		t.Errorf("they have %d and %d of %d", a, b, m.Size(MemoryPages))
	}
	first.Release()
	second.Release()
	if first.OverShare() || (*Reservation)(nil).OverShare() {
		t.Error("what is released is over its share")
	}
	assertEmpty(t, m)
}

// TestMemoryNeverExceeds guarantees for every order of events that no more is reserved than there is, that each
// request is given memory or refused in time, and that nothing is left in the end.
func TestMemoryNeverExceeds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		synctest.Test(&testing.T{}, func(*testing.T) { mixMemory(t, rand.New(rand.NewPCG(seed, 0)), 200) })
	})
}

// mixMemory has requests of several tenants hold and wait, some of two tenants, some that leave.
func mixMemory(t interface {
	Helper()
	Errorf(format string, args ...any)
}, random *rand.Rand, requests int,
) {
	m, err := NewMemory(MinMemory, testWait)
	if err != nil {
		t.Errorf("%v", err)
		return
	}
	var all sync.WaitGroup
	for range requests {
		use := MemoryUse(random.IntN(int(MemoryUses)))
		tenants := owner(string(rune('a' + random.IntN(4))))
		if random.IntN(5) == 0 {
			tenants = owner("a", "c")
		}
		bytes := 1 + random.Int64N(m.Size(use))
		pause, hold, patience := time.Duration(random.IntN(3000))*time.Millisecond, time.Duration(random.IntN(2000))*time.Millisecond, time.Duration(random.IntN(9000))*time.Millisecond
		all.Go(func() {
			time.Sleep(pause)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			began := time.Now()
			r, err := m.Reserve(ctx, use, tenants, bytes)
			if waited := time.Since(began); waited > testWait {
				t.Errorf("waited %s", waited)
			}
			if err != nil {
				return
			}
			if s := m.Stats(use); s.Reserved > s.Size || s.Used > s.Reserved {
				t.Errorf("%+v", s)
			}
			time.Sleep(hold / 2)
			r.Fill(bytes / 2)
			time.Sleep(hold / 2)
			r.TryGrow(bytes / 4)
			r.Release()
		})
	}
	all.Wait()
	assertEmpty(t, m)
}

// TestOrderOfResources guarantees that requests which take everything there is, in the order of docs/architecture.md
// (a place by class, memory of a body, a parser slot that is given back, memory of pages, a slot at Loki),
// never wait for each other: each ends in the time that its waits and its work add up to. All budgets are so
// small that nearly every request waits for each of them. LOGFENCE_TEST_LOAD=memory has it go on for
// LOGFENCE_TEST_LOAD_TIME in real time, which is for the race detector.
func TestOrderOfResources(t *testing.T) {
	if os.Getenv("LOGFENCE_TEST_LOAD") != "memory" {
		for seed := range uint64(20) {
			synctest.Test(t, func(t *testing.T) { mixResources(t, rand.New(rand.NewPCG(seed, 1)), 300, time.Millisecond, 12) })
		}
		return
	}
	lasting, err := time.ParseDuration(os.Getenv("LOGFENCE_TEST_LOAD_TIME"))
	if err != nil {
		lasting = time.Minute
	}
	rounds := 0
	for began := time.Now(); time.Since(began) < lasting; rounds++ {
		mixResources(t, rand.New(rand.NewPCG(uint64(began.UnixNano()), uint64(rounds))), 300, 20*time.Microsecond, 6000) // of the machine's time: a busy one is late
	}
	t.Logf("%d rounds of 300 requests in %s", rounds, lasting)
}

// mixResources runs so many requests at the same time, each piece of whose work takes up to a hundred of the
// unit. All have ended after so many times what one may wait.
func mixResources(t *testing.T, random *rand.Rand, requests int, unit, most time.Duration) {
	t.Helper()
	wait := 500 * unit
	memory, err := NewMemory(MinMemory, wait)
	if err != nil {
		t.Fatal(err)
	}
	parsing := newFairSemaphore(t, FairSemaphoreConfig{AtOnce: 2, PerKey: 1, QueuePerKey: 500, Queue: 500})
	atLoki := newFairSemaphore(t, FairSemaphoreConfig{AtOnce: 3, QueuePerKey: 500, Queue: 500})
	began := time.Now()
	var all sync.WaitGroup
	for range requests {
		who := owner(string(rune('a' + random.IntN(3))))
		if random.IntN(6) == 0 {
			who = owner("a", "b")
		}
		body, tailed := random.IntN(2) == 0, random.IntN(4) == 0
		pages := random.IntN(4)
		size := 1 + random.Int64N(memory.Size(MemoryPages))
		work := func() time.Duration { return unit * time.Duration(random.IntN(100)) }
		times := []time.Duration{work(), work(), work(), work()}
		all.Go(func() {
			ctx := context.Background()
			var requests []SlotRequest
			for _, name := range who.Tenants {
				requests = append(requests, SlotRequest{Key: string(name), PerKey: 2, QueuePerKey: 500})
			}
			if body {
				r, err := memory.Reserve(ctx, MemoryBodies, who, 1+size%memory.Size(MemoryBodies))
				if err != nil {
					return
				}
				defer r.Release()
				time.Sleep(times[0])
				r.Fill(1)
			}
			release, err := parsing.AcquireAll(ctx, wait, requests)
			if err != nil {
				return
			}
			time.Sleep(times[1])
			release()
			if tailed {
				r, err := memory.Reserve(ctx, MemoryTails, who, 1+size%memory.Size(MemoryTails))
				if err != nil {
					return
				}
				defer r.Release()
			}
			for range pages {
				page, err := memory.Reserve(ctx, MemoryPages, who, size)
				if err != nil {
					return
				}
				release, err := atLoki.AcquireAll(ctx, wait, requests)
				if err == nil {
					time.Sleep(times[2])
					release()
					page.Fill(size / 3)
					time.Sleep(times[3])
				}
				page.Release()
				page.Release()
			}
		})
	}
	all.Wait()
	// A request waits nine times at most: for its body, its slots, its tail, and for three pages at Loki.
	if took := time.Since(began); took > most*wait {
		t.Errorf("took %s", took)
	}
	assertEmpty(t, memory)
	if held, waiting := atLoki.Load(); held != 0 || waiting != 0 {
		t.Errorf("%d slots held, %d wait", held, waiting)
	}
}

// TestMemoryBudget guarantees that a budget is at least the least, and that what is not configured follows the
// process's limit.
func TestMemoryBudget(t *testing.T) {
	if _, err := NewMemory(MinMemory-1, 0); err == nil {
		t.Error("a budget below the least is taken")
	}
	if got, err := (Config{Memory: 64 << 20}).memoryBudget(); got != 64<<20 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
}
