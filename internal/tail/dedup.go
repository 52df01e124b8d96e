package tail

import "time"

// maxDedupLines bounds the memory of a tail: 128 KiB. All lines of a nanosecond fit that Loki returns at once.
const maxDedupLines = 8192

// dedupWindow holds the lines delivered last, so that a query for missed lines repeats none.
type dedupWindow struct {
	// oldest is where the tail's lines begin: nothing older is requested.
	oldest int64
	// complete is the time from which on every delivered line is in the window.
	complete int64
	newest   int64
	lines    []deliveredLine // a ring buffer
	next     int
}

type deliveredLine struct {
	nanos       int64
	fingerprint uint64
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

// resumeFrom is where a query for missed lines starts, if all that Loki had ingested by a time was delivered. The
// nanosecond of the newest line is included even if not all of its lines are in the window: a repeated line
// is better than a lost one.
func (r *dedupWindow) resumeFrom(lastSeen time.Time) int64 {
	back := r.newest
	if !lastSeen.IsZero() {
		back = max(back, lastSeen.UnixNano())
	}
	return max(back-int64(lookback), min(r.complete, r.newest), r.oldest)
}

// deliveredLines counts how often each line was delivered.
type deliveredLines map[uint64]int

func (r *dedupWindow) deliveredSince(nanos int64) deliveredLines {
	k := deliveredLines{}
	for _, g := range r.lines {
		if g.nanos >= nanos {
			k[g.fingerprint]++
		}
	}
	return k
}

// take reports whether a line was delivered, and removes it once.
func (k deliveredLines) take(fp uint64) bool {
	if k[fp] > 0 {
		k[fp]--
		return true
	}
	return false
}

// maxRecentLines bounds the memory of recentLines: about 64 KiB.
const maxRecentLines = 2048

// recentLines are the lines that Loki's tail brought last. It brings a line again when the ingester of another replica sends it
// later than the first (3.7.8, pkg/querier/tail/tail.go: what has been sent is forgotten), and when a client pushes it again.
// A query returns such a line once.
type recentLines struct {
	known map[uint64]struct{}
	order []uint64 // a ring buffer
	next  int
}

// add reports whether a line is a new one.
func (r *recentLines) add(fp uint64) bool {
	if _, known := r.known[fp]; known {
		return false
	}
	if len(r.order) < maxRecentLines {
		if r.known == nil {
			r.known = map[uint64]struct{}{}
		}
		r.order = append(r.order, fp)
	} else {
		delete(r.known, r.order[r.next])
		r.order[r.next] = fp
		r.next = (r.next + 1) % maxRecentLines
	}
	r.known[fp] = struct{}{}
	return true
}
