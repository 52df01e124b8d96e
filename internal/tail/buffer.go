package tail

import (
	"context"
	"sync"

	"github.com/logfence/logfence/internal/loki"
)

// Bounds of one tail's buffer, and of what is handed over at once.
const (
	bufferEntries = 8192
	bufferBytes   = 1 << 20
	batchEntries  = 500
	batchBytes    = 256 << 10
	// maxNamedDrops is how many of the entries that were dropped are named; all are counted.
	maxNamedDrops = 100
)

// Batch is what Next returns.
type Batch struct {
	// Entries are in the order of delivery, which is that of time but for lines that arrive late.
	Entries []loki.Entry
	Drops   Drops
}

// Drops are lines that were left out before a batch's entries.
type Drops struct {
	// Slow counts those dropped here, since the reader was slow; Loki those that Loki reports as dropped. Loki
	// drops others without reporting them.
	Slow, Loki int
	// Named are some of them.
	Named []loki.Dropped
}

// Count is how many lines were dropped.
func (d Drops) Count() int { return d.Slow + d.Loki }

// buffer holds the entries that the reader has not taken yet. At its bounds, and where its quota is used up, the
// oldest are dropped.
type buffer struct {
	quota *quota

	mu      sync.Mutex
	entries []loki.Entry // from head on
	head    int
	bytes   int
	lent    int64 // of the quota, for the batch that the reader has
	drops   Drops
	// added and removed get a value when an entry was added or removed.
	added, removed chan struct{}
}

func newBuffer(q *quota) *buffer {
	return &buffer{quota: q, added: make(chan struct{}, 1), removed: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (b *buffer) len() int { return len(b.entries) - b.head }

// push adds entries without waiting, and drops the oldest if there is no room.
func (b *buffer) push(entries []loki.Entry, dropped []loki.Dropped) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drops.Loki += len(dropped)
	b.name(dropped...)
	for _, e := range entries {
		for !b.hasRoom(e) {
			oldest := b.remove()
			b.quota.give(int64(oldest.Size()))
			b.drops.Slow++
			b.name(loki.Dropped{Nanos: oldest.Nanos, Labels: oldest.Labels})
		}
		b.add(e)
	}
	signal(b.added)
}

// hasRoom takes of the quota what the entry needs. A single one always has room.
func (b *buffer) hasRoom(e loki.Entry) bool {
	size := e.Size()
	switch {
	case b.len() == 0:
		b.quota.force(int64(size))
		return true
	case b.len() >= bufferEntries || b.bytes+size > bufferBytes:
		return false
	default:
		return b.quota.take(int64(size))
	}
}

func (b *buffer) name(dropped ...loki.Dropped) {
	room := max(0, maxNamedDrops-len(b.drops.Named))
	b.drops.Named = append(b.drops.Named, dropped[:min(room, len(dropped))]...)
}

// pushWait adds an entry, and waits while the buffer is full.
func (b *buffer) pushWait(ctx context.Context, e loki.Entry) error {
	for {
		b.mu.Lock()
		if b.hasRoom(e) {
			b.add(e)
			b.mu.Unlock()
			signal(b.added)
			return nil
		}
		b.mu.Unlock()
		select {
		case <-b.removed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *buffer) add(e loki.Entry) {
	if b.head > 0 && len(b.entries) == cap(b.entries) {
		// Moved to the front, so that the array grows with what is held and not with what has passed.
		n := copy(b.entries, b.entries[b.head:])
		clear(b.entries[n:])
		b.entries, b.head = b.entries[:n], 0
	}
	b.entries = append(b.entries, e)
	b.bytes += e.Size()
}

func (b *buffer) remove() loki.Entry {
	e := b.entries[b.head]
	b.entries[b.head] = loki.Entry{}
	b.head++
	b.bytes -= e.Size()
	return e
}

// take returns the buffered entries, up to a batch; false if there are none. The batch counts in the quota until the
// next one is taken: twice, since its reader encodes it.
func (b *buffer) take() (Batch, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.quota.give(b.lent)
	b.lent = 0
	batch := Batch{Drops: b.drops}
	b.drops = Drops{}
	for size := 0; b.len() > 0 && len(batch.Entries) < batchEntries && size < batchBytes; {
		e := b.remove()
		size += e.Size()
		b.quota.force(int64(e.Size()))
		b.lent += 2 * int64(e.Size())
		batch.Entries = append(batch.Entries, e)
	}
	if b.len() == 0 {
		// Frees the array of a burst.
		b.entries, b.head = nil, 0
	}
	signal(b.removed)
	return batch, len(batch.Entries) > 0 || batch.Drops.Count() > 0
}
