package loki

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// What it takes for a URL of Loki's to be left alone, and to be asked again.
//
// Requests only raise suspicion; probes decide. Nothing that a request brings about (a query that Loki's
// own time-out ends with 504, one that kills a querier) may by itself take Loki from every other tenant.
// That, and that no caller's request is spent on trying, is why this is no circuit breaker of a library:
// sony/gobreaker opens on what it is told of requests, and half-open lets the next one of them through.
const (
	// downAfter is how many probes in a row must fail.
	downAfter = 2
	// probeTime is how long a probe may take. Loki's /ready takes a millisecond.
	probeTime = 2 * time.Second
	// firstPause is between the first two probes that fail; it doubles up to lastPause, which is about how
	// long Loki may be back before it is asked again.
	firstPause, lastPause = 100 * time.Millisecond, 5 * time.Second
	// assurance is how long a good probe settles every suspicion, so that many failing requests do not
	// become as many probes.
	assurance = time.Second
	// slowResponse is how long the first byte may take before a probe is sent beside the request: what
	// accepts connections and says nothing shows in no other way before the request's own time-out.
	slowResponse = 5 * time.Second
)

type health int

const (
	healthy health = iota
	suspected
	down
)

// endpoint is one of Loki's URLs, with what is known of it.
type endpoint struct {
	base *url.URL // without credentials
	user *url.Userinfo

	inFlight         atomic.Int64
	failures, probes atomic.Uint64

	// Held by pool.mu.
	health   health
	checking bool
	assured  time.Time // when a probe was last good
	next     time.Time // when the next probe is due, while down
	cause    error     // of the last probe's failure
}

// pool is Loki's URLs. Those that fail are probed until they do not; the goroutines that do so end with
// close, and there are none while all is well.
type pool struct {
	endpoints []*endpoint
	probe     func(context.Context, *endpoint) error
	wentDown  func() // called when one is down
	log       *slog.Logger

	turn             atomic.Uint32
	retries, refused atomic.Uint64

	open   context.Context // until close
	stop   context.CancelFunc
	checks sync.WaitGroup
	mu     sync.Mutex
}

func newPool(endpoints []*endpoint, probe func(context.Context, *endpoint) error, log *slog.Logger) *pool {
	p := &pool{endpoints: endpoints, probe: probe, log: log, wentDown: func() {}}
	p.open, p.stop = context.WithCancel(context.Background())
	return p
}

// close ends all probing.
func (p *pool) close() {
	p.mu.Lock() // no check begins after this
	p.stop()
	p.mu.Unlock()
	p.checks.Wait()
}

// pick chooses where to ask: of those in the best health the one with the least to do. One that was
// tried already is chosen where there is no other, since behind one name there may be several machines.
func (p *pool) pick(tried *endpoint) (*endpoint, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *endpoint
	turn := int(p.turn.Add(1)) % len(p.endpoints) // the first of equals is another one each time
	for i := range p.endpoints {
		e := p.endpoints[(turn+i)%len(p.endpoints)]
		if e.health != down && (best == nil || e.before(best, tried)) {
			best = e
		}
	}
	if best == nil {
		p.refused.Add(1)
		return nil, p.unavailable()
	}
	return best, nil
}

// before tells whether e is to be asked rather than other.
func (e *endpoint) before(other, tried *endpoint) bool {
	switch {
	case e == tried || other == tried:
		return other == tried
	case e.health != other.health:
		return e.health < other.health
	default:
		return e.inFlight.Load() < other.inFlight.Load()
	}
}

// unavailable says that there is nobody to ask, and when there may be. It is called under mu.
func (p *pool) unavailable() error {
	soonest := p.endpoints[0]
	for _, e := range p.endpoints {
		if e.next.Before(soonest.next) {
			soonest = e
		}
	}
	return &Error{Kind: ErrUnavailable, Cause: soonest.cause, RetryAfter: max(time.Until(soonest.next), time.Second)}
}

// suspect has an endpoint probed, unless it is being probed or was found well just now.
func (p *pool) suspect(e *endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.checking || time.Since(e.assured) < assurance || p.open.Err() != nil {
		return
	}
	e.checking, e.health = true, suspected
	p.checks.Go(func() { p.check(p.open, e) })
}

// check probes until a probe is good, or the pool is closed.
func (p *pool) check(open context.Context, e *endpoint) {
	for failed := 1; ; failed++ {
		ctx, cancel := context.WithTimeoutCause(open, probeTime, ErrTimeout)
		e.probes.Add(1)
		err := p.probe(ctx, e)
		cancel()
		if open.Err() != nil {
			return
		}
		if err == nil {
			p.recovered(e)
			return
		}
		timer := time.NewTimer(p.failed(e, failed, err))
		select {
		case <-timer.C:
		case <-open.Done():
			timer.Stop()
			return
		}
	}
}

// failed notes a probe that failed, and says how long to wait before the next.
func (p *pool) failed(e *endpoint, times int, err error) time.Duration {
	pause := lastPause
	if doublings := times - 1; doublings < 10 { // beyond, it is past lastPause anyway
		pause = min(pause, firstPause<<doublings)
	}
	pause += rand.N(pause/5) - pause/10 //nolint:gosec // spreads load; nothing is secret about it
	p.mu.Lock()
	e.cause, e.next = err, time.Now().Add(pause)
	went := e.health != down && times >= downAfter
	if went {
		e.health = down
	}
	p.mu.Unlock()
	if went {
		p.log.Error("Loki is down; it is not asked until a probe succeeds", "url", e.name(), "error", err)
		p.wentDown()
	}
	return pause
}

func (p *pool) recovered(e *endpoint) {
	p.mu.Lock()
	was := e.health
	e.health, e.checking, e.assured, e.cause = healthy, false, time.Now(), nil
	p.mu.Unlock()
	if was == down {
		p.log.Info("Loki is back", "url", e.name())
	}
}

// name is what the operator calls it, without credentials.
func (e *endpoint) name() string { return e.base.String() }

// url is the base with a path of Loki's appended; not resolved against it, which would drop a prefix.
func (e *endpoint) url(path string) *url.URL {
	u := *e.base
	u.Path += path
	if u.RawPath != "" {
		u.RawPath += path // ours hold nothing that is escaped
	}
	return &u
}

// Stats is what is known of Loki's URLs, for metrics.
type Stats struct {
	Endpoints []EndpointStats
	Retries   uint64 // requests sent once more because the first got no byte of an answer
	Refused   uint64 // requests that were not sent since every URL is down
	// StaleFiles counts those of certificates and of credentials whose present content cannot be used, so
	// that an older one is.
	StaleFiles int
}

// EndpointStats is what is known of one URL.
type EndpointStats struct {
	URL      string // without credentials
	Up       bool   // false: it is not asked until a probe succeeds
	InFlight int64  // requests and tails
	Failures uint64 // requests whose connection failed, or that had their time
	Probes   uint64
}

// Stats tells what is known of Loki's URLs, in the order in which they are set.
func (c *Client) Stats() Stats {
	p := c.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{Retries: p.retries.Load(), Refused: p.refused.Load()}
	for _, e := range p.endpoints {
		s.Endpoints = append(s.Endpoints, EndpointStats{
			URL: e.name(), Up: e.health != down, InFlight: e.inFlight.Load(),
			Failures: e.failures.Load(), Probes: e.probes.Load(),
		})
	}
	for _, stale := range []bool{c.tls.stale(), c.credential.stale()} {
		if stale {
			s.StaleFiles++
		}
	}
	return s
}
