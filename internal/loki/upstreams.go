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

// When an upstream is marked down, and when it is used again.
//
// A request can only trigger a health check; the checks decide. Nothing that a request causes (a query that
// ends with 504 by Loki's own timeout, one that kills a querier) may by itself take Loki from every other
// tenant. No caller's request is spent on probing either. So this is not a circuit breaker library:
// sony/gobreaker opens on failed requests, and probes with a caller's request when half-open.
const (
	// failuresUntilDown is how many consecutive probes must fail.
	failuresUntilDown = 2
	// probeTimeout is how long a probe may take. Loki's /ready takes a millisecond.
	probeTimeout = 2 * time.Second
	// minProbeInterval is between the first two probes that fail; it doubles up to maxProbeInterval,
	// which is about how long Loki may be running again before it is used.
	minProbeInterval, maxProbeInterval = 100 * time.Millisecond, 5 * time.Second
	// healthTTL is how long the result of a successful probe is valid, so that many failing requests do not
	// cause as many probes.
	healthTTL = time.Second
	// slowResponse is how long the first byte may take before a probe is sent in parallel to the request:
	// an upstream that accepts connections and never responds is otherwise found only by the request's timeout.
	slowResponse = 5 * time.Second
)

type health int

const (
	healthy health = iota
	unverified
	down
)

// upstream is one of Loki's URLs with its state.
type upstream struct {
	base *url.URL // without credentials
	user *url.Userinfo

	inFlight         atomic.Int64
	failures, probes atomic.Uint64

	// Held by pool.mu.
	health      health
	checking    bool
	lastHealthy time.Time // time of the last successful probe
	nextProbe   time.Time // when the next probe is due, while down
	lastError   error     // error of the last failed probe
	tails       map[*Tail]struct{}
}

// pool holds Loki's URLs. Those that fail are probed until they succeed. The goroutines that probe end with
// close, and there are none while every upstream is healthy.
type pool struct {
	upstreams []*upstream
	probe     func(context.Context, *upstream) error
	onDown    func() // called when an upstream is marked down
	log       *slog.Logger

	roundRobin       atomic.Uint32
	retries, refused atomic.Uint64

	ctx    context.Context // until close
	stop   context.CancelFunc
	checks sync.WaitGroup
	mu     sync.Mutex
}

func newPool(upstreams []*upstream, probe func(context.Context, *upstream) error, log *slog.Logger) *pool {
	p := &pool{upstreams: upstreams, probe: probe, log: log, onDown: func() {}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// close stops all probes.
func (p *pool) close() {
	p.mu.Lock() // no check begins after this
	p.stop()
	p.mu.Unlock()
	p.checks.Wait()
}

// pick chooses an upstream: of the healthiest, the one with the fewest requests in flight. One that was
// tried already is chosen only if there is no other: one name may resolve to several machines.
func (p *pool) pick(tried *upstream) (*upstream, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *upstream
	turn := int(p.roundRobin.Add(1)) % len(p.upstreams) // rotates among equals
	for i := range p.upstreams {
		e := p.upstreams[(turn+i)%len(p.upstreams)]
		if e.health != down && (best == nil || e.preferredOver(best, tried)) {
			best = e
		}
	}
	if best == nil {
		p.refused.Add(1)
		return nil, p.unavailable()
	}
	return best, nil
}

// preferredOver reports whether e is a better choice than other.
func (e *upstream) preferredOver(other, tried *upstream) bool {
	switch {
	case e == tried || other == tried:
		return other == tried
	case e.health != other.health:
		return e.health < other.health
	default:
		return e.inFlight.Load() < other.inFlight.Load()
	}
}

// unavailable returns the error for no upstream being up, with the time of the next probe. It is called under mu.
func (p *pool) unavailable() error {
	soonest := p.upstreams[0]
	for _, e := range p.upstreams {
		if e.nextProbe.Before(soonest.nextProbe) {
			soonest = e
		}
	}
	return &Error{Kind: ErrUnavailable, Cause: soonest.lastError, RetryAfter: max(time.Until(soonest.nextProbe), time.Second)}
}

// triggerHealthCheck starts a check of an upstream, unless one is running or the last result is still valid.
func (p *pool) triggerHealthCheck(e *upstream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.checking || time.Since(e.lastHealthy) < healthTTL || p.ctx.Err() != nil {
		return
	}
	e.checking, e.health = true, unverified
	p.checks.Go(func() { p.check(p.ctx, e) })
}

// check probes until a probe succeeds or the pool is closed.
func (p *pool) check(open context.Context, e *upstream) {
	for failed := 1; ; failed++ {
		ctx, cancel := context.WithTimeoutCause(open, probeTimeout, ErrTimeout)
		e.probes.Add(1)
		err := p.probe(ctx, e)
		cancel()
		if open.Err() != nil {
			return
		}
		if err == nil {
			p.markHealthy(e)
			return
		}
		timer := time.NewTimer(p.markFailed(e, failed, err))
		select {
		case <-timer.C:
		case <-open.Done():
			timer.Stop()
			return
		}
	}
}

// markFailed records a probe that failed, and returns how long to wait before the next.
func (p *pool) markFailed(e *upstream, times int, err error) time.Duration {
	pause := maxProbeInterval
	if doublings := times - 1; doublings < 10 { // beyond, it is past lastPause anyway
		pause = min(pause, minProbeInterval<<doublings)
	}
	pause += rand.N(pause/5) - pause/10 //nolint:gosec // spreads load; nothing is secret about it
	p.mu.Lock()
	e.lastError, e.nextProbe = err, time.Now().Add(pause)
	went := e.health != down && times >= failuresUntilDown
	if went {
		e.health = down
		for t := range e.tails {
			t.fail(&Error{Kind: ErrUnavailable, Cause: err})
		}
	}
	p.mu.Unlock()
	if went {
		p.log.Error("Loki is down; no requests are sent to it until a health check succeeds", "url", e.name(), "error", err)
		p.onDown()
	}
	return pause
}

func (p *pool) markHealthy(e *upstream) {
	p.mu.Lock()
	was := e.health
	e.health, e.checking, e.lastHealthy, e.lastError = healthy, false, time.Now(), nil
	p.mu.Unlock()
	if was == down {
		p.log.Info("Loki is back", "url", e.name())
	}
}

// enter has a tail end when its upstream is down: its connection may stay silent for as long as its timeout.
func (p *pool) enter(e *upstream, t *Tail) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.tails == nil {
		e.tails = map[*Tail]struct{}{}
	}
	e.tails[t] = struct{}{}
	if e.health == down {
		t.fail(&Error{Kind: ErrUnavailable, Cause: e.lastError})
	}
}

func (p *pool) leave(e *upstream, t *Tail) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(e.tails, t)
}

// name is the configured URL without credentials.
func (e *upstream) name() string { return e.base.String() }

// url is the base with a path of Loki's appended; not resolved against it, which would drop a prefix.
func (e *upstream) url(path string) *url.URL {
	full := *e.base
	full.Path += path
	if full.RawPath != "" {
		full.RawPath += path // ours hold nothing that is escaped
	}
	return &full
}

// Stats is the state of Loki's URLs, for metrics.
type Stats struct {
	Upstreams []UpstreamStats
	Retries   uint64 // requests sent again because the first attempt received no byte of a response, or found no Loki behind a reverse proxy
	Refused   uint64 // requests that were not sent since every URL is down
	// StaleFiles counts the certificate and credential files whose current content is invalid, so that
	// the previous content is in use.
	StaleFiles int
	// ActorLevels is how many segments of X-Loki-Actor-Path are sent: fewer than configured where Loki has refused them.
	ActorLevels int
}

// UpstreamStats is the state of one URL.
type UpstreamStats struct {
	URL      string // without credentials
	Up       bool   // false: no requests are sent to it until a probe succeeds
	InFlight int64  // requests and tails
	Failures uint64 // requests that failed to connect or timed out
	Probes   uint64
}

// Stats returns the state of Loki's URLs, in the configured order.
func (c *Client) Stats() Stats {
	p := c.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{Retries: p.retries.Load(), Refused: p.refused.Load(), ActorLevels: int(c.actorLevels.Load())}
	for _, e := range p.upstreams {
		s.Upstreams = append(s.Upstreams, UpstreamStats{
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
