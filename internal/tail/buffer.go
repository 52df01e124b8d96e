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

// buffer holds the entries that the reader has not taken yet. At its bounds the oldest are dropped.
type buffer struct {
	mu      sync.Mutex
	entries []loki.Entry // from head on
	head    int
	bytes   int
	drops   Drops
	// added and removed get a value when an entry was added or removed.
	added, removed chan struct{}
}

func newBuffer() *buffer {
	return &buffer{added: make(chan struct{}, 1), removed: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (b *buffer) len() int { return len(b.entries) - b.head }

func (b *buffer) full() bool { return b.len() >= bufferEntries || b.bytes >= bufferBytes }

// push adds entries without waiting, and drops the oldest if there is no room.
func (b *buffer) push(entries []loki.Entry, dropped []loki.Dropped) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drops.Loki += len(dropped)
	b.name(dropped...)
	for _, e := range entries {
		b.add(e)
		for b.len() > bufferEntries || b.bytes > bufferBytes && b.len() > 1 {
			oldest := b.remove()
			b.drops.Slow++
			b.name(loki.Dropped{Nanos: oldest.Nanos, Labels: oldest.Labels})
		}
	}
	signal(b.added)
}

func (b *buffer) name(dropped ...loki.Dropped) {
	room := max(0, maxNamedDrops-len(b.drops.Named))
	b.drops.Named = append(b.drops.Named, dropped[:min(room, len(dropped))]...)
}

// pushWait adds an entry, and waits while the buffer is full.
func (b *buffer) pushWait(ctx context.Context, e loki.Entry) error {
	for {
		b.mu.Lock()
		if !b.full() {
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

// take returns the buffered entries, up to a batch; false if there are none.
func (b *buffer) take() (Batch, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	batch := Batch{Drops: b.drops}
	b.drops = Drops{}
	for size := 0; b.len() > 0 && len(batch.Entries) < batchEntries && size < batchBytes; {
		e := b.remove()
		size += e.Size()
		batch.Entries = append(batch.Entries, e)
	}
	if b.len() == 0 {
		// Frees the array of a burst.
		b.entries, b.head = nil, 0
	}
	signal(b.removed)
	return batch, len(batch.Entries) > 0 || batch.Drops.Count() > 0
}
