package tail

import (
	"slices"
	"time"
)

// maxRecent bounds the memory of a tail: 64 KiB.
const maxRecent = 4096

// recent remembers the lines given last, so that looking back repeats none.
type recent struct {
	// base is where the tail's lines begin: nothing older is asked for.
	base int64
	// complete is from where on every line that was given is remembered.
	complete int64
	newest   int64
	given    []given // a ring
	next     int
	// resumed holds the lines of the nanosecond newest, for a tail that goes on from a mark.
	resumed Mark
}

type given struct {
	nanos int64
	print uint64
}

// resume takes a mark's lines for given. Of older ones nothing is known: none is asked for.
func (r *recent) resume(m Mark) {
	r.base, r.newest, r.resumed = m.nanos, m.nanos, m
	r.resumed.seen = slices.Clone(m.seen) // whoever holds the mark goes on to add lines to it
}

func (r *recent) add(nanos int64, print uint64) {
	r.newest = max(r.newest, nanos)
	g := given{nanos, print}
	if len(r.given) < maxRecent {
		r.given = append(r.given, g)
		return
	}
	r.complete = max(r.complete, r.given[r.next].nanos+1)
	r.given[r.next] = g
	r.next = (r.next + 1) % maxRecent
}

// from is where to look back to, when all that Loki had taken in by a time was given. The nanosecond of
// the newest line is looked at again even if not all of its lines are remembered: better repeated than lost.
func (r *recent) from(heard time.Time) int64 {
	back := r.newest
	if !heard.IsZero() {
		back = max(back, heard.UnixNano())
	}
	return max(back-int64(overlap), min(r.complete, r.newest), r.base)
}

// known are lines that were given, each as often as it was.
type known struct {
	counts map[uint64]int
	marked map[uint64]int // of a mark, by short fingerprints
}

func (r *recent) since(nanos int64) known {
	k := known{counts: map[uint64]int{}}
	for _, g := range r.given {
		if g.nanos >= nanos {
			k.counts[g.print]++
		}
	}
	if r.resumed.nanos >= nanos && len(r.resumed.seen) > 0 {
		k.marked = map[uint64]int{}
		for _, s := range r.resumed.seen {
			k.marked[s]++
		}
	}
	return k
}

// take tells whether a line was given, and forgets it once.
func (k known) take(print uint64) bool {
	if k.counts[print] > 0 {
		k.counts[print]--
		return true
	}
	if s := short(print); k.marked[s] > 0 {
		k.marked[s]--
		return true
	}
	return false
}
