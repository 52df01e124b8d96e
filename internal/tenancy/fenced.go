package tenancy

import (
	"strings"
	"time"

	"github.com/logfence/logfence/internal/tenant"
)

// Kind is what a query responds with.
type Kind int

// The kinds of query.
const (
	// KindUnknown is the kind of the zero [Query]; no operation takes it.
	KindUnknown Kind = iota
	// KindLogs is a query for log lines: a selector, with or without a pipeline.
	KindLogs
	// KindMetrics is a query for samples, expressions without a selector (`vector(1)`) included.
	KindMetrics
)

// String gives the word that the API uses for the kind.
func (k Kind) String() string {
	switch k {
	case KindLogs:
		return "logs"
	case KindMetrics:
		return "metrics"
	default:
		return "unknown"
	}
}

// Query is LogQL in which every stream selector carries the matchers of the [Scope] that made it.
// Only [Scope.Query] makes one; the zero Query holds no text and must be refused by every function that takes one.
type Query struct {
	logql   string
	tenants string // as in [Scope.joined]
	kind    Kind
	shape   Shape
	// readsAll is as [Query.ReadsAll].
	readsAll bool
}

// Shape is what a query's cost to Loki is judged by, which is not this package's to do.
type Shape struct {
	// Depth is how deep aggregations, functions and operators stand in each other, the selector at the
	// bottom included: 1 for log lines. A chain of operators (a + b + c) counts once.
	Depth int
	// Selectors is how many stream selectors there are.
	Selectors int
	// RangeVector is the longest range in brackets, such as [5m]; 0 where there is none.
	RangeVector time.Duration
}

// LogQL is the fenced text, to be sent to Loki as it is; empty for the zero Query.
func (q Query) LogQL() string { return q.logql }

// Tenants are the tenants of the scope that made the query, sorted; none for the zero Query.
func (q Query) Tenants() []tenant.Name { return tenant.Names(split(q.tenants)) }

// Shape is what the query's cost is judged by.
func (q Query) Shape() Shape { return q.shape }

// Kind is whether the query responds with lines or with samples.
func (q Query) Kind() Kind { return q.kind }

// ReadsAll reports whether Loki may have to read all that the query selects: false for lines without a filter, where it
// stops at the last line that it returns.
func (q Query) ReadsAll() bool { return q.readsAll }

// Selector is one stream selector that carries the matchers of the [Scope] that made it.
// Only [Scope.Selector] and [Scope.All] make one; the zero Selector must be refused.
type Selector struct {
	logql   string
	tenants string // as in [Scope.joined]
	named   string
}

// LogQL is the fenced text, to be sent to Loki as it is; empty for the zero Selector.
func (s Selector) LogQL() string { return s.logql }

// Tenants are the tenants of the scope that made the selector, sorted; none for the zero Selector.
func (s Selector) Tenants() []tenant.Name { return tenant.Names(split(s.tenants)) }

// Named are the labels that the caller's own text named, in its order; none for [Scope.All].
func (s Selector) Named() []string { return split(s.named) }

// split is the list of names that were joined by commas, which no name holds: the values of this package
// stay comparable.
func split(names string) []string {
	if names == "" {
		return nil
	}
	return strings.Split(names, ",")
}
