package limits

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// ErrOverloaded is the answer when as many callers wait as may wait: for this key, or in all.
var ErrOverloaded = errors.New("too many requests are waiting")

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
// golang.org/x/sync/semaphore is not used: its one queue serves whoever sends most.
type Turns struct {
	perKey, queuePerKey, queue int

	mu     sync.Mutex
	free   int
	queued int
	keys   map[string]*line // only keys that hold a turn or wait: an idle key costs nothing
	ring   list[*line]      // the keys that can be given a turn, the next one first
}

// line is one key's turns and its waiting callers.
type line struct {
	key     string
	held    int
	waiting list[*waiter]
	inRing  *node[*line] // nil when nobody waits, or when the key holds as many turns as it may
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
		keys: make(map[string]*line),
	}, nil
}

// Acquire waits for a turn under the key. The release that comes with it gives the turn back; calling
// it again does nothing. Without a turn the error is [ErrOverloaded], or the context's when the caller
// left first, also when it left in the instant in which it was given its turn.
func (t *Turns) Acquire(ctx context.Context, key string) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, place, err := t.enter(key)
	if err != nil {
		return nil, err
	}
	if place != nil {
		select {
		case <-place.value.turn:
		case <-ctx.Done():
			t.leave(l, place)
			return nil, ctx.Err()
		}
	}
	return sync.OnceFunc(func() { t.giveBack(l) }), nil
}

// enter takes a turn at once (no place), or a place in the key's queue.
func (t *Turns) enter(key string) (*line, *node[*waiter], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.keys[key]
	if l == nil {
		l = &line{key: key}
	}
	// While a turn is free nobody waits who could take it (see serve), so taking it overtakes nobody.
	if t.free > 0 && l.held < t.perKey {
		t.keys[key] = l
		t.give(l)
		return l, nil, nil
	}
	if t.queued >= t.queue || l.waiting.len >= t.queuePerKey {
		return nil, nil, ErrOverloaded
	}
	t.keys[key] = l
	t.queued++
	place := l.waiting.pushBack(&waiter{turn: make(chan struct{})})
	t.stand(l)
	return l, place, nil
}

// leave gives up a place in the queue, or the turn if it was given meanwhile.
func (t *Turns) leave(l *line, place *node[*waiter]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-place.value.turn:
		t.take(l)
		return
	default:
	}
	l.waiting.remove(place)
	t.queued--
	t.stand(l)
}

// giveBack ends a turn.
func (t *Turns) giveBack(l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.take(l)
}

// give and take move one turn to and from a key; the caller holds the lock.
func (t *Turns) give(l *line) {
	t.free--
	l.held++
}

func (t *Turns) take(l *line) {
	t.free++
	l.held--
	t.stand(l)
	t.serve()
}

// stand puts the key at the end of the ring when it can be given a turn and is not there, takes it
// out when it cannot, and forgets a key that neither holds a turn nor waits.
func (t *Turns) stand(l *line) {
	switch ready := l.waiting.len > 0 && l.held < t.perKey; {
	case ready && l.inRing == nil:
		l.inRing = t.ring.pushBack(l)
	case !ready && l.inRing != nil:
		t.ring.remove(l.inRing)
		l.inRing = nil
	}
	if l.held == 0 && l.waiting.len == 0 {
		delete(t.keys, l.key)
	}
}

// serve gives the free turns to the keys in the ring, one each, and sends each to the ring's end.
// After it a turn is free only if the ring is empty.
func (t *Turns) serve() {
	for t.free > 0 && t.ring.first != nil {
		l := t.ring.first.value
		t.ring.remove(l.inRing)
		l.inRing = nil
		place := l.waiting.first
		l.waiting.remove(place)
		t.queued--
		t.give(l)
		t.stand(l)
		close(place.value.turn)
	}
}
