package limits

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logfence/logfence/internal/tenant"
)

// admit is one request, from its admission to where it keeps busy what it will.
func admit(ctx context.Context, l *Limiter, class Class, tenants ...string) (*Ticket, error) {
	p, err := l.Admit(ctx, l.Of(tenant.Names(tenants)), class)
	if err != nil {
		return p, err
	}
	return p, p.Acquire(ctx)
}

// refused holds that an error is a refusal for a limit, with a time to come back.
func refused(t *testing.T, err error, limit Limit) {
	t.Helper()
	var e *ExceededError
	if !errors.As(err, &e) || e.Limit != limit || e.RetryAfter <= 0 {
		t.Errorf("got %v, want a refusal for %s that says when to come back", err, limit)
	}
}

// TestRate guarantees that a tenant sends Burst requests at once and Rate a second after that, whatever the
// others send, and is told when to come back: not sooner than it is of use.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := roomy()
		c.Rate, c.Burst = 10, 3
		l := newLimiter(t, c)
		for i := range 3 {
			p, err := admit(t.Context(), l, ClassRequest, "acme")
			if err != nil || p.Quota.Remaining != 2-i {
				t.Fatalf("request %d: %v, and %d are left", i, err, p.Quota.Remaining)
			}
		}
		p, err := admit(t.Context(), l, ClassRequest, "acme")
		refused(t, err, LimitRate)
		want := Quota{Remaining: 0, Reset: 100 * time.Millisecond, Burst: 3, Window: 300 * time.Millisecond}
		if p.Quota != want {
			t.Errorf("quota %+v, want %+v", p.Quota, want)
		}
		if _, err := admit(t.Context(), l, ClassRequest, "globex"); err != nil {
			t.Errorf("another tenant: %v", err)
		}
		time.Sleep(p.Quota.Reset) // the bubble's clock
		if _, err := admit(t.Context(), l, ClassRequest, "acme"); err != nil {
			t.Errorf("after the time told: %v", err)
		}
		_, err = admit(t.Context(), l, ClassRequest, "acme")
		refused(t, err, LimitRate)
	})
}

// TestRateSweep guarantees that the buckets of tenants that have been idle are forgotten, so that memory does
// not grow with every tenant ever seen, and that no bucket is forgotten before it is full: its tenant would
// have a second burst.
func TestRateSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := roomy()
		c.Rate, c.Burst = 1, 2
		l := newLimiter(t, c)
		request := func(tenant string) error {
			_, err := admit(t.Context(), l, ClassRequest, tenant)
			return err
		}
		const rounds, newcomers = 8, 2 * leastSwept
		for round := range rounds {
			time.Sleep(10 * time.Second) // the bubble's clock: every bucket is full
			for range c.Burst {
				if err := request("acme"); err != nil {
					t.Fatal(err)
				}
			}
			for i := range newcomers {
				if err := request(fmt.Sprintf("tenant-%d-%d", round, i)); err != nil {
					t.Fatal(err)
				}
			}
			refused(t, request("acme"), LimitRate)
		}
		// Those of one round are in use, and as many again may be kept until the next sweep.
		if n := len(l.rates.of); n > 2*(newcomers+1) {
			t.Errorf("%d buckets are kept after %d tenants, of which %d are in use", n, rounds*newcomers+1, newcomers+1)
		}
	})
}

// TestUnionDrawsOnEach guarantees that a request of several tenants counts for each of them, for every class,
// and for none where one of them has no room.
func TestUnionDrawsOnEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := roomy()
		c.Burst, c.Rate = 2, 1
		l := newLimiter(t, c)
		for range 2 {
			if _, err := admit(t.Context(), l, ClassRequest, "a"); err != nil {
				t.Fatal(err)
			}
		}
		for range 5 { // more than b could bear
			_, err := admit(t.Context(), l, ClassRequest, "a", "b")
			refused(t, err, LimitRate)
		}
		for range 2 {
			if _, err := admit(t.Context(), l, ClassRequest, "b"); err != nil {
				t.Errorf("b has paid for what was refused: %v", err)
			}
		}
	})
	for _, class := range []Class{ClassQuery, ClassExport, ClassTail} {
		c := roomy()
		c.Queries, c.Queue, c.Exports, c.MaxTails = 1, 0, 1, 1
		l := newLimiter(t, c)
		union, err := admit(t.Context(), l, class, "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		limit := map[Class]Limit{ClassQuery: LimitQueries, ClassExport: LimitExports, ClassTail: LimitTails}[class]
		for _, tenants := range [][]string{{"a"}, {"b"}, {"b", "c"}, {"a", "b"}} {
			_, err := admit(t.Context(), l, class, tenants...)
			refused(t, err, limit)
		}
		c1, err := admit(t.Context(), l, class, "c")
		if err != nil {
			t.Errorf("c has paid for what was refused: %v", err)
		}
		union.Release()
		union.Release() // again does nothing
		for _, tenant := range []string{"a", "b"} {
			if _, err := admit(t.Context(), l, class, tenant); err != nil {
				t.Errorf("%s after the union left: %v", tenant, err)
			}
		}
		c1.Release()
	}
}

// TestQueriesWait guarantees that a query beyond its tenant's bound waits for a slot, that no more wait
// than may, and that waiting ends after a while: with the tenant's own limit where that is in the way, and
// as overload where the others are.
func TestQueriesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := roomy()
		c.Queries, c.Queue, c.AtOnce, c.Wait = 1, 1, 2, time.Second
		l := newLimiter(t, c)
		first, err := admit(t.Context(), l, ClassQuery, "acme")
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan error, 1)
		go func() {
			p, err := admit(t.Context(), l, ClassQuery, "acme")
			p.Release()
			waited <- err
		}()
		synctest.Wait()
		_, err = admit(t.Context(), l, ClassQuery, "acme") // the queue is full
		refused(t, err, LimitQueries)
		first.Release()
		if err := <-waited; err != nil {
			t.Errorf("the query that waited failed: %v", err)
		}

		a, _ := admit(t.Context(), l, ClassQuery, "acme")
		began := time.Now()
		_, err = admit(t.Context(), l, ClassQuery, "acme")
		refused(t, err, LimitQueries)
		if waited := time.Since(began); waited != c.Wait {
			t.Errorf("waited %s, want %s", waited, c.Wait)
		}
		b, _ := admit(t.Context(), l, ClassQuery, "beta")
		var own *ExceededError
		if _, err := admit(t.Context(), l, ClassQuery, "gamma"); !errors.Is(err, ErrOverloaded) || errors.As(err, &own) {
			t.Errorf("behind the others' queries: %v, want %v", err, ErrOverloaded)
		}
		a.Release()
		b.Release()
		assertForgotten(t, l.queries)
	})
}

// TestUnionsDoNotDeadlock guarantees that callers with tenants in common wait for each other in no circle,
// and that a slot is held under all of its keys or none.
func TestUnionsDoNotDeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := roomy()
		c.Queries, c.AtOnce, c.Wait, c.Rate, c.Burst = 1, 2, time.Hour, 100_000, 100_000
		l := newLimiter(t, c)
		sets := [][]string{{"a", "b"}, {"b", "c"}, {"c", "a"}, {"a"}, {"b"}, {"c"}, {"c", "b", "a"}}
		held := map[string]bool{}
		done := make(chan error)
		for i := range 70 {
			go func() {
				tenants := sets[i%len(sets)]
				p, err := admit(t.Context(), l, ClassQuery, tenants...)
				if err == nil {
					l.queries.mu.Lock() // for held alone
					for _, tenant := range tenants {
						if held[tenant] {
							err = fmt.Errorf("two hold %s", tenant)
						}
						held[tenant] = true
					}
					l.queries.mu.Unlock()
					time.Sleep(time.Millisecond) // the bubble's clock: others get to run
					l.queries.mu.Lock()
					for _, tenant := range tenants {
						held[tenant] = false
					}
					l.queries.mu.Unlock()
				}
				p.Release()
				done <- err
			}()
		}
		for range 70 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		assertForgotten(t, l.queries)
	})
}

// TestRaisedLimitsHoldAtOnce guarantees that who waits under a limit that is raised does not wait for the
// old one, once a request comes that is held to the new.
func TestRaisedLimitsHoldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := roomy()
		c.Queries, c.Wait = 1, time.Hour
		l := newLimiter(t, c)
		first, err := admit(t.Context(), l, ClassQuery, "acme")
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan error, 1)
		go func() {
			_, err := admit(t.Context(), l, ClassQuery, "acme")
			waited <- err
		}()
		synctest.Wait()
		own := c.Limits
		own.Queries = 3
		l.Replace(map[tenant.Name]OwnLimits{"acme": {Limits: own}})
		if _, err := admit(t.Context(), l, ClassQuery, "acme"); err != nil {
			t.Fatal(err)
		}
		if err := <-waited; err != nil {
			t.Error(err)
		}
		first.Release()
	})
}

// TestFloodLeavesOthersAlone guarantees fairness without a clock: however much one tenant sends, each query
// of another is the next or the one after it to be served.
func TestFloodLeavesOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := roomy()
		// Loki serves two at a time, and the flood alone would keep it busy.
		c.AtOnce, c.Queries, c.Queue, c.Wait, c.Rate, c.Burst = 2, 2, 50, time.Hour, 10_000, 10_000
		l := newLimiter(t, c)
		var served []string
		send := func(tenant string) {
			go func() {
				p, err := admit(t.Context(), l, ClassQuery, tenant)
				if err != nil {
					return
				}
				time.Sleep(time.Millisecond)
				l.queries.mu.Lock()
				served = append(served, tenant)
				l.queries.mu.Unlock()
				p.Release()
			}()
			synctest.Wait()
		}
		for range 100 {
			send("flood")
		}
		others := []string{"a", "b", "c"}
		for _, tenant := range others {
			send(tenant)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for i, tenant := range others {
			at := -1
			for n, name := range served {
				if name == tenant {
					at = n
				}
			}
			// Two of the flood's are in flight, and one of its own comes between any two of others.
			if at < 0 || at > 2+2*(i+1) {
				t.Errorf("%s was served as number %d of %v", tenant, at, served[:min(len(served), 12)])
			}
		}
		// 2 in flight and 50 that wait: the rest of the flood was refused, and not kept.
		if len(served) != 2+50+len(others) {
			t.Errorf("%d were served", len(served))
		}
	})
}

// TestTenantsAreForgotten guarantees that memory does not grow with the tenants that were ever seen.
func TestTenantsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, roomy())
		for i := range 20 * leastSwept {
			p, err := admit(t.Context(), l, ClassTail, fmt.Sprint("tenant-", i))
			if err != nil {
				t.Fatal(err)
			}
			p.Release()
			time.Sleep(10 * time.Millisecond)
		}
		if n := len(l.rates.of); n > 2*leastSwept {
			t.Errorf("%d tenants are remembered", n)
		}
		if n := len(l.tails.held); n > 0 {
			t.Errorf("%d tenants hold a tail", n)
		}
	})
}

// BenchmarkRequest is what limits cost a request, from its tenants to its end.
func BenchmarkRequest(b *testing.B) {
	c := roomy()
	c.Rate, c.Burst = 1_000_000_000, 1_000_000_000
	for _, tenants := range [][]string{{"acme"}, {"acme", "globex", "initech"}} {
		b.Run(fmt.Sprint(len(tenants)), func(b *testing.B) {
			l := newLimiter(b, c)
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				p, err := admit(ctx, l, ClassQuery, tenants...)
				if err != nil {
					b.Fatal(err)
				}
				p.Release()
			}
		})
	}
}
