package limits

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logfence/logfence/internal/tenant"
)

func newParseSlots(t *testing.T, atOnce int, maxWait time.Duration) *ParseSlots {
	t.Helper()
	p, err := NewParseSlots(FairSemaphoreConfig{AtOnce: atOnce, QueuePerKey: 4, Queue: 64}, maxWait)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func mustAcquire(t *testing.T, p *ParseSlots, tenants ...tenant.Name) func() {
	t.Helper()
	release, err := p.Acquire(t.Context(), tenants)
	if err != nil {
		t.Fatalf("Acquire(%v): %v", tenants, err)
	}
	return release
}

// TestParseSlotsLeaveOneToOthers guarantees that one tenant never holds all slots where there are several,
// also with a token of several tenants, and that waiting for one ends.
func TestParseSlotsLeaveOneToOthers(t *testing.T) {
	t.Parallel()
	for _, atOnce := range []int{2, 3, 8} {
		synctest.Test(t, func(t *testing.T) {
			p := newParseSlots(t, atOnce, 5*time.Second)
			for i := range atOnce - 1 {
				if i%2 == 0 {
					defer mustAcquire(t, p, "alpha")()
				} else {
					defer mustAcquire(t, p, "alpha", "gamma")()
				}
			}
			began := time.Now()
			if _, err := p.Acquire(t.Context(), []tenant.Name{"alpha"}); !errors.Is(err, ErrOverloaded) {
				t.Errorf("alpha's slot beyond its own: %v, want ErrOverloaded", err)
			}
			if waited := time.Since(began); waited != 5*time.Second {
				t.Errorf("waited %s, want 5s", waited)
			}
			began = time.Now()
			mustAcquire(t, p, "beta")()
			if waited := time.Since(began); waited != 0 {
				t.Errorf("beta waited %s while alpha held what it may", waited)
			}
		})
	}
}

// TestParseTimeIsCharged guarantees that a tenant whose texts took longer than its share waits, that the
// others do not, and that it is served again once the time is over.
func TestParseTimeIsCharged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParseSlots(t, 2, 5*time.Second)
		release := mustAcquire(t, p, "alpha")
		time.Sleep(parseFree + parseBurst + 200*time.Millisecond) // at a tenth of a second a second
		release()
		release()
		began := time.Now()
		mustAcquire(t, p, "beta")()
		if waited := time.Since(began); waited != 0 {
			t.Errorf("beta waited %s for what alpha used", waited)
		}
		mustAcquire(t, p, "alpha")()
		if waited := time.Since(began); waited < 1900*time.Millisecond || waited > 2100*time.Millisecond {
			t.Errorf("alpha waited %s, want 2s", waited)
		}
		mustAcquire(t, p, "alpha")() // and not again
		if waited := time.Since(began); waited > 2100*time.Millisecond {
			t.Errorf("alpha waited again, %s in all", waited)
		}
	})
}

// TestCheapTextsAreNotCharged guarantees that texts which take as long as nearly all do never make their tenant
// wait, however many there are.
func TestCheapTextsAreNotCharged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParseSlots(t, 2, 5*time.Second)
		began := time.Now()
		for range 1000 {
			release := mustAcquire(t, p, "alpha")
			time.Sleep(parseFree)
			release()
		}
		if waited := time.Since(began) - 1000*parseFree; waited != 0 {
			t.Errorf("waited %s", waited)
		}
	})
}

// TestParseDebtIsBounded guarantees that a tenant far beyond its share is refused after the longest wait, and
// that no more of its requests wait than may.
func TestParseDebtIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newParseSlots(t, 2, 5*time.Second)
		release := mustAcquire(t, p, "alpha")
		time.Sleep(time.Minute)
		release()
		began := time.Now()
		refused := make(chan error)
		for range 4 {
			go func() {
				_, err := p.Acquire(t.Context(), []tenant.Name{"alpha"})
				refused <- err
			}()
		}
		synctest.Wait()
		if _, err := p.Acquire(t.Context(), []tenant.Name{"alpha"}); !errors.Is(err, ErrKeyOverloaded) || time.Since(began) != 0 {
			t.Errorf("a fifth: %v after %s, want ErrKeyOverloaded at once", err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.Acquire(ctx, []tenant.Name{"beta"}); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that left: %v, want its context's error", err)
		}
		for range 4 {
			if err := <-refused; !errors.Is(err, ErrKeyOverloaded) {
				t.Errorf("one that waited: %v, want ErrKeyOverloaded", err)
			}
		}
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("waited %s, want 5s", waited)
		}
	})
}
