package tail

import (
	"sync"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// Bounds of what is handed over at once.
const (
	batchEntries = 500
	batchBytes   = 256 << 10
	// maxNamedDrops is how many of the entries that were dropped are named; all are counted.
	maxNamedDrops = 100
)

// Batch is what [Viewer.Next] returns. Viewers of the same query share it, and nobody changes it.
type Batch struct {
	// Entries are in the order of delivery, which is that of time but for lines that arrive late.
	Entries []loki.Entry
	Drops   Drops
	// Event is set instead of entries when something has happened to the tail.
	Event *Event

	id       string
	prints   []uint64 // of the entries
	size     int64    // that it counts in the memory budget, encoded forms included
	at       time.Time
	live     time.Time // since when the stream was live; the zero time if it was not
	before   uint64    // how many lines of the ring came before
	caughtUp bool      // it was queried, and may hold lines that were there before a viewer was
	same     *Batch    // one with the same entries and drops, whose encoded forms these are
	encoded  [formats]encoding
}

// ID is the position after the entries; empty where there is none.
func (b *Batch) ID() string { return b.id }

// print is the fingerprint of an entry.
func (b *Batch) print(i int) uint64 {
	if b.prints != nil {
		return b.prints[i]
	}
	return fingerprint(b.Entries[i])
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

// EventKind is what happens to a tail beside lines.
type EventKind int

// The kinds.
const (
	// EventInterrupted: nothing is read from Loki at present. It comes again with each failed attempt.
	EventInterrupted EventKind = iota + 1
	// EventResumed: the missed lines have been delivered, and the tail continues.
	EventResumed
	// EventPolling: Loki takes no more tails; new lines are queried every few seconds.
	EventPolling
	// EventTailing: Loki has taken a tail, and polling has ended.
	EventTailing
)

// Event is something that happens to a tail beside lines.
type Event struct {
	Kind EventKind
	// Since is when the interruption began.
	Since time.Time
	// NextTry is when Loki is tried next, of EventInterrupted.
	NextTry time.Time
	// From and Lines are of EventResumed: all lines from From on that Loki had when the tail was resumed have been
	// delivered, and so many of them had been missed.
	From  time.Time
	Lines int
}

// Format is a wire format that batches are encoded in.
type Format int

// The formats.
const (
	FormatEvents      Format = iota // data of a server-sent event
	FormatCategorized               // a message of Loki's, with categorized labels
	FormatMerged                    // a message of Loki's, with all labels on the stream
	formats
)

type encoding struct {
	once sync.Once
	text []byte
}

// Encoded returns the batch as encode writes it: it is called once for each format, however many viewers have the batch.
func (b *Batch) Encoded(f Format, encode func(*Batch) []byte) []byte {
	if b.same != nil {
		return b.same.Encoded(f, encode)
	}
	e := &b.encoded[f]
	e.once.Do(func() { e.text = encode(b) })
	return e.text
}

// sizeOfBatch is how much memory a batch counts for: its lines, and the same again for its encoded form.
func sizeOfBatch(b *Batch) int64 {
	const overhead = 512
	size := int64(overhead + len(b.id) + len(b.Drops.Named)*128)
	for _, e := range b.Entries {
		size += 2*int64(e.Size()) + 8
	}
	return size
}
