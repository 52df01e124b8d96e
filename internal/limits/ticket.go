package limits

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// Class is the requests that a limit bounds, and what a request keeps busy while it is in flight.
type Class int

// The classes.
const (
	ClassRequest Class = iota // any request; one that is nothing more keeps only logfence busy
	ClassQuery                // waits for a slot at Loki
	ClassExport
	ClassTail
	ClassStream // of lines; each of its windows waits for a slot at Loki by itself, see [Ticket.Query]
	classCount
)

// String names the class in the keys of Redis.
func (c Class) String() string {
	switch c {
	case ClassRequest:
		return "requests"
	case ClassQuery:
		return "queries"
	case ClassExport:
		return "exports"
	case ClassTail:
		return "tails"
	case ClassStream:
		return "streams"
	default:
		return "class-" + strconv.Itoa(int(c))
	}
}

// Ticket is a request that was admitted, or refused with an error beside it.
type Ticket struct {
	// Quota is what is left of the tenants' requests.
	Quota Quota

	limiter  *Limiter
	set      *Effective
	class    Class
	shared   bool   // Redis has decided
	lease    *lease // what it has let; nil where there is no room, or nothing is wanted
	acquired time.Time
	release  func() // nil: nothing is held
}

// Slot waits for a slot at Loki for a query that no request of a tenant's has made, such as one of a live tail that is
// polled: as a query waits, and counted in this process alone. The caller releases it.
func (l *Limiter) Slot(ctx context.Context, s *Effective) (release func(), err error) {
	p := &Ticket{limiter: l, set: s, class: ClassQuery}
	if len(s.tenants) == 0 {
		return nil, errNobody
	}
	if err := p.Acquire(ctx); err != nil {
		return nil, err
	}
	return p.Release, nil
}

// Admit draws a request on the rate of each of its tenants. Where one of them has none left it is refused
// with an [*ExceededError], and draws on nobody. It waits for nothing but Redis, and for that only shortly.
// The caller must call Release on the Ticket.
func (l *Limiter) Admit(ctx context.Context, s *Effective, class Class) (*Ticket, error) {
	p := &Ticket{limiter: l, set: s, class: class}
	if len(s.tenants) == 0 {
		return p, errNobody
	}
	now := l.now()
	var granted bool
	// A process alone is within what all may do together: what it refuses costs no round trip.
	if p.Quota, granted = l.rates.draw(now, s.tenants, l.shared == nil); !granted {
		return p, s.tooOften(p.Quota)
	}
	if l.shared == nil {
		return p, nil
	}
	v, err := l.shared.request(ctx, s.tenants, class, true)
	if errors.Is(err, errAway) {
		if p.Quota, granted = l.rates.draw(now, s.tenants, true); !granted {
			return p, s.tooOften(p.Quota)
		}
		return p, nil
	}
	if err != nil {
		return p, err
	}
	p.Quota, p.shared, p.lease = v.quota, true, v.lease
	if !v.granted {
		return p, s.tooOften(p.Quota)
	}
	l.rates.commit(now, s.tenants)
	return p, nil
}

// errNobody refuses a request without a tenant: there is no limit that it could be held to.
var errNobody = errors.New("no tenant's limits hold for the request")

func (s *Effective) tooOften(q Quota) error {
	e := exceeded(LimitRate, "The tenant sends more than %d requests a second. Try again in %ds.", s.Rate, seconds(q.Reset))
	e.RetryAfter = q.Reset
	return s.refuse(e)
}

// seconds are full ones, rounded up, and one at least: an earlier retry would be refused.
func seconds(d time.Duration) int {
	return max(int((d+time.Second-1)/time.Second), 1)
}

// Acquire waits until the request may keep busy what it will: a query for its slot, as long as the limits let
// it wait and the caller does; exports and tails have a place or are refused. The refusal is an
// [*ExceededError], [ErrOverloaded] where the other tenants' queries are in the way, or the context's error.
func (p *Ticket) Acquire(ctx context.Context) error {
	p.acquired = p.limiter.now()
	switch p.class {
	case ClassRequest:
		return nil
	case ClassQuery:
		return p.acquireQuery(ctx)
	case ClassExport:
		return p.take(&p.limiter.exports)
	case ClassTail:
		return p.take(&p.limiter.tails)
	case ClassStream:
		return p.take(&p.limiter.streams)
	default:
		return errors.New("a class that is not known")
	}
}

// Release gives back what the request has held. It may be called without Acquire, and again.
func (p *Ticket) Release() {
	if p.lease != nil {
		p.limiter.shared.leases.release(p.lease)
		p.lease = nil
	}
	if p.release == nil {
		return
	}
	p.release()
	p.release = nil
	p.limiter.durations[p.class].note(p.limiter.now().Sub(p.acquired))
}

// Query returns the ticket of one query of a request that sends several at the same time: its Acquire waits for a slot
// at Loki, as that of a query does. It draws nothing on the rate, since the request has done that. The caller must call
// Release on it.
func (p *Ticket) Query() *Ticket {
	return &Ticket{limiter: p.limiter, set: p.set, class: ClassQuery, shared: p.limiter.shared != nil}
}

// leasePause is how long a query waits before it requests again a lease that other replicas hold.
const leasePause = 25 * time.Millisecond

func (p *Ticket) acquireQuery(ctx context.Context) error {
	requests := make([]SlotRequest, len(p.set.tenants))
	for i, t := range p.set.tenants {
		requests[i] = SlotRequest{Key: string(t.name), PerKey: t.limits.Queries, QueuePerKey: t.limits.Queue}
	}
	maxWait := p.limiter.config.Wait
	deadline := time.Now().Add(maxWait)
	release, err := p.limiter.queries.AcquireAll(ctx, maxWait, requests)
	if p.shared && p.lease == nil && err == nil {
		release, err = p.wait(ctx, release, deadline, requests)
	}
	if errors.Is(err, ErrKeyOverloaded) {
		return p.tooMany()
	}
	p.release = release
	return err
}

// wait is for a query that has a slot here, and for which the other replicas have left no lease. Between
// its questions it lets others have the slot.
func (p *Ticket) wait(ctx context.Context, release func(), deadline time.Time, requests []SlotRequest) (func(), error) {
	for {
		v, err := p.limiter.shared.request(ctx, p.set.tenants, p.class, false)
		switch {
		case errors.Is(err, errAway):
			return release, nil
		case err != nil:
			release()
			return nil, err
		case v.lease != nil:
			p.lease = v.lease
			return release, nil
		}
		release()
		pause := time.NewTimer(leasePause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil, ctx.Err()
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil, ErrKeyOverloaded
		}
		if release, err = p.limiter.queries.AcquireAll(ctx, left, requests); err != nil {
			return nil, err
		}
	}
}

func (p *Ticket) take(s *slots) error {
	if p.shared && p.lease == nil || !s.take(p.set.tenants, concurrencyOf(p.class)) {
		return p.tooMany()
	}
	p.release = func() { s.giveBack(p.set.tenants) }
	return nil
}

// tooMany is the refusal of a class that the tenant has as many of as it may.
func (p *Ticket) tooMany() error {
	var e *ExceededError
	switch p.class {
	case ClassExport:
		e = exceeded(LimitExports, "The tenant has %d exports in flight, which is its limit. Wait for one to end.", p.set.Exports)
	case ClassTail:
		e = exceeded(LimitTails, "The tenant has %d tails open, which is its limit. Close one.", p.set.MaxTails).
			inLoki("max concurrent tail requests limit exceeded, count > limit (%d > %d)", p.set.MaxTails+1, p.set.MaxTails)
	case ClassStream:
		e = exceeded(LimitStreams, "The tenant has %d streams of lines in flight, which is its limit. Wait for one to end, or stop one.", p.set.MaxStreams)
	default:
		e = exceeded(LimitQueries, "The tenant has %d queries in flight, which is its limit. Send fewer at once, or retry shortly.", p.set.Queries).
			inLoki("too many outstanding requests")
	}
	e.RetryAfter = p.limiter.durations[p.class].pause()
	return p.set.refuse(e)
}
