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
	// failuresUntilDown is how many probes in a row must fail.
	failuresUntilDown = 2
	// probeTimeout is how long a probe may take. Loki's /ready takes a millisecond.
	probeTimeout = 2 * time.Second
	// minProbeInterval is between the first two probes that fail; it doubles up to lastPause, which is about how
	// long Loki may be back before it is asked again.
	minProbeInterval, maxProbeInterval = 100 * time.Millisecond, 5 * time.Second
	// healthTTL is how long a good probe settles every suspicion, so that many failing requests do not
	// become as many probes.
	healthTTL = time.Second
	// slowResponse is how long the first byte may take before a probe is sent beside the request: what
	// accepts connections and says nothing shows in no other way before the request's own time-out.
	slowResponse = 5 * time.Second
)

type health int

const (
	healthy health = iota
	unverified
	down
)

// upstream is one of Loki's URLs, with what is known of it.
type upstream struct {
	base *url.URL // without credentials
	user *url.Userinfo

	inFlight         atomic.Int64
	failures, probes atomic.Uint64

	// Held by pool.mu.
	health      health
	checking    bool
	lastHealthy time.Time // when a probe was last good
	nextProbe   time.Time // when the next probe is due, while down
	lastError   error     // of the last probe's failure
}

// pool is Loki's URLs. Those that fail are probed until they do not; the goroutines that do so end with
// close, and there are none while all is well.
type pool struct {
	upstreams []*upstream
	probe     func(context.Context, *upstream) error
	onDown    func() // called when one is down
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

// close ends all probing.
func (p *pool) close() {
	p.mu.Lock() // no check begins after this
	p.stop()
	p.mu.Unlock()
	p.checks.Wait()
}

// pick chooses where to ask: of those in the best health the one with the least to do. One that was
// tried already is chosen where there is no other, since behind one name there may be several machines.
func (p *pool) pick(tried *upstream) (*upstream, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *upstream
	turn := int(p.roundRobin.Add(1)) % len(p.upstreams) // the first of equals is another one each time
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

// preferredOver tells whether e is to be asked rather than other.
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

// unavailable says that there is nobody to ask, and when there may be. It is called under mu.
func (p *pool) unavailable() error {
	soonest := p.upstreams[0]
	for _, e := range p.upstreams {
		if e.nextProbe.Before(soonest.nextProbe) {
			soonest = e
		}
	}
	return &Error{Kind: ErrUnavailable, Cause: soonest.lastError, RetryAfter: max(time.Until(soonest.nextProbe), time.Second)}
}

// triggerHealthCheck has an endpoint probed, unless it is being probed or was found well just now.
func (p *pool) triggerHealthCheck(e *upstream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.checking || time.Since(e.lastHealthy) < healthTTL || p.ctx.Err() != nil {
		return
	}
	e.checking, e.health = true, unverified
	p.checks.Go(func() { p.check(p.ctx, e) })
}

// check probes until a probe is good, or the pool is closed.
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

// markFailed notes a probe that failed, and says how long to wait before the next.
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
	}
	p.mu.Unlock()
	if went {
		p.log.Error("Loki is down; it is not asked until a probe succeeds", "url", e.name(), "error", err)
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

// name is what the operator calls it, without credentials.
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

// Stats is what is known of Loki's URLs, for metrics.
type Stats struct {
	Upstreams []UpstreamStats
	Retries   uint64 // requests sent once more because the first got no byte of an answer
	Refused   uint64 // requests that were not sent since every URL is down
	// StaleFiles counts those of certificates and of credentials whose present content cannot be used, so
	// that an older one is.
	StaleFiles int
}

// UpstreamStats is what is known of one URL.
type UpstreamStats struct {
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
