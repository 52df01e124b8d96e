package tail

import (
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// Bounds of what is held back for a viewer: beyond them, lines are held for a shorter time.
const (
	heldLines = 8192
	heldBytes = 1 << 20
)

// held are the lines of a viewer that wants late ones in order. Each is held for the delay; then it is handed over after
// all that are older. The nil held holds nothing.
type held struct {
	delay   time.Duration
	entries []loki.Entry // by time
	bytes   int64
	came    []arrival
	cursor  Cursor
}

type arrival struct {
	at     time.Time
	newest int64
}

// start sets the position before the first line that is held.
func (h *held) start(at Cursor, entries []loki.Entry) {
	if h == nil {
		return
	}
	h.cursor = at.clone()
	for _, e := range entries {
		h.cursor.Add(e)
	}
}

// add takes the lines of a batch. Beyond the bounds, it returns the older half of all.
func (h *held) add(v *Viewer, b *Batch) *Batch {
	newest := b.Entries[0].Nanos
	for _, e := range b.Entries {
		newest = max(newest, e.Nanos)
	}
	size := sizeOfBatch(b)
	h.entries = append(h.entries, b.Entries...)
	sortByTime(h.entries)
	h.came = append(h.came, arrival{b.at, newest})
	h.bytes += size
	fits := v.quota.take(size)
	if !fits {
		v.quota.force(size)
	}
	if b.Drops.Count() > 0 {
		return &Batch{Drops: b.Drops}
	}
	if !fits || len(h.entries) > heldLines || h.bytes > heldBytes {
		return h.release(v, h.entries[len(h.entries)/2].Nanos)
	}
	return nil
}

// due returns the lines that have been held for long enough.
func (h *held) due(v *Viewer) *Batch {
	if h == nil || len(h.came) == 0 || time.Since(h.came[0].at) < h.delay {
		return nil
	}
	return h.release(v, h.came[0].newest)
}

// timer gives a value when lines are due.
func (h *held) timer() (due <-chan time.Time, stop func()) {
	if h == nil || len(h.came) == 0 {
		return nil, func() {}
	}
	timer := time.NewTimer(h.delay - time.Since(h.came[0].at))
	return timer.C, func() { timer.Stop() }
}

func (h *held) any() bool { return h != nil && len(h.entries) > 0 }

// all returns what is left.
func (h *held) all(v *Viewer) *Batch { return h.release(v, h.entries[len(h.entries)-1].Nanos) }

// release returns the lines up to a nanosecond, at most a batch.
func (h *held) release(v *Viewer, upTo int64) *Batch {
	n := 0
	for n < len(h.entries) && h.entries[n].Nanos <= upTo {
		n++
	}
	n = min(n, batchEnd(h.entries))
	b := &Batch{Entries: h.entries[:n:n]}
	for _, e := range b.Entries {
		h.cursor.Add(e)
	}
	b.id, b.size = h.cursor.String(), sizeOfBatch(b)
	h.entries = h.entries[n:]
	for len(h.came) > 0 && (len(h.entries) == 0 || h.came[0].newest < h.entries[0].Nanos) {
		h.came = h.came[1:]
	}
	left := int64(0)
	if len(h.entries) > 0 {
		left = max(0, h.bytes-b.size)
	}
	v.quota.give(h.bytes - left)
	h.bytes = left
	v.id = b.id
	if n == 0 {
		return nil
	}
	return b
}
