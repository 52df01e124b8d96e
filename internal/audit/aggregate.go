package audit

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// Requests without a tenant, such as those without a valid token, can be sent by anyone, at any rate: each with a
// record of its own, they could fill the disk, and where records are required that is an outage for all tenants. Beyond
// a rate they are counted, and one record for each outcome has how many there were.
const (
	aggregateRate  = 10  // records a second
	aggregateBurst = 100 // records at once
	aggregateEvery = 10 * time.Second
)

// aggregates counts the requests without records of their own. The lock of its Log guards it.
type aggregates struct {
	limiter *rate.Limiter
	counts  map[aggregateKey]*aggregate
	timer   *time.Timer // runs while there are counts
}

// aggregateKey has few values: codes are those of problems.
type aggregateKey struct {
	code   string
	status int
}

type aggregate struct {
	since string
	count uint64
	line  lineOutcome
}

// add counts a request without a tenant if it is one too many, and reports whether it has.
func (g *aggregates) add(d *AccessRecord, flush func()) bool {
	if g.limiter == nil {
		g.limiter = rate.NewLimiter(aggregateRate, aggregateBurst)
	}
	if g.limiter.Allow() {
		return false
	}
	if len(g.counts) == 0 {
		g.counts, g.timer = map[aggregateKey]*aggregate{}, time.AfterFunc(aggregateEvery, flush)
	}
	key := aggregateKey{d.Code, d.Status}
	counted := g.counts[key]
	if counted == nil {
		counted = &aggregate{since: lineTime(d.Time), line: lineOutcome{Outcome: d.Outcome(), Code: d.Code, Status: d.Status}}
		g.counts[key] = counted
	}
	counted.count++
	counted.line.Bytes += d.Bytes
	return true
}

// take returns a record of each count, in the order of codes and statuses, and begins anew.
func (g *aggregates) take() []line {
	if g.timer != nil {
		g.timer.Stop()
	}
	keys := slices.SortedFunc(maps.Keys(g.counts), func(a, b aggregateKey) int {
		return cmp.Or(cmp.Compare(a.code, b.code), cmp.Compare(a.status, b.status))
	})
	lines := make([]line, 0, len(keys))
	for _, key := range keys {
		counted := g.counts[key]
		lines = append(lines, line{
			Type: "audit", Stage: stageAggregate, Time: lineTime(time.Now()), Since: counted.since, Count: counted.count, lineOutcome: &counted.line,
		})
	}
	g.counts, g.timer = nil, nil
	return lines
}

// aggregated counts a request that gets no record of its own, and reports whether it is one.
func (a *Log) aggregated(d *AccessRecord) bool {
	if len(d.Tenants) > 0 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.aggregates.add(d, a.flushAggregates)
}

// flushAggregates writes the records of what was counted.
func (a *Log) flushAggregates() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writeAggregates()
}

func (a *Log) writeAggregates() {
	for _, r := range a.aggregates.take() {
		_ = a.appendLocked(r) // it logs what fails
	}
}
