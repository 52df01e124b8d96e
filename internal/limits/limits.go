package limits

import (
	"errors"
	"fmt"
	"time"
)

// Limits bound what one tenant may ask for, by all of its people and tokens together. Every field is
// required: a limit that is forgotten would be none.
type Limits struct {
	// Rate is how many requests the tenant may send a second in the long run, and Burst how many at once
	// after a rest: a dashboard sends one for each panel.
	Rate, Burst int
	// Queries is how many queries Loki may be asked at the same time, and Queue how many more may wait for
	// a slot; what comes beyond both is refused.
	Queries, Queue int
	// Exports is how many exports may be under way at the same time; each keeps Loki busy to its end.
	Exports int
	// MaxTails is how many live tails may be open; each holds a connection to Loki, and Loki has a bound
	// of its own (max_concurrent_tail_requests, 10 by default).
	MaxTails int
	// MaxQueryBytes is the longest LogQL text taken.
	MaxQueryBytes int
	// MaxDepth is how deep aggregations, functions and operators may stand in each other, and MaxSelectors
	// how many stream selectors a query may have: each is a query of its own to Loki.
	MaxDepth, MaxSelectors int
	// MaxRange is the widest span of time that one query may cover. Loki reads every chunk in it, so
	// one query over a year can keep it busy for all tenants.
	MaxRange time.Duration
	// MaxRangeVector is the longest range in brackets, such as [5m]. Loki reads as much before the span as
	// well. An offset is not bounded: it reads no more, but elsewhere.
	MaxRangeVector time.Duration
	// MaxPoints is how many points of each series a metric query may ask for. Loki has a bound of its own,
	// 11,000.
	MaxPoints int
	// MaxLines is the most lines that one query may ask for. Loki has a bound of its own
	// (max_entries_limit_per_query, 5,000 by default) and refuses what is above it.
	MaxLines int
	// MaxExportLines is the most lines that one export may write, over as many pages as that takes.
	MaxExportLines int
	// MaxAnswerBytes is the longest answer that is passed on, as Loki sends it: compressed, where it is.
	MaxAnswerBytes int
	// Timeout is how long Loki may take for an answer.
	Timeout time.Duration
}

// Validate reports every field that is missing or out of bounds, each as "Field: problem".
func (l Limits) Validate() error {
	var errs []error
	for _, f := range []struct {
		name           string
		value, example int
	}{
		{"Rate", l.Rate, 100},
		{"Burst", l.Burst, 300},
		{"Queries", l.Queries, 32},
		{"Exports", l.Exports, 4},
		{"MaxTails", l.MaxTails, 100},
		{"MaxQueryBytes", l.MaxQueryBytes, 16384},
		{"MaxDepth", l.MaxDepth, 32},
		{"MaxSelectors", l.MaxSelectors, 64},
		{"MaxPoints", l.MaxPoints, 11_000},
		{"MaxLines", l.MaxLines, 5000},
		{"MaxExportLines", l.MaxExportLines, 1_000_000},
		{"MaxAnswerBytes", l.MaxAnswerBytes, 256 << 20},
	} {
		if f.value <= 0 {
			errs = append(errs, fmt.Errorf("%s: %d lets nothing pass; write at least 1, such as %d", f.name, f.value, f.example))
		}
	}
	if l.Queue < 0 {
		errs = append(errs, unfit("Queue", "%d is negative; write 0 or more", l.Queue))
	}
	for _, f := range []struct {
		name    string
		value   time.Duration
		example string
	}{{"MaxRange", l.MaxRange, "720h"}, {"MaxRangeVector", l.MaxRangeVector, "720h"}, {"Timeout", l.Timeout, "60s"}} {
		if f.value <= 0 {
			errs = append(errs, fmt.Errorf("%s: %s lets no query pass; write more than 0s, such as %s", f.name, f.value, f.example))
		}
	}
	return errors.Join(errs...)
}

// strictest is the least of each bound of the two.
func strictest(a, b Limits) Limits {
	return Limits{
		Rate: min(a.Rate, b.Rate), Burst: min(a.Burst, b.Burst), Queries: min(a.Queries, b.Queries), Queue: min(a.Queue, b.Queue),
		Exports: min(a.Exports, b.Exports), MaxTails: min(a.MaxTails, b.MaxTails), MaxQueryBytes: min(a.MaxQueryBytes, b.MaxQueryBytes),
		MaxDepth: min(a.MaxDepth, b.MaxDepth), MaxSelectors: min(a.MaxSelectors, b.MaxSelectors),
		MaxRange: min(a.MaxRange, b.MaxRange), MaxRangeVector: min(a.MaxRangeVector, b.MaxRangeVector),
		MaxPoints: min(a.MaxPoints, b.MaxPoints), MaxLines: min(a.MaxLines, b.MaxLines), MaxExportLines: min(a.MaxExportLines, b.MaxExportLines),
		MaxAnswerBytes: min(a.MaxAnswerBytes, b.MaxAnswerBytes), Timeout: min(a.Timeout, b.Timeout),
	}
}
