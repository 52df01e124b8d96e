package tail

import (
	"slices"
	"time"
)

// maxDedupLines bounds the memory of a tail: 64 KiB.
const maxDedupLines = 4096

// dedupWindow remembers the lines given last, so that looking back repeats none.
type dedupWindow struct {
	// base is where the tail's lines begin: nothing older is asked for.
	oldest int64
	// complete is from where on every line that was given is remembered.
	complete int64
	newest   int64
	lines    []deliveredLine // a ring
	next     int
	// resumed holds the lines of the nanosecond newest, for a tail that goes on from a mark.
	cursor Cursor
}

type deliveredLine struct {
	nanos       int64
	fingerprint uint64
}

// resume takes a mark's lines for given. Of older ones nothing is known: none is asked for.
func (r *dedupWindow) resume(m Cursor) {
	r.oldest, r.newest, r.cursor = m.nanos, m.nanos, m
	r.cursor.seen = slices.Clone(m.seen) // whoever holds the mark goes on to add lines to it
}

func (r *dedupWindow) add(nanos int64, fp uint64) {
	r.newest = max(r.newest, nanos)
	g := deliveredLine{nanos, fp}
	if len(r.lines) < maxDedupLines {
		r.lines = append(r.lines, g)
		return
	}
	r.complete = max(r.complete, r.lines[r.next].nanos+1)
	r.lines[r.next] = g
	r.next = (r.next + 1) % maxDedupLines
}

// from is where to look back to, when all that Loki had taken in by a time was given. The nanosecond of
// the newest line is looked at again even if not all of its lines are remembered: better repeated than lost.
func (r *dedupWindow) resumeFrom(lastSeen time.Time) int64 {
	back := r.newest
	if !lastSeen.IsZero() {
		back = max(back, lastSeen.UnixNano())
	}
	return max(back-int64(lookback), min(r.complete, r.newest), r.oldest)
}

// deliveredLines are lines that were given, each as often as it was.
type deliveredLines struct {
	counts       map[uint64]int
	cursorCounts map[uint64]int // of a mark, by short fingerprints
}

func (r *dedupWindow) deliveredSince(nanos int64) deliveredLines {
	k := deliveredLines{counts: map[uint64]int{}}
	for _, g := range r.lines {
		if g.nanos >= nanos {
			k.counts[g.fingerprint]++
		}
	}
	if r.cursor.nanos >= nanos && len(r.cursor.seen) > 0 {
		k.cursorCounts = map[uint64]int{}
		for _, s := range r.cursor.seen {
			k.cursorCounts[s]++
		}
	}
	return k
}

// take tells whether a line was given, and forgets it once.
func (k deliveredLines) take(fp uint64) bool {
	if k.counts[fp] > 0 {
		k.counts[fp]--
		return true
	}
	if s := fold48(fp); k.cursorCounts[s] > 0 {
		k.cursorCounts[s]--
		return true
	}
	return false
}
