package loki

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// three is a pool of three URLs, each as well as its name is in up.
type three struct {
	*pool
	mu     sync.Mutex
	down   map[string]bool
	probed []time.Time
}

func newThree(t *testing.T) *three {
	t.Helper()
	three := &three{down: map[string]bool{}}
	var upstreams []*upstream
	for _, name := range []string{"a", "b", "c"} {
		upstreams = append(upstreams, &upstream{base: &url.URL{Scheme: "http", Host: name}})
	}
	three.pool = newPool(upstreams, three.respond, slog.New(slog.DiscardHandler))
	t.Cleanup(three.close)
	return three
}

func (s *three) respond(_ context.Context, e *upstream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probed = append(s.probed, time.Now())
	if s.down[e.base.Host] {
		return errors.New("connection refused")
	}
	return nil
}

func (s *three) set(name string, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down[name] = down
}

func (s *three) fail(names ...string) {
	for _, name := range names {
		s.set(name, true)
		for _, e := range s.upstreams {
			if e.base.Host == name {
				s.triggerHealthCheck(e)
			}
		}
	}
	<-time.After(maxProbeInterval)
	synctest.Wait()
}

func (s *three) picked(t *testing.T, tried *upstream) string {
	t.Helper()
	e, err := s.pick(tried)
	if err != nil {
		return "none"
	}
	return e.base.Host
}

// TestPick guarantees which URL is chosen: none that is down, the least busy, each in turn among equals,
// and not the one that has just failed where there is another.
func TestPick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newThree(t)
		defer s.close()
		seen := map[string]int{}
		for range 9 {
			seen[s.picked(t, nil)]++
		}
		if seen["a"] != 3 || seen["b"] != 3 || seen["c"] != 3 {
			t.Errorf("among equals: %v", seen)
		}
		s.upstreams[0].inFlight.Add(2)
		s.upstreams[1].inFlight.Add(1)
		for range 3 {
			if got := s.picked(t, nil); got != "c" {
				t.Errorf("c has nothing to do, and %s is chosen", got)
			}
			if got := s.picked(t, s.upstreams[2]); got != "b" {
				t.Errorf("c has just failed and b has less to do than a, and %s is chosen", got)
			}
		}
		s.fail("c")
		if got := s.picked(t, nil); got != "b" {
			t.Errorf("c is down, and %s is chosen", got)
		}
		s.fail("a")
		if got := s.picked(t, s.upstreams[1]); got != "b" {
			t.Errorf("b alone is left, and after its failure %s is chosen", got)
		}
	})
}

// TestDown guarantees that requests are refused at once while everything is down, with the time to the
// nextProbe probe, that the probes become rare, and that a good one is the end of it.
func TestDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newThree(t)
		defer s.close()
		s.fail("a", "b", "c")
		_, err := s.pick(nil)
		var e *Error
		if !errors.Is(err, ErrUnavailable) || !errors.As(err, &e) || e.RetryAfter < time.Second || e.RetryAfter > maxProbeInterval*11/10 {
			t.Fatalf("everything is down: %v, to be retried in %s", err, e.RetryAfter)
		}
		s.mu.Lock()
		before := len(s.probed)
		s.mu.Unlock()
		<-time.After(time.Minute)
		s.mu.Lock()
		if n := len(s.probed) - before; n < 3*10 || n > 3*15 {
			t.Errorf("%d probes of three URLs in a minute", n)
		}
		s.mu.Unlock()
		s.set("b", false)
		<-time.After(maxProbeInterval * 2)
		synctest.Wait()
		if got := s.picked(t, nil); got != "b" {
			t.Errorf("b is back, and %s is chosen", got)
		}
	})
}

// TestSuspicion guarantees that what requests bring about takes nothing down, however often, as long as
// Loki responds to the probe; and that they cannot cause many probes.
func TestSuspicion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newThree(t)
		defer s.close()
		for range 10_000 {
			s.triggerHealthCheck(s.upstreams[0])
			<-time.After(time.Millisecond)
		}
		synctest.Wait()
		if got := s.picked(t, s.upstreams[1]); got == "none" || s.upstreams[0].health == down {
			t.Error("suspicion alone has taken a URL down")
		}
		if n := s.upstreams[0].probes.Load(); n > 11 {
			t.Errorf("%d probes in ten seconds", n)
		}
	})
}

// TestOneBadProbe guarantees that one probe that fails is not enough.
func TestOneBadProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newThree(t)
		defer s.close()
		s.set("a", true)
		s.triggerHealthCheck(s.upstreams[0])
		<-time.After(minProbeInterval / 2)
		s.mu.Lock()
		probes := len(s.probed)
		s.mu.Unlock()
		if up := s.upstreams[0].health != down; !up || probes != 1 {
			t.Fatalf("after %d probes: up is %t", probes, up)
		}
		s.set("a", false)
		<-time.After(minProbeInterval)
		synctest.Wait()
		if s.upstreams[0].health != healthy {
			t.Error("it is not trusted again")
		}
	})
}

// TestClosePool guarantees that probing ends with the client, and does not begin after it.
func TestClosePool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // which fails while a goroutine remains
		s := newThree(t)
		s.fail("a")
		s.close()
		s.triggerHealthCheck(s.upstreams[1])
		if s.upstreams[1].checking {
			t.Error("a check has begun")
		}
	})
}
