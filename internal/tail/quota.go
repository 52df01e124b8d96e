package tail

import (
	"context"
	"sync"
)

// Room is memory that is reserved for a stream or a viewer, which have [BaseBytes] and [ViewerBytes] from the start:
// [limits.Reservation]. No method waits.
type Room interface {
	// TryGrow reserves more, and reports whether it has.
	TryGrow(bytes int64) bool
	// OverShare reports whether what has grown should be given back, since others have less.
	OverShare() bool
	// Fill keeps so many bytes, and gives back the rest.
	Fill(bytes int64)
	// Release gives back all.
	Release()
}

const (
	// BaseBytes is what is reserved for a stream from its start to its end: it can always deliver, with more drops
	// where there is no room for more. With more lines than fit, it grows in pieces of the same size.
	BaseBytes = 32 << 10
	// ViewerBytes is what is reserved for a viewer from its start to its end. It grows in pieces of the same size with what
	// is held for this viewer alone.
	//
	// A viewer of server-sent events has 44 KiB resident, measured with 2,000 of them: half of it is the stacks of its two
	// goroutines, a third the buffers of its connection. Connections are not in the budget, but in the half of the
	// process's memory that is beside it (see package limits). So this is no measure of a viewer, but bounds how many there
	// are: as many as fit into an eighth of the budget have no more in all than that half, less the 58 MiB of a process at
	// rest, for the 460 MiB that the chart gives it.
	ViewerBytes = 6 << 10
)

// roomOf reserves memory; without a function, there is as much as is wanted.
func roomOf(ctx context.Context, reserve func(context.Context) (Room, error)) (Room, error) {
	if reserve == nil {
		return unbounded{}, nil
	}
	return reserve(ctx)
}

type unbounded struct{}

func (unbounded) TryGrow(int64) bool { return true }
func (unbounded) OverShare() bool    { return false }
func (unbounded) Fill(int64)         {}
func (unbounded) Release()           {}

// quota counts what a stream or a viewer holds in memory, which is that of its room.
type quota struct {
	room  Room
	piece int64

	mu            sync.Mutex
	held, granted int64
}

func newQuota(r Room, piece int64) *quota { return &quota{room: r, piece: piece, granted: piece} }

// take counts so many bytes more, where there is room for them.
func (q *quota) take(bytes int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.grow(bytes) {
		return false
	}
	q.held += bytes
	return true
}

// force counts bytes that are needed to go on: there may be no room for them, and then none for others until they are
// given back.
func (q *quota) force(bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.grow(bytes)
	q.held += bytes
}

func (q *quota) grow(bytes int64) bool {
	missing := q.held + bytes - q.granted
	if missing <= 0 {
		return true
	}
	missing = (missing + q.piece - 1) / q.piece * q.piece
	if !q.room.TryGrow(missing) {
		return false
	}
	q.granted += missing
	return true
}

// overShare reports whether there is something to give back that others have a right to.
func (q *quota) overShare() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.granted > q.piece && q.room.OverShare()
}

// give counts so many bytes less. Two pieces are kept for what comes next.
func (q *quota) give(bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held -= bytes
	needed := max(q.held+q.piece-1, q.piece) / q.piece * q.piece
	if q.granted <= needed+q.piece && (q.held > 0 || q.granted == q.piece) {
		return
	}
	q.granted = needed
	q.room.Fill(needed)
}
