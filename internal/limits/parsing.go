package limits

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/logfence/logfence/internal/tenant"
)

// A tenant may parse for a twentieth of the slots' time, and for parseBurst at once after a rest. What counts
// is the part of a text's time beyond parseFree: nearly all texts take far less, and a tenant's rate of requests
// bounds those. The share is small because Loki parses every text again, several times over for a range that it
// splits: it pays five times or more what logfence pays (TestExpensiveTextsAtLoki).
const (
	parseShare = 0.05
	parseBurst = 250 * time.Millisecond
	parseFree  = 2 * time.Millisecond
)

// ParseSlots bounds the texts that are parsed at the same time, fairly between tenants. Parsing cannot be
// cancelled, so a slot is held to its end. With two slots or more no tenant holds all of them; and the time
// that a tenant's texts took is charged to it. It is safe for use by many goroutines.
type ParseSlots struct {
	slots       *FairSemaphore
	maxWait     time.Duration
	perKey      int
	queuePerKey int
	rate        float64 // microseconds a second that a tenant may use

	mu   sync.Mutex
	used map[tenant.Name]*parseTime // only tenants whose budget is not full
}

// parseTime is a tenant's budget, in microseconds, and how many of its requests wait for it.
type parseTime struct {
	*rate.Limiter

	delayed int
}

// NewParseSlots makes the slots that the configuration bounds. maxWait is how long a request waits for one; 0
// is for ever.
func NewParseSlots(c FairSemaphoreConfig, maxWait time.Duration) (*ParseSlots, error) {
	if c.AtOnce == 0 {
		c.AtOnce = runtime.GOMAXPROCS(0)
	}
	if c.PerKey == 0 {
		c.PerKey = max(1, c.AtOnce-1)
	}
	slots, err := NewFairSemaphore(c)
	if err != nil {
		return nil, err
	}
	return &ParseSlots{
		slots: slots, maxWait: maxWait, perKey: c.PerKey, queuePerKey: c.QueuePerKey,
		rate: parseShare * float64(c.AtOnce) * 1e6, used: make(map[tenant.Name]*parseTime),
	}, nil
}

// Acquire waits for a slot that counts under each of the tenants, which are distinct and sorted. release
// gives it back, once, and charges each of them with the time that it was held beyond parseFree. Without a slot the error is
// [ErrOverloaded] where the queue is full or the wait is over, or the context's.
func (p *ParseSlots) Acquire(ctx context.Context, tenants []tenant.Name) (release func(), err error) {
	began := time.Now()
	if err := p.delay(ctx, tenants); err != nil {
		return nil, err
	}
	maxWait := p.maxWait
	if maxWait > 0 {
		maxWait = max(time.Millisecond, maxWait-time.Since(began))
	}
	requests := make([]SlotRequest, len(tenants))
	for i, name := range tenants {
		requests[i] = SlotRequest{Key: string(name), PerKey: p.perKey, QueuePerKey: p.queuePerKey}
	}
	give, err := p.slots.AcquireAll(ctx, maxWait, requests)
	if err != nil {
		return nil, err
	}
	held := time.Now()
	return sync.OnceFunc(func() {
		give()
		p.charge(tenants, time.Since(held)-parseFree)
	}), nil
}

// delay waits until none of the tenants has used more than its share.
func (p *ParseSlots) delay(ctx context.Context, tenants []tenant.Name) error {
	wait, leave, err := p.debt(tenants)
	if err != nil || wait <= 0 {
		return err
	}
	defer leave()
	if p.maxWait > 0 && wait > p.maxWait {
		wait = p.maxWait
		err = fmt.Errorf("%w: it has used more than its share of parsing", ErrKeyOverloaded)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// debt is how long the tenants have to wait, and counts the request among those that do.
func (p *ParseSlots) debt(tenants []tenant.Name) (wait time.Duration, leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	var debtors []*parseTime
	for _, name := range tenants {
		own := p.used[name]
		if own == nil {
			continue
		}
		if tokens := own.TokensAt(now); tokens < 0 {
			wait = max(wait, time.Duration(-tokens/p.rate*float64(time.Second)))
			debtors = append(debtors, own)
		}
	}
	for _, own := range debtors {
		if own.delayed >= p.queuePerKey {
			return 0, nil, ErrKeyOverloaded
		}
	}
	for _, own := range debtors {
		own.delayed++
	}
	return wait, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, own := range debtors {
			own.delayed--
		}
	}, nil
}

// charge takes time from the tenants' budgets, which may go below nothing.
func (p *ParseSlots) charge(tenants []tenant.Name, used time.Duration) {
	if used <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	const burst = int(parseBurst / time.Microsecond)
	for _, name := range tenants {
		own := p.used[name]
		if own == nil {
			p.sweep(now, burst)
			own = &parseTime{Limiter: rate.NewLimiter(rate.Limit(p.rate), burst)}
			p.used[name] = own
		}
		// A reservation may not be larger than a burst.
		for left := int(used / time.Microsecond); left > 0; left -= burst {
			own.ReserveN(now, min(left, burst))
		}
	}
}

// sweep forgets full budgets, which are as good as new ones, where there are many.
func (p *ParseSlots) sweep(now time.Time, burst int) {
	if len(p.used) < leastSwept || len(p.used)&(len(p.used)-1) != 0 {
		return
	}
	for name, own := range p.used {
		if own.delayed == 0 && own.TokensAt(now) >= float64(burst) {
			delete(p.used, name)
		}
	}
}
