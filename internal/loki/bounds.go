package loki

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/logfence/logfence/internal/tenancy"
)

// headerQueryLimits makes Loki enforce limits with one request, where querier.per_request_limits_enabled is set. Loki takes the
// stricter of each and of its own, so that the header cannot widen anything.
const headerQueryLimits = "X-Loki-Query-Limits"

// Bounds are what a query may take by the limits of the caller's tenants. They are enforced before Loki is sent the query; a Loki
// that honours [headerQueryLimits] enforces them as well. 0 is no bound.
type Bounds struct {
	Range       time.Duration // between start and end
	RangeVector time.Duration // in brackets
	Lines       int
	BytesRead   int64 // by Loki's estimate; sent with queries alone that read all that they select
}

// queryLimits is the value of the header (3.7.8, QueryLimits in pkg/util/querylimits), without the limits that have no counterpart
// here: maxQueryLookback and minimumLabelsNumber.
type queryLimits struct {
	RequiredLabels   []string `json:"requiredLabels"`
	MaxQueryLength   string   `json:"maxQueryLength,omitempty"`
	MaxQueryInterval string   `json:"maxQueryInterval,omitempty"`
	MaxEntries       int      `json:"maxEntriesLimitPerQuery,omitempty"`
	MaxQueryTime     string   `json:"maxQueryTime,omitempty"`
	MaxBytesRead     string   `json:"maxQueryBytesRead,omitempty"`
}

func (l queryLimits) text() string {
	text, _ := json.Marshal(l) // numbers and strings, which cannot fail
	return string(text)
}

// queryLimits is the header of a request for a tenant: the required label, and with a query its bounds. They are not sent with other
// operations, of which Loki reads some limits in another way.
func (c *Client) queryLimits(options RequestOptions, path string) string {
	l := queryLimits{RequiredLabels: []string{c.requiredLabel}}
	if path == apiPrefix+pathQueryRange || path == apiPrefix+pathQuery {
		b := options.Bounds
		if b.Range > 0 {
			// Loki's querier compares what is read, which begins a range in brackets before the start.
			l.MaxQueryLength = lokiDuration(b.Range + b.RangeVector)
		}
		l.MaxQueryInterval, l.MaxQueryTime, l.MaxEntries = lokiDuration(b.RangeVector), lokiDuration(options.Timeout), b.Lines
		if b.BytesRead > 0 {
			l.MaxBytesRead = strconv.FormatInt(b.BytesRead, 10) + "B"
		}
	}
	return l.text()
}

// bounded is the options of a query. Loki may widen the span of a range query by its step (align_queries_with_step).
func (o RequestOptions) bounded(q tenancy.Query, step time.Duration) RequestOptions {
	if o.Bounds.Range > 0 {
		o.Bounds.Range += step
	}
	if !q.ReadsAll() {
		o.Bounds.BytesRead = 0
	}
	return o
}

// lokiDuration is a duration in whole milliseconds, rounded up; empty: there is none.
func lokiDuration(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return strconv.FormatInt((d+time.Millisecond-1).Milliseconds(), 10) + "ms"
}
