package tail

import "sync"

// Room is memory that is reserved for a tail, which has [BaseBytes] from the start: [limits.Reservation]. Neither
// method waits.
type Room interface {
	// TryGrow reserves more, and reports whether it has.
	TryGrow(bytes int64) bool
	// Fill keeps so many bytes, and gives back the rest.
	Fill(bytes int64)
}

// BaseBytes is what is reserved for a tail from its start to its end: it can always deliver, with more drops
// where there is no room for more. With more lines than fit, it grows in pieces of the same size.
const BaseBytes = 32 << 10

// quota counts what a tail holds in memory, which is that of its room.
type quota struct {
	room Room // nil: there is no bound

	mu            sync.Mutex
	held, granted int64
}

func newQuota(r Room) *quota { return &quota{room: r, granted: BaseBytes} }

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
	missing = (missing + BaseBytes - 1) / BaseBytes * BaseBytes
	if q.room != nil && !q.room.TryGrow(missing) {
		return false
	}
	q.granted += missing
	return true
}

// give counts so many bytes less. Two pieces are kept for what comes next.
func (q *quota) give(bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held -= bytes
	needed := max(q.held+BaseBytes-1, BaseBytes) / BaseBytes * BaseBytes
	if q.granted <= needed+BaseBytes && (q.held > 0 || q.granted == BaseBytes) {
		return
	}
	q.granted = needed
	if q.room != nil {
		q.room.Fill(needed)
	}
}
