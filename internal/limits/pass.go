package limits

import (
	"context"
	"errors"
	"time"
)

// Use is what a request will keep busy.
type Use int

// The uses.
const (
	UseNothing Use = iota // but logfence itself
	UseQuery
	UseExport
	UseTail
	uses
)

// Pass is a request that was admitted, or refused with an error beside it.
type Pass struct {
	// Quota is what is left of the tenants' requests.
	Quota Quota

	limiter *Limiter
	set     *Set
	use     Use
	entered time.Time
	release func() // nil: nothing is held
}

// Admit draws a request on the rate of each of its tenants. Where one of them has none left it is refused
// with an [*ExceededError], and draws on nobody. It does not wait.
func (l *Limiter) Admit(_ context.Context, s *Set, use Use) (*Pass, error) {
	p := &Pass{limiter: l, set: s, use: use}
	if len(s.tenants) == 0 {
		return p, errNobody
	}
	var granted bool
	if p.Quota, granted = l.rates.draw(l.now(), s.tenants, true); !granted {
		return p, s.tooOften(p.Quota)
	}
	return p, nil
}

// errNobody refuses a request without a tenant: there is no limit that it could be held to.
var errNobody = errors.New("no tenant's limits hold for the request")

func (s *Set) tooOften(q Quota) error {
	e := exceeded(KindRate, "The tenant sends more than %d requests a second. Try again in %ds.", s.Rate, seconds(q.Reset))
	e.RetryAfter = q.Reset
	return s.refuse(e)
}

// seconds are whole ones, rounded up, and one at least: who comes back sooner comes in vain.
func seconds(d time.Duration) int {
	return max(int((d+time.Second-1)/time.Second), 1)
}

// Enter waits until the request may keep busy what it will: a query for its turn, as long as the limits let
// it wait and the caller does; exports and tails have a place or are refused. The refusal is an
// [*ExceededError], [ErrOverloaded] where the other tenants' queries are in the way, or the context's error.
// Who entered calls Leave.
func (p *Pass) Enter(ctx context.Context) error {
	l := p.limiter
	p.entered = l.now()
	switch p.use {
	case UseNothing:
		return nil
	case UseQuery:
		return p.enterQuery(ctx)
	case UseExport:
		return p.take(&l.exports, func(own *Limits) int { return own.Exports })
	case UseTail:
		return p.take(&l.tails, func(own *Limits) int { return own.MaxTails })
	default:
		return errors.New("a use that is not known")
	}
}

// Leave gives back what the request has held. It may be called without Enter, and again.
func (p *Pass) Leave() {
	if p.release == nil {
		return
	}
	p.release()
	p.release = nil
	p.limiter.usual[p.use].note(p.limiter.now().Sub(p.entered))
}

func (p *Pass) enterQuery(ctx context.Context) error {
	claims := make([]Claim, len(p.set.tenants))
	for i, t := range p.set.tenants {
		claims[i] = Claim{Key: t.name, PerKey: t.limits.Queries, QueuePerKey: t.limits.Queue}
	}
	release, err := p.limiter.turns.AcquireAll(ctx, p.limiter.config.Wait, claims)
	if errors.Is(err, ErrCrowded) {
		return p.tooMany()
	}
	p.release = release
	return err
}

func (p *Pass) take(s *slots, most func(*Limits) int) error {
	if !s.take(p.set.tenants, most) {
		return p.tooMany()
	}
	p.release = func() { s.giveBack(p.set.tenants) }
	return nil
}

// tooMany is the refusal of a use that the tenant has as many of as it may.
func (p *Pass) tooMany() error {
	var e *ExceededError
	switch p.use {
	case UseExport:
		e = exceeded(KindExports, "The tenant has %d exports under way, and may have no more. Wait for one to end.", p.set.Exports)
	case UseTail:
		e = exceeded(KindTails, "The tenant has %d tails open, and may have no more. Close one.", p.set.MaxTails)
	default:
		e = exceeded(KindQueries, "The tenant has %d queries under way, and may have no more. Ask for fewer at once, or try again shortly.", p.set.Queries)
	}
	e.RetryAfter = p.limiter.usual[p.use].pause()
	return p.set.refuse(e)
}
