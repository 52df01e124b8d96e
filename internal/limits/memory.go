package limits

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/logfence/logfence/internal/tenant"
)

// MemoryUse is what memory is reserved for. Each use has a share of the budget of its own, so that no use
// waits for another: a request may hold memory of an earlier use while it waits for that of a later one, in
// the order of these constants.
type MemoryUse int

// The uses.
const (
	MemoryBodies  MemoryUse = iota // forms and JSON of requests
	MemoryTails                    // lines that the viewers of a query share
	MemoryViewers                  // viewers of tails: what each has beside its connection
	MemoryPages                    // responses of Loki that are decoded: of context, of exports, of tails that begin or resume
	// MemoryUses is how many uses there are.
	MemoryUses
)

// String names the use in metrics.
func (u MemoryUse) String() string { return memoryShares[u].name }

// memoryShares are how the budget is divided, in eighths; how much a tenant may hold and still be given memory of the
// floor; and how many requests of a tenant may wait. Bodies are few: what waits for one holds a connection and some 50 KB
// which no budget counts.
var memoryShares = [MemoryUses]struct {
	name    string
	eighths int64
	first   int64
	waiting int
}{
	MemoryBodies:  {name: "bodies", eighths: 1, first: 256 << 10, waiting: 64},
	MemoryTails:   {name: "tails", eighths: 1, first: 1 << 20, waiting: 512},
	MemoryViewers: {name: "viewers", eighths: 1, first: 1 << 20, waiting: 512},
	MemoryPages:   {name: "pages", eighths: 5, first: 8 << 20, waiting: 512},
}

// MinMemory is the smallest budget: one response of context fits into its pages.
const MinMemory = 32 << 20

// maxMemoryWaiting is how many requests of all tenants may wait for memory of a use.
const maxMemoryWaiting = maxWaiting

// ErrNoMemory means that there was no room in the budget of memory in time. It is an [ErrOverloaded].
var ErrNoMemory = fmt.Errorf("%w: no room in the memory budget", ErrOverloaded)

// Memory is the budget of bytes that the process may hold for its callers at the same time: what is reserved
// never exceeds it. It is safe for use by many goroutines.
//
// It is fair between tenants. Those that wait are given memory round robin, one reservation each, in the order of
// arrival within a tenant. A quarter of each share is a floor for tenants that hold nothing yet (or very
// little): the others never take it, so that a tenant's first page waits only for the first pages of
// others. A large reservation is not overtaken by small ones for ever: while the next one in turn has no room,
// those behind it wait as well, but for those that the floor is for.
//
// golang.org/x/sync/semaphore's Weighted is not used: its one queue serves in the order of arrival, so one tenant's
// flood delays all others; it has no floor, no bound on those that wait, and nothing that is given back in
// part.
type Memory struct {
	maxWait   time.Duration
	onRefusal func(MemoryUse, string)
	pools     [MemoryUses]memoryPool
}

// memoryPool is the share of one use.
type memoryPool struct {
	size, floor, first int64
	maxTenantWaiting   int

	mu       sync.Mutex
	reserved int64 // what is reserved
	used     int64 // of that, what is known to be held
	waiting  int
	tenants  map[tenant.Name]*memoryTenant // only those that hold or wait
	queues   map[string]*memoryQueue       // only those of which somebody waits, by their tenants
	order    list[*memoryQueue]            // round robin
}

// memoryTenant is what a tenant holds, and how many of its requests hold or wait.
type memoryTenant struct {
	name    tenant.Name
	held    int64
	waiting int
	users   int
}

// memoryQueue is the requests of the same tenants that wait.
type memoryQueue struct {
	name    string
	tenants []*memoryTenant
	waiting list[*memoryWaiter]
	place   *node[*memoryQueue]
}

type memoryWaiter struct {
	bytes   int64
	granted chan struct{} // closed when the memory is reserved
}

// MemoryOwner is who memory is reserved for.
type MemoryOwner struct {
	// Tenants are distinct and sorted; what is reserved counts for each of them.
	Tenants []tenant.Name
	// Class is that of the tenants, for metrics: a name that the operator has chosen.
	Class string
}

// NewMemory divides a budget of so many bytes. maxWait is how long a request waits for room; 0 is for ever.
func NewMemory(budget int64, maxWait time.Duration) (*Memory, error) {
	if budget < MinMemory {
		return nil, fmt.Errorf("memory budget: %d bytes; at least %d are needed", budget, int64(MinMemory))
	}
	m := &Memory{maxWait: maxWait, onRefusal: func(MemoryUse, string) {}}
	for use := range m.pools {
		share := memoryShares[use]
		p := &m.pools[use]
		p.size = budget / 8 * share.eighths
		p.floor, p.first = p.size/4, min(share.first, p.size/16)
		p.maxTenantWaiting = share.waiting
		p.tenants, p.queues = map[tenant.Name]*memoryTenant{}, map[string]*memoryQueue{}
	}
	return m, nil
}

// OnRefusal has f called for each request that gets no memory, with the class of its tenants. It is called before
// the budget is used.
func (m *Memory) OnRefusal(f func(use MemoryUse, class string)) { m.onRefusal = f }

// Size is the share of a use: no reservation can be larger.
func (m *Memory) Size(use MemoryUse) int64 { return m.pools[use].size }

// Reserve waits for so many bytes, no longer than the budget's maxWait. Without them the error is [ErrNoMemory],
// or the context's. A request waits for one reservation at a time, and reserves all that it needs of one use at
// once, before it fills any of it: it never waits for more while it holds some. The caller releases it.
func (m *Memory) Reserve(ctx context.Context, use MemoryUse, owner MemoryOwner, bytes int64) (*Reservation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &m.pools[use]
	if bytes < 0 || bytes > p.size || len(owner.Tenants) == 0 {
		return nil, fmt.Errorf("reserve %d bytes of %d for %d tenants", bytes, p.size, len(owner.Tenants))
	}
	q, place, err := p.enqueue(owner, bytes)
	if err == nil {
		err = p.wait(ctx, m.maxWait, q, place)
	}
	if errors.Is(err, ErrNoMemory) {
		m.onRefusal(use, owner.Class)
	}
	if err != nil {
		return nil, err
	}
	return &Reservation{pool: p, tenants: q.tenants, bytes: bytes}, nil
}

// enqueue puts a request at the end of its tenants' queue, and serves it where there is room.
func (p *memoryPool) enqueue(owner MemoryOwner, bytes int64) (*memoryQueue, *node[*memoryWaiter], error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queue(owner.Tenants)
	place := q.waiting.pushBack(&memoryWaiter{bytes: bytes, granted: make(chan struct{})})
	p.waiting++
	for _, t := range q.tenants {
		t.users++
		t.waiting++
	}
	if q.place == nil {
		q.place = p.order.pushBack(q)
	}
	p.serve()
	if isGranted(place) || p.waiting <= maxMemoryWaiting && !slices.ContainsFunc(q.tenants, p.crowded) {
		return q, place, nil
	}
	p.dequeue(q, place)
	p.forget(q.tenants)
	return nil, nil, ErrNoMemory
}

func isGranted(place *node[*memoryWaiter]) bool {
	select {
	case <-place.value.granted:
		return true
	default:
		return false
	}
}

func (p *memoryPool) crowded(t *memoryTenant) bool { return t.waiting > p.maxTenantWaiting }

func (p *memoryPool) queue(names []tenant.Name) *memoryQueue {
	name := string(names[0])
	if len(names) > 1 {
		var all strings.Builder
		for _, n := range names {
			fmt.Fprintf(&all, "%d:%s", len(n), n) // no two lists of tenants make the same name
		}
		name = all.String()
	}
	if q := p.queues[name]; q != nil {
		return q
	}
	q := &memoryQueue{name: name, tenants: make([]*memoryTenant, len(names))}
	for i, n := range names {
		t := p.tenants[n]
		if t == nil {
			t = &memoryTenant{name: n}
			p.tenants[n] = t
		}
		q.tenants[i] = t
	}
	p.queues[name] = q
	return q
}

func (p *memoryPool) wait(ctx context.Context, maxWait time.Duration, q *memoryQueue, place *node[*memoryWaiter]) error {
	if isGranted(place) {
		return nil
	}
	return waitUntil(ctx, place.value.granted, maxWait, func() error {
		p.leave(q, place)
		return ErrNoMemory
	})
}

// leave gives up a place in the queue, or the memory if it was given meanwhile.
func (p *memoryPool) leave(q *memoryQueue, place *node[*memoryWaiter]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if isGranted(place) {
		p.change(q.tenants, -place.value.bytes)
	} else {
		p.dequeue(q, place)
	}
	p.forget(q.tenants)
	p.serve()
}

// dequeue takes a request out of its queue, and an empty queue out of the order.
func (p *memoryPool) dequeue(q *memoryQueue, place *node[*memoryWaiter]) {
	q.waiting.remove(place)
	p.waiting--
	for _, t := range q.tenants {
		t.waiting--
	}
	if q.waiting.len == 0 {
		p.order.remove(q.place)
		q.place = nil
		delete(p.queues, q.name)
	}
}

// forget drops one user of each tenant, and the tenants that have none.
func (p *memoryPool) forget(tenants []*memoryTenant) {
	for _, t := range tenants {
		if t.users--; t.users == 0 {
			delete(p.tenants, t.name)
		}
	}
}

func (p *memoryPool) change(tenants []*memoryTenant, by int64) {
	p.reserved += by
	for _, t := range tenants {
		t.held += by
	}
}

// serve gives what is free to the queues, in turn: first to tenants that hold nothing, from all of the pool; then, if
// none of those is left without room, to the others, from all but the floor.
func (p *memoryPool) serve() {
	for _, floor := range []bool{true, false} {
		for {
			q, blocked := p.next(floor)
			if blocked {
				return
			}
			if q == nil {
				break
			}
			place := q.waiting.first
			p.order.remove(q.place)
			q.place = p.order.pushBack(q)
			p.dequeue(q, place)
			p.change(q.tenants, place.value.bytes)
			close(place.value.granted)
		}
	}
}

// next is the queue whose turn it is, of those that may take of the floor or of the others; nil where none
// waits. It is blocked where there is no room for it.
func (p *memoryPool) next(floor bool) (q *memoryQueue, blocked bool) {
	room := p.size - p.reserved
	if !floor {
		room -= p.floor
	}
	for at := p.order.first; at != nil; at = at.next {
		q := at.value
		bytes := q.waiting.first.value.bytes
		if p.isFirst(q.tenants, bytes) == floor {
			return q, bytes > room
		}
	}
	return nil, false
}

// isFirst reports whether the floor is for tenants that want so much.
func (p *memoryPool) isFirst(tenants []*memoryTenant, bytes int64) bool {
	for _, t := range tenants {
		if t.held > 0 && t.held+bytes > p.first {
			return false
		}
	}
	return true
}

// Reservation is memory that is reserved. The nil Reservation is none. It is safe for use by many goroutines.
type Reservation struct {
	pool    *memoryPool
	tenants []*memoryTenant

	// Guarded by the pool's lock.
	bytes  int64
	filled bool // the bytes count as used
	ended  bool
}

// Release gives back what is left of it. Calling it again does nothing.
func (r *Reservation) Release() {
	if r == nil {
		return
	}
	r.pool.mu.Lock()
	defer r.pool.mu.Unlock()
	if r.ended {
		return
	}
	r.set(0)
	r.ended = true
	r.pool.forget(r.tenants)
	r.pool.serve()
}

// Fill says that no more than so many bytes are held from now on, and gives back the rest.
func (r *Reservation) Fill(bytes int64) {
	if r == nil {
		return
	}
	r.pool.mu.Lock()
	defer r.pool.mu.Unlock()
	if r.ended {
		return
	}
	if !r.filled {
		r.filled = true
		r.pool.used += r.bytes
	}
	r.set(max(0, min(bytes, r.bytes)))
	r.pool.serve()
}

// growFactor is how many times as much a tenant may hold by growing as is left for others then: one tenant alone grows to
// three quarters of what is beside the floor, two to three sevenths each. So there is always room for one that comes
// later, and nobody has to know how many there are. (Choudhury and Hahne, "Dynamic queue length thresholds for
// shared-memory packet switches", 1998.)
const growFactor = 3

// TryGrow takes so many bytes more, and reports whether it has: without waiting, never of the floor, not
// while others wait, and not beyond the tenants' share of what can grow. So it cannot be in the way of what others hold.
func (r *Reservation) TryGrow(bytes int64) bool {
	if r == nil {
		return true
	}
	p := r.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.ended || p.waiting > 0 || p.overShare(r.tenants, bytes) {
		return false
	}
	r.set(r.bytes + bytes)
	return true
}

// OverShare reports whether a tenant of the reservation's holds more than it could have grown to: others have grown, or
// have reserved memory, since. The holder of what has grown should then give back a part of it.
func (r *Reservation) OverShare() bool {
	if r == nil {
		return false
	}
	r.pool.mu.Lock()
	defer r.pool.mu.Unlock()
	return r.pool.overShare(r.tenants, 0)
}

// overShare reports whether one of the tenants would have more than its share with so many bytes more.
func (p *memoryPool) overShare(tenants []*memoryTenant, more int64) bool {
	left := p.size - p.floor - p.reserved - more
	return slices.ContainsFunc(tenants, func(t *memoryTenant) bool { return t.held+more > growFactor*left })
}

// set changes what is held; the caller holds the pool's lock.
func (r *Reservation) set(bytes int64) {
	by := bytes - r.bytes
	r.bytes = bytes
	r.pool.change(r.tenants, by)
	if r.filled {
		r.pool.used += by
	}
}

// MemoryStats are the figures of one use.
type MemoryStats struct {
	// Size is the share of the budget. Reserved is how much of it is taken, and Used how much of that is
	// known to be held: a page is reserved before its size is known.
	Size, Reserved, Used int64
	// Waiting is how many requests wait for room.
	Waiting int
}

// Stats returns the figures of a use.
func (m *Memory) Stats(use MemoryUse) MemoryStats {
	p := &m.pools[use]
	p.mu.Lock()
	defer p.mu.Unlock()
	return MemoryStats{Size: p.size, Reserved: p.reserved, Used: p.used, Waiting: p.waiting}
}
