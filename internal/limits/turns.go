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
)

// ErrOverloaded is the answer when as many callers wait as may wait in all.
var ErrOverloaded = errors.New("too many requests are waiting")

// ErrCrowded is the answer when as many callers with the same key wait as may wait. It is an ErrOverloaded.
var ErrCrowded = fmt.Errorf("%w under the same key", ErrOverloaded)

// TurnsConfig bounds the turns that [Turns] gives.
type TurnsConfig struct {
	// AtOnce is how many callers hold a turn at the same time; 0 means as many as Go runs at once
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
func (c TurnsConfig) Validate() error {
	var errs []error
	for _, f := range []struct {
		name  string
		value int
	}{{"AtOnce", c.AtOnce}, {"PerKey", c.PerKey}, {"QueuePerKey", c.QueuePerKey}, {"Queue", c.Queue}} {
		if f.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %d is negative; write 0 or more", f.name, f.value))
		}
	}
	if c.QueuePerKey > max(c.Queue, 0) {
		errs = append(errs, fmt.Errorf("QueuePerKey: %d is more than may wait in all; write at most %d", c.QueuePerKey, max(c.Queue, 0)))
	}
	return errors.Join(errs...)
}

// Turns is a semaphore that is fair between keys: who waits is queued under its key, and turns that
// come free go round the keys that wait, one each; a key that begins to wait, or that waits again
// below its PerKey, joins at the end. Within a key it is first come, first served. Its methods may be used from many goroutines.
//
// A caller may draw on several keys: it is given its turn when each of them has room, or else holds none
// of them meanwhile, so that callers with keys in common cannot block each other for ever. It goes round
// as a key of its own. Where its keys are never free at the same time it waits in vain, until it leaves.
//
// golang.org/x/sync/semaphore is not used: its one queue serves whoever sends most.
type Turns struct {
	perKey, queuePerKey, queue int

	mu      sync.Mutex
	free    int
	held    int
	queued  int
	keys    map[string]*line  // only keys that hold a turn or wait: an idle key costs nothing
	parties map[string]*party // those of several keys, while somebody waits
	ring    list[*party]      // those that can be given a turn, the next one first
}

// Claim is a key that a turn is drawn on, with bounds of its own.
type Claim struct {
	Key string
	// PerKey is how many turns of the key may be held at the same time, QueuePerKey how many callers may
	// wait under it; those of the latest claim hold.
	PerKey, QueuePerKey int
}

// line is one key's turns.
type line struct {
	key         string
	held        int
	waiting     int
	perKey      int
	queuePerKey int
	alone       party    // who waits for a turn of this key only
	parties     []*party // all who wait for one of this key among others
}

// party is who waits for turns of the same keys.
type party struct {
	name    string
	lines   []*line
	waiting list[*waiter]
	inRing  *node[*party] // nil when nobody waits, or when a key holds as many turns as it may
}

// waiter is one caller that waits. Its channel is closed by whoever gives it a turn.
type waiter struct {
	turn chan struct{}
}

// NewTurns makes the turns that the configuration bounds.
func NewTurns(c TurnsConfig) (*Turns, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("turns: %w", err)
	}
	if c.AtOnce == 0 {
		c.AtOnce = runtime.GOMAXPROCS(0)
	}
	if c.PerKey == 0 {
		c.PerKey = c.AtOnce
	}
	return &Turns{
		perKey: c.PerKey, queuePerKey: c.QueuePerKey, queue: c.Queue,
		free: c.AtOnce,
		keys: make(map[string]*line), parties: make(map[string]*party),
	}, nil
}

// Acquire waits for a turn under the key. The release that comes with it gives the turn back; calling
// it again does nothing. Without a turn the error is [ErrOverloaded], or the context's when the caller
// left first, also when it left in the instant in which it was given its turn.
func (t *Turns) Acquire(ctx context.Context, key string) (release func(), err error) {
	return t.AcquireAll(ctx, 0, []Claim{{Key: key, PerKey: t.perKey, QueuePerKey: t.queuePerKey}})
}

// AcquireAll is Acquire for one turn that counts under each of the keys, which are distinct and always in
// the same order. Unless patience is 0 it waits no longer than that: then the error is [ErrCrowded] where
// a key holds as many turns as it may, and ErrOverloaded where all turns are held.
func (t *Turns) AcquireAll(ctx context.Context, patience time.Duration, claims []Claim) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, place, err := t.enter(claims)
	if err != nil {
		return nil, err
	}
	if place != nil {
		if err := t.wait(ctx, patience, p, place); err != nil {
			return nil, err
		}
	}
	return (&held{turns: t, by: p}).release, nil
}

// held is a turn, to be given back once.
type held struct {
	turns *Turns
	by    *party
	given atomic.Bool
}

func (h *held) release() {
	if !h.given.Swap(true) {
		h.turns.giveBack(h.by)
	}
}

func (t *Turns) wait(ctx context.Context, patience time.Duration, p *party, place *node[*waiter]) error {
	var passed <-chan time.Time // nil waits for ever
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-place.value.turn:
		return nil
	case <-ctx.Done():
		t.leave(p, place)
		return ctx.Err()
	case <-passed:
		if t.leave(p, place) {
			return ErrOverloaded
		}
		return ErrCrowded
	}
}

// Load tells how many turns are held, and how many callers wait.
func (t *Turns) Load() (held, waiting int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held, t.queued
}

// enter takes a turn at once (no place), or a place in the queue.
func (t *Turns) enter(claims []Claim) (*party, *node[*waiter], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.party(claims)
	// While a turn is free nobody waits who could take it (see serve), so taking it overtakes nobody.
	if t.free > 0 && p.hasRoom() {
		t.give(p)
		return p, nil, nil
	}
	if err := t.mayWait(p); err != nil {
		t.forget(p)
		return nil, nil, err
	}
	t.queued++
	for _, l := range p.lines {
		l.waiting++
	}
	if p.waiting.len == 0 && len(p.lines) > 1 {
		t.gather(p)
	}
	place := p.waiting.pushBack(&waiter{turn: make(chan struct{})})
	t.stand(p)
	return p, place, nil
}

// party finds who waits for turns of just these keys, and brings the bounds up to date.
func (t *Turns) party(claims []Claim) *party {
	if len(claims) == 1 {
		return &t.line(claims[0]).alone
	}
	var names strings.Builder
	lines := make([]*line, len(claims))
	for i, c := range claims {
		fmt.Fprintf(&names, "%d:%s", len(c.Key), c.Key) // no two lists of keys make the same name
		lines[i] = t.line(c)
	}
	if p := t.parties[names.String()]; p != nil {
		return p
	}
	return &party{name: names.String(), lines: lines}
}

func (t *Turns) line(c Claim) *line {
	l := t.keys[c.Key]
	if l == nil {
		l = &line{key: c.Key}
		l.alone.lines = []*line{l}
		l.perKey = c.PerKey
		t.keys[c.Key] = l
	}
	l.queuePerKey = c.QueuePerKey
	if l.perKey != c.PerKey { // the operator has changed it; somebody who waits may have room now
		l.perKey = c.PerKey
		t.standAll(l)
		t.serve()
	}
	return l
}

func (t *Turns) mayWait(p *party) error {
	if t.queued >= t.queue {
		return ErrOverloaded
	}
	for _, l := range p.lines {
		if l.waiting >= l.queuePerKey {
			return ErrCrowded
		}
	}
	return nil
}

func (p *party) hasRoom() bool {
	for _, l := range p.lines {
		if l.held >= l.perKey {
			return false
		}
	}
	return true
}

// gather makes a party of several keys known, and disperse forgets it when nobody of it waits.
func (t *Turns) gather(p *party) {
	t.parties[p.name] = p
	for _, l := range p.lines {
		l.parties = append(l.parties, p)
	}
}

func (t *Turns) disperse(p *party) {
	delete(t.parties, p.name)
	for _, l := range p.lines {
		l.parties = slices.DeleteFunc(l.parties, func(q *party) bool { return q == p })
	}
}

// leave gives up a place in the queue, or the turn if it was given meanwhile. It tells whether each of the
// keys had room, so that only the others' turns were in the way.
func (t *Turns) leave(p *party, place *node[*waiter]) (hadRoom bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-place.value.turn:
		t.take(p)
		return true
	default:
	}
	hadRoom = p.hasRoom()
	t.unqueue(p, place)
	t.stand(p)
	t.forget(p)
	return hadRoom
}

// unqueue takes a place out of the queue.
func (t *Turns) unqueue(p *party, place *node[*waiter]) {
	p.waiting.remove(place)
	t.queued--
	for _, l := range p.lines {
		l.waiting--
	}
	if p.waiting.len == 0 && len(p.lines) > 1 {
		t.disperse(p)
	}
}

// giveBack ends a turn.
func (t *Turns) giveBack(p *party) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.take(p)
}

// give and take move one turn to and from the keys of a party; the caller holds the lock.
func (t *Turns) give(p *party) {
	t.free--
	t.held++
	for _, l := range p.lines {
		l.held++
		if l.held == l.perKey {
			t.standAll(l)
		}
	}
}

func (t *Turns) take(p *party) {
	t.free++
	t.held--
	for _, l := range p.lines {
		l.held--
		t.standAll(l)
	}
	t.serve()
	t.forget(p)
}

// standAll is stand for all who wait for a turn of the key.
func (t *Turns) standAll(l *line) {
	t.stand(&l.alone)
	for _, p := range l.parties {
		t.stand(p)
	}
}

// stand puts a party at the end of the ring when it can be given a turn and is not there, and takes it out
// when it cannot.
func (t *Turns) stand(p *party) {
	switch ready := p.waiting.len > 0 && p.hasRoom(); {
	case ready && p.inRing == nil:
		p.inRing = t.ring.pushBack(p)
	case !ready && p.inRing != nil:
		t.ring.remove(p.inRing)
		p.inRing = nil
	}
}

// forget drops the keys that neither hold a turn nor are waited for.
func (t *Turns) forget(p *party) {
	for _, l := range p.lines {
		if l.held == 0 && l.waiting == 0 {
			delete(t.keys, l.key)
		}
	}
}

// serve gives the free turns to the parties in the ring, one each, and sends each to the ring's end.
// After it a turn is free only if the ring is empty.
func (t *Turns) serve() {
	for t.free > 0 && t.ring.first != nil {
		p := t.ring.first.value
		t.ring.remove(p.inRing)
		p.inRing = nil
		place := p.waiting.first
		t.unqueue(p, place)
		t.give(p)
		t.stand(p)
		close(place.value.turn)
	}
}
