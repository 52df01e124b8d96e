package limits

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/logfence/logfence/internal/tenant"
)

// Limiter knows the limits of every tenant, and counts what they have in flight. It is safe for use by
// many goroutines.
type Limiter struct {
	config    Config
	now       func() time.Time
	overrides atomic.Pointer[overrides]
	rates     buckets
	queries   *FairSemaphore
	memory    *Memory
	exports   slots
	tails     slots
	streams   slots
	durations [classCount]movingAverage
	hits      hits
	shared    *shared // nil: this process counts for itself
	log       *slog.Logger
	// probeEvery is how often a Redis that is away is probed.
	probeEvery time.Duration
}

// overrides are the limits of the tenants that have some of their own, swapped as a whole.
type overrides struct {
	of      map[tenant.Name]*OwnLimits
	classes map[string]*Limits
}

// hits counts how often each limit was hit.
type hits [limitCount]atomic.Uint64

// Option changes a limiter that is made.
type Option func(*Limiter)

// WithClock has the limiter read another clock than the system's.
func WithClock(now func() time.Time) Option { return func(l *Limiter) { l.now = now } }

// WithLogger logs when Redis is away and when it is back.
func WithLogger(log *slog.Logger) Option { return func(l *Limiter) { l.log = log } }

// New makes a limiter, or reports every mistake in c. It does not wait for Redis. The caller closes it.
func New(c Config, options ...Option) (*Limiter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	queries, err := NewFairSemaphore(FairSemaphoreConfig{AtOnce: c.AtOnce, QueuePerKey: maxWaiting, Queue: maxWaiting})
	if err != nil {
		return nil, fmt.Errorf("slots for queries: %w", err)
	}
	budget, err := c.memoryBudget()
	if err != nil {
		return nil, err
	}
	memory, err := NewMemory(budget, c.Wait)
	if err != nil {
		return nil, err
	}
	l := &Limiter{
		config: c, memory: memory, now: time.Now, queries: queries, log: slog.New(slog.DiscardHandler), probeEvery: probeEvery,
		rates:   buckets{of: map[tenant.Name]*bucket{}},
		exports: slots{held: map[tenant.Name]int{}}, tails: slots{held: map[tenant.Name]int{}}, streams: slots{held: map[tenant.Name]int{}},
	}
	for _, o := range options {
		o(l)
	}
	l.overrides.Store(&overrides{})
	if c.Redis.enabled() {
		if l.shared, err = newShared(c.Redis, l.probeEvery, l.log); err != nil {
			return nil, fmt.Errorf("share limits: %w", err)
		}
	}
	return l, nil
}

// Close gives back what is held in Redis. Requests that come after it are counted in this process alone.
func (l *Limiter) Close() {
	if l.shared != nil {
		l.shared.close()
	}
}

// Shared reports whether replicas count together at present, and how often Redis did not respond; wanted is
// whether they are to.
func (l *Limiter) Shared() (wanted, now bool, failures uint64) {
	if l.shared == nil {
		return false, false, 0
	}
	return true, l.shared.up.Load(), l.shared.failures.Load()
}

// Replace puts the tenants' own limits in force, in place of those that were: for the requests that come
// from now on. Who is not among them has those of the configuration. They have been validated.
func (l *Limiter) Replace(own map[tenant.Name]OwnLimits) { l.ReplaceAll(own, nil) }

// ReplaceAll is [Limiter.Replace], with the classes that [Limiter.OfClass] knows.
func (l *Limiter) ReplaceAll(own map[tenant.Name]OwnLimits, classes map[string]Limits) {
	t := &overrides{of: make(map[tenant.Name]*OwnLimits, len(own)), classes: make(map[string]*Limits, len(classes))}
	for name, limits := range own {
		t.of[name] = &limits
	}
	for name, limits := range classes {
		t.classes[name] = &limits
	}
	l.overrides.Store(t)
}

// Classes are the names of the classes in force, sorted.
func (l *Limiter) Classes() []string {
	return slices.Sorted(maps.Keys(l.overrides.Load().classes))
}

// OfClass is the limits of a request that a grant holds to those of a class, whatever the tenants' own are. It is
// counted for each of the tenants, apart from their other requests: two rates for one count would be none. A class
// that does not exist is an error.
func (l *Limiter) OfClass(tenants []tenant.Name, class string) (*Effective, error) {
	own := l.overrides.Load().classes[class]
	if own == nil {
		return nil, fmt.Errorf("there is no class %q of limits", class)
	}
	s := &Effective{Limits: *own, hits: &l.hits, tenants: make([]member, 0, len(tenants))}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(tenants))) {
		s.tenants = append(s.tenants, member{name: name + tenant.Name("("+class+")"), limits: own, class: class}) // no name has parentheses
	}
	return s, nil
}

// Of is the limits of a request of these tenants. Without a tenant there is
// nothing that a request may do.
func (l *Limiter) Of(tenants []tenant.Name) *Effective {
	s := &Effective{hits: &l.hits}
	if s.tenants = s.one[:]; len(tenants) != 1 {
		s.tenants = make([]member, len(tenants))
	}
	t := l.overrides.Load()
	for i, name := range tenants {
		own, class := &l.config.Limits, NoClass
		if found := t.of[name]; found != nil {
			own, class = &found.Limits, found.Class
		}
		s.tenants[i] = member{name: name, limits: own, class: cmp.Or(class, ownClass)}
		if i == 0 {
			s.Limits = *own
		} else {
			s.Limits = strictest(s.Limits, *own)
		}
	}
	if len(tenants) > 1 { // in the same order, whatever the token's: see FairSemaphore.AcquireAll
		slices.SortFunc(s.tenants, func(a, b member) int { return cmp.Compare(a.name, b.name) })
		s.tenants = slices.CompactFunc(s.tenants, func(a, b member) bool { return a.name == b.name })
	}
	return s
}

// Memory is the budget of what is buffered for callers.
func (l *Limiter) Memory() *Memory { return l.memory }

// Hits is how often a limit was hit.
func (l *Limiter) Hits(limit Limit) uint64 { return l.hits[limit].Load() }

// Queries is how many queries are in flight at Loki, and how many wait for a slot.
func (l *Limiter) Queries() (inFlight, waiting int) { return l.queries.Load() }

// movingAverage is how long something takes, with more weight on the latest.
type movingAverage struct{ nanos atomic.Int64 }

// note adds a duration, with a weight of an eighth. Where two are added at once one may be lost: it is an
// estimate.
func (a *movingAverage) note(d time.Duration) {
	old := a.nanos.Load()
	a.nanos.Store(old + (int64(d)-old)/8)
}

// Bounds of Retry-After, where a caller waits for a request to end.
const (
	leastPause = time.Second
	mostPause  = 30 * time.Second
)

func (a *movingAverage) pause() time.Duration {
	return min(max(time.Duration(a.nanos.Load()), leastPause), mostPause)
}
