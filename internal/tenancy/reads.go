package tenancy

import (
	"fmt"
	"time"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
)

// Read is what one selector of a query has Loki read: the streams that it selects, over the range in brackets before
// each point of the query's time range, all of it moved back by the offset.
type Read struct {
	Selector      Selector
	Range, Offset time.Duration // 0: none; an offset may be negative
}

// maxReadsBytes bounds the cache of [Fence.Reads].
const maxReadsBytes = 4 << 20

// Reads lists what a fenced query reads: one element for each of its selectors, in the order of its text. It parses the
// query unless the result is in the cache: see [Fence.CachedReads]. Each selector is one of the query's, with all of its
// matchers, which is proven.
func (f *Fence) Reads(q Query) ([]Read, error) {
	if reads, ok := f.reads.Get(q); ok {
		return reads, nil
	}
	if q.logql == "" {
		return nil, ErrScope
	}
	expr, err := parse(q.logql, syntax.ParseExpr)
	if err != nil {
		return nil, err
	}
	reads := make([]Read, 0, 1)
	// Walk, not Accept: Loki's DepthFirstTraversal (v3.7.8) passes over what label_replace holds.
	var rangeVector *syntax.LogRangeExpr
	expr.Walk(func(e syntax.Expr) bool {
		switch e := e.(type) {
		case *syntax.LogRangeExpr:
			rangeVector = e // its selector comes before those of others
		case *syntax.MatchersExpr:
			r, failed := q.read(e, rangeVector)
			if failed != nil && err == nil {
				err = failed
			}
			reads = append(reads, r)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	f.reads.Add(q, reads)
	return reads, nil
}

// CachedReads is what [Fence.Reads] returns, where that takes no parsing.
func (f *Fence) CachedReads(q Query) ([]Read, bool) { return f.reads.Get(q) }

// read makes a selector of one of the query's. It is printed by Loki, and has to come back from the parser as it was.
func (q Query) read(m *syntax.MatchersExpr, in *syntax.LogRangeExpr) (Read, error) {
	text := m.String()
	again, err := parse(text, syntax.ParseExpr)
	if err != nil {
		return Read{}, &UnsupportedError{Reason: unproven, Proof: "a printed selector does not parse: " + err.Error()}
	}
	if err := prove(m, again, nil, 1); err != nil {
		return Read{}, &UnsupportedError{Reason: unproven, Proof: fmt.Sprintf("a printed selector is another: %v", err)}
	}
	r := Read{Selector: Selector{logql: text, tenants: q.tenants, named: namesIn(m)}}
	if in != nil {
		r.Range, r.Offset = in.Interval, in.Offset
	}
	return r, nil
}

// readsWeight is about what the reads of a query take.
func readsWeight(q Query, reads []Read) int {
	weight := len(q.logql) + 200
	for _, r := range reads {
		weight += len(r.Selector.logql) + len(r.Selector.named) + 100
	}
	return weight
}

// filters reports whether a query looks at lines that it does not return, or counts them, so that Loki may read all of
// what is selected. A query for lines without a filter ends with the last line that it returns. It is
// what Loki calls a filter (HasFilter in its ast.go, v3.7.8).
func filters(e syntax.Expr) bool {
	if _, ok := e.(*syntax.MatchersExpr); ok {
		return false
	}
	p, ok := e.(*syntax.PipelineExpr)
	return !ok || p.HasFilter()
}
