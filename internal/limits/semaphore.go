package limits

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logfence/logfence/internal/fielderror"
)

// ErrOverloaded means that as many callers wait as may wait in all.
var ErrOverloaded = errors.New("too many requests are waiting")

// ErrKeyOverloaded means that as many callers with the same key wait as may wait. It is an ErrOverloaded.
var ErrKeyOverloaded = fmt.Errorf("%w under the same key", ErrOverloaded)

// FairSemaphoreConfig bounds the slots of a [FairSemaphore].
type FairSemaphoreConfig struct {
	// AtOnce is how many callers hold a slot at the same time; 0 means as many as Go runs at once
	// (GOMAXPROCS), which is right for work that only computes.
	AtOnce int
	// PerKey is how many of them may have the same key; 0 means no bound of its own. Above AtOnce
	// it has no effect.
	PerKey int
	// QueuePerKey is how many callers with the same key may wait; 0 means that none does. A caller
	// beyond it is refused, so that one key's flood cannot hold memory.
	QueuePerKey int
	// Queue is how many callers may wait in all. It should be several times QueuePerKey: a key that
	// can fill the whole queue keeps the others out.
	Queue int
}

// Validate reports every field that is out of bounds, each as "Field: problem".
func (c FairSemaphoreConfig) Validate() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value int
	}{{"AtOnce", c.AtOnce}, {"PerKey", c.PerKey}, {"QueuePerKey", c.QueuePerKey}, {"Queue", c.Queue}} {
		if f.value < 0 {
			errs = append(errs, fielderror.New(f.name, "%d is negative; write 0 or more", f.value))
		}
	}
	if c.QueuePerKey > max(c.Queue, 0) {
		errs = append(errs, fielderror.New("QueuePerKey", "%d is more than may wait in all; write at most %d", c.QueuePerKey, max(c.Queue, 0)))
	}
	return errors.Join(errs...)
}

// FairSemaphore is a semaphore that is fair between keys: a caller that waits is queued under its key, and
// free slots go round robin to the keys that wait, one each. A key that begins to wait, or that waits again
// below its PerKey, joins at the end. Within a key it is first come, first served. It is safe for use by many
// goroutines.
//
// A caller may need a slot of several keys: it is served when each of them has room, and until then holds
// none of them, so that callers with keys in common cannot deadlock. It takes part in the round robin as a key
// of its own. Where its keys never have room at the same time it waits until it times out or leaves.
//
// golang.org/x/sync/semaphore is not used: its one queue favours the key that sends most.
type FairSemaphore struct {
	perKey, queuePerKey, maxQueued int

	mu       sync.Mutex
	free     int
	held     int
	queued   int
	queues   map[string]*queue // only keys that hold a slot or wait: an idle key costs nothing
	groups   map[string]*group // those of several keys, while somebody waits
	runQueue list[*group]      // those that can be given a slot, the next one first
}

// SlotRequest is a key that a slot is requested under, with bounds of its own.
type SlotRequest struct {
	Key string
	// PerKey is how many slots of the key may be held at the same time, QueuePerKey how many callers may
	// wait under it; those of the latest request hold.
	PerKey, QueuePerKey int
}

// queue is one key's slots and waiters.
type queue struct {
	key         string
	held        int
	waiting     int
	perKey      int
	queuePerKey int
	own         group    // the waiters for a slot of this key only
	shared      []*group // the groups that wait for this key among others
}

// group is the waiters for slots of the same keys.
type group struct {
	name    string
	queues  []*queue
	waiting list[*waiter]
	inRun   *node[*group] // nil when nobody waits, or when a key holds as many slots as it may
}

// waiter is one caller that waits. Its channel is closed when it is given a slot.
type waiter struct {
	granted chan struct{}
}

// NewFairSemaphore makes a semaphore, or reports every mistake in c.
func NewFairSemaphore(c FairSemaphoreConfig) (*FairSemaphore, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("fair semaphore: %w", err)
	}
	if c.AtOnce == 0 {
		c.AtOnce = runtime.GOMAXPROCS(0)
	}
	if c.PerKey == 0 {
		c.PerKey = c.AtOnce
	}
	return &FairSemaphore{
		perKey: c.PerKey, queuePerKey: c.QueuePerKey, maxQueued: c.Queue,
		free:   c.AtOnce,
		queues: make(map[string]*queue), groups: make(map[string]*group),
	}, nil
}

// Acquire waits for a slot under the key. The release that comes with it gives the slot back; calling
// it again does nothing. Without a slot the error is [ErrOverloaded], or the context's when the caller
// left first, also when it left in the instant in which it was given its slot.
func (s *FairSemaphore) Acquire(ctx context.Context, key string) (release func(), err error) {
	return s.AcquireAll(ctx, 0, []SlotRequest{{Key: key, PerKey: s.perKey, QueuePerKey: s.queuePerKey}})
}

// AcquireAll is Acquire for one slot that counts under each of the keys, which are distinct and always in
// the same order. Unless maxWait is 0 it waits no longer than that: then the error is [ErrKeyOverloaded] where
// a key holds as many slots as it may, and ErrOverloaded where all slots are held.
func (s *FairSemaphore) AcquireAll(ctx context.Context, maxWait time.Duration, requests []SlotRequest) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	g, place, err := s.enqueue(requests)
	if err != nil {
		return nil, err
	}
	if place != nil {
		if err := s.wait(ctx, maxWait, g, place); err != nil {
			return nil, err
		}
	}
	return (&slot{of: s, group: g}).release, nil
}

// slot is a slot that is held, to be given back once.
type slot struct {
	of       *FairSemaphore
	group    *group
	released atomic.Bool
}

func (h *slot) release() {
	if !h.released.Swap(true) {
		h.of.giveBack(h.group)
	}
}

func (s *FairSemaphore) wait(ctx context.Context, maxWait time.Duration, g *group, place *node[*waiter]) error {
	return waitUntil(ctx, place.value.granted, maxWait, func() error {
		if s.leave(g, place) {
			return ErrOverloaded
		}
		return ErrKeyOverloaded
	})
}

// waitUntil waits until something is granted. Where the wait is over before, or the context, it gives up the place in
// the queue; the error is the context's, or what giving up returns. A maxWait of 0 is for ever.
func waitUntil(ctx context.Context, granted <-chan struct{}, maxWait time.Duration, giveUp func() error) error {
	var timeout <-chan time.Time // nil waits for ever
	if maxWait > 0 {
		timer := time.NewTimer(maxWait)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-granted:
		return nil
	case <-ctx.Done():
		_ = giveUp()
		return ctx.Err()
	case <-timeout:
		return giveUp()
	}
}

// Load returns how many slots are held, and how many callers wait.
func (s *FairSemaphore) Load() (held, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held, s.queued
}

// enqueue takes a slot at once (no place), or a place in the queue.
func (s *FairSemaphore) enqueue(requests []SlotRequest) (*group, *node[*waiter], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.group(requests)
	// While a slot is free nobody waits who could take it (see serve), so taking it overtakes nobody.
	if s.free > 0 && g.hasRoom() {
		s.give(g)
		return g, nil, nil
	}
	if err := s.mayWait(g); err != nil {
		s.forget(g)
		return nil, nil, err
	}
	s.queued++
	for _, q := range g.queues {
		q.waiting++
	}
	if g.waiting.len == 0 && len(g.queues) > 1 {
		s.register(g)
	}
	place := g.waiting.pushBack(&waiter{granted: make(chan struct{})})
	s.schedule(g)
	return g, place, nil
}

// group finds the waiters for slots of just these keys, and brings the bounds up to date.
func (s *FairSemaphore) group(requests []SlotRequest) *group {
	if len(requests) == 1 {
		return &s.queue(requests[0]).own
	}
	var names strings.Builder
	queues := make([]*queue, len(requests))
	for i, r := range requests {
		fmt.Fprintf(&names, "%d:%s", len(r.Key), r.Key) // no two lists of keys make the same name
		queues[i] = s.queue(r)
	}
	if g := s.groups[names.String()]; g != nil {
		return g
	}
	return &group{name: names.String(), queues: queues}
}

func (s *FairSemaphore) queue(r SlotRequest) *queue {
	q := s.queues[r.Key]
	if q == nil {
		q = &queue{key: r.Key}
		q.own.queues = []*queue{q}
		q.perKey = r.PerKey
		s.queues[r.Key] = q
	}
	q.queuePerKey = r.QueuePerKey
	if q.perKey != r.PerKey { // the operator has changed it; a waiter may have room now
		q.perKey = r.PerKey
		s.scheduleAll(q)
		s.serve()
	}
	return q
}

func (s *FairSemaphore) mayWait(g *group) error {
	if s.queued >= s.maxQueued {
		return ErrOverloaded
	}
	for _, q := range g.queues {
		if q.waiting >= q.queuePerKey {
			return ErrKeyOverloaded
		}
	}
	return nil
}

func (g *group) hasRoom() bool {
	for _, q := range g.queues {
		if q.held >= q.perKey {
			return false
		}
	}
	return true
}

// register makes a group of several keys known, and unregister forgets it when nobody of it waits.
func (s *FairSemaphore) register(g *group) {
	s.groups[g.name] = g
	for _, q := range g.queues {
		q.shared = append(q.shared, g)
	}
}

func (s *FairSemaphore) unregister(g *group) {
	delete(s.groups, g.name)
	for _, q := range g.queues {
		q.shared = slices.DeleteFunc(q.shared, func(other *group) bool { return other == g })
	}
}

// leave gives up a place in the queue, or the slot if it was given meanwhile. It returns whether each of the
// keys had room, so that only the slots of other keys were missing.
func (s *FairSemaphore) leave(g *group, place *node[*waiter]) (hadRoom bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-place.value.granted:
		s.take(g)
		return true
	default:
	}
	hadRoom = g.hasRoom()
	s.dequeue(g, place)
	s.schedule(g)
	s.forget(g)
	return hadRoom
}

// dequeue takes a place out of the queue.
func (s *FairSemaphore) dequeue(g *group, place *node[*waiter]) {
	g.waiting.remove(place)
	s.queued--
	for _, q := range g.queues {
		q.waiting--
	}
	if g.waiting.len == 0 && len(g.queues) > 1 {
		s.unregister(g)
	}
}

// giveBack frees a slot.
func (s *FairSemaphore) giveBack(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(g)
}

// give and take move one slot to and from the keys of a group; the caller holds the lock.
func (s *FairSemaphore) give(g *group) {
	s.free--
	s.held++
	for _, q := range g.queues {
		q.held++
		if q.held == q.perKey {
			s.scheduleAll(q)
		}
	}
}

func (s *FairSemaphore) take(g *group) {
	s.free++
	s.held--
	for _, q := range g.queues {
		q.held--
		s.scheduleAll(q)
	}
	s.serve()
	s.forget(g)
}

// scheduleAll is schedule for all groups that wait for a slot of the key.
func (s *FairSemaphore) scheduleAll(q *queue) {
	s.schedule(&q.own)
	for _, g := range q.shared {
		s.schedule(g)
	}
}

// schedule puts a group at the end of the run queue when it can be given a slot and is not there, and takes
// it out when it cannot.
func (s *FairSemaphore) schedule(g *group) {
	switch ready := g.waiting.len > 0 && g.hasRoom(); {
	case ready && g.inRun == nil:
		g.inRun = s.runQueue.pushBack(g)
	case !ready && g.inRun != nil:
		s.runQueue.remove(g.inRun)
		g.inRun = nil
	}
}

// forget drops the keys that neither hold a slot nor have waiters.
func (s *FairSemaphore) forget(g *group) {
	for _, q := range g.queues {
		if q.held == 0 && q.waiting == 0 {
			delete(s.queues, q.key)
		}
	}
}

// serve gives the free slots to the groups in the run queue, one each, and sends each to its end.
// After it a slot is free only if the run queue is empty.
func (s *FairSemaphore) serve() {
	for s.free > 0 && s.runQueue.first != nil {
		g := s.runQueue.first.value
		s.runQueue.remove(g.inRun)
		g.inRun = nil
		place := g.waiting.first
		s.dequeue(g, place)
		s.give(g)
		s.schedule(g)
		close(place.value.granted)
	}
}
