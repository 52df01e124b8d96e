package limits

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/logfence/logfence/internal/fielderror"
)

// Limits bound what one tenant may request, by all of its users and tokens together. Each field has a row in
// the table ([Table]), from which everything that is done with all limits follows.
type Limits struct {
	Rate, Burst    int
	Queries, Queue int
	Exports        int
	MaxTails       int
	MaxStreams     int

	MaxQueryBytes          int
	MaxDepth, MaxSelectors int
	MaxRange               time.Duration
	MaxRangeVector         time.Duration
	MaxPoints              int
	MaxLines               int
	MaxExportLines         int
	MaxAnswerBytes         int
	MaxQueryBytesRead      int64
	Timeout                time.Duration
}

// Limit is a row of the table.
type Limit int

// The limits, in the order in which they are documented.
const (
	LimitQueryBytes Limit = iota
	LimitDepth
	LimitSelectors
	LimitRange
	LimitRangeVector
	LimitPoints
	LimitLines
	LimitExportLines
	LimitAnswerBytes
	LimitQueryBytesRead
	LimitTimeout
	LimitRate
	LimitBurst
	LimitQueries
	LimitQueue
	LimitExports
	LimitTails
	LimitStreams
	limitCount
)

// Unit is what a limit is counted in.
type Unit int

// The units.
const (
	UnitNumber Unit = iota
	UnitBytes
	UnitDuration // in nanoseconds
)

// Descriptor is one row of the table: all there is to know of a limit. To add one, add a field to [Limits], a
// constant and a row, and call the check that refuses what is beyond it.
type Descriptor struct {
	Limit Limit
	// Key names the limit in the file of limits, in metrics and in the log.
	Key string
	// Setting is the variable, without LOGFENCE_, that sets it for all tenants without a value of their own.
	Setting string
	// Me is its name in the response of /api/v1/me; empty: it is not reported. Durations are in seconds.
	Me string
	// Class is the requests that it bounds.
	Class Class
	// Concurrency is whether it is how many requests of the class may be in flight.
	Concurrency bool
	Unit        Unit
	Default     int64
	// Min and Max bound what an operator may write; a Max of 0 is none.
	Min, Max int64
	// Code is that of the problem with which a request beyond the limit is refused; empty: none is, by this
	// limit alone.
	Code string
	// Meaning is for operators, Description for callers.
	Meaning, Description string

	field func(*Limits) any // *int, *int64 or *time.Duration
}

// maxQueryBytes is the longest text that Loki's parser takes (maxInputSize in its parser.go, v3.7.8), which
// package tenancy refuses whatever the limit is.
const maxQueryBytes = 131072 - 1

// Problem codes that several limits have.
const (
	codeTooComplex = "query_too_complex"
	codeTooWide    = "query_too_wide"
	codeTooMany    = "too_many_lines"
)

// NoReadBudget is the value of MaxQueryBytesRead from which on no estimate is requested of Loki.
const NoReadBudget = 1 << 50

var table = [limitCount]Descriptor{
	LimitQueryBytes: {
		Key: "max_query_bytes", Setting: "MAX_QUERY_BYTES", Me: "max_query_bytes", Class: ClassRequest,
		Unit: UnitBytes, Default: 16 << 10, Min: 1, Max: maxQueryBytes, Code: "query_too_long",
		Meaning:     "longest LogQL text taken",
		Description: "The longest LogQL text that is taken.",
		field:       func(l *Limits) any { return &l.MaxQueryBytes },
	},
	LimitDepth: {
		Key: "max_depth", Setting: "MAX_DEPTH", Me: "max_depth", Class: ClassQuery,
		Default: 32, Min: 1, Code: codeTooComplex,
		Meaning:     "how deep aggregations, functions and operators may be nested; a chain of operators counts once",
		Description: "How deep aggregations, functions and operators may be nested; a chain of operators counts once.",
		field:       func(l *Limits) any { return &l.MaxDepth },
	},
	LimitSelectors: {
		Key: "max_selectors", Setting: "MAX_SELECTORS", Me: "max_selectors", Class: ClassQuery,
		Default: 64, Min: 1, Code: codeTooComplex,
		Meaning:     "stream selectors that a query may have: Loki runs a query for each",
		Description: "The stream selectors that a query may have.",
		field:       func(l *Limits) any { return &l.MaxSelectors },
	},
	LimitRange: {
		Key: "max_range", Setting: "MAX_RANGE", Me: "max_range_seconds", Class: ClassQuery,
		// As Loki's: 30 days across a change of the clocks.
		Unit: UnitDuration, Default: int64(721 * time.Hour), Min: int64(time.Millisecond), Code: codeTooWide,
		Meaning:     "widest span of time that a query may cover; Loki reads every chunk in it",
		Description: "The widest span of time that a query may cover.",
		field:       func(l *Limits) any { return &l.MaxRange },
	},
	// An offset is not bounded: it reads no more, but elsewhere.
	LimitRangeVector: {
		Key: "max_range_vector", Setting: "MAX_RANGE_VECTOR", Me: "max_range_vector_seconds", Class: ClassQuery,
		Unit: UnitDuration, Default: int64(720 * time.Hour), Min: int64(time.Millisecond), Code: codeTooWide,
		Meaning:     "longest range in brackets, such as `[5m]`; Loki reads as much before the span as well",
		Description: "The longest range in brackets, such as `[5m]`.",
		field:       func(l *Limits) any { return &l.MaxRangeVector },
	},
	LimitPoints: {
		Key: "max_points", Setting: "MAX_POINTS", Me: "max_points", Class: ClassQuery,
		Default: 11_000, Min: 1, Code: "too_many_points",
		Meaning:     "points of each series that a metric query may request; Loki's own bound of 11,000 holds as well",
		Description: "The points of each series that a metric query may request.",
		field:       func(l *Limits) any { return &l.MaxPoints },
	},
	LimitLines: {
		Key: "max_lines", Setting: "MAX_LINES", Me: "max_lines", Class: ClassQuery,
		Default: 5000, Min: 1, Code: codeTooMany,
		Meaning:     "most lines that a query may request; Loki's `max_entries_limit_per_query` holds as well",
		Description: "The most lines that a query may request.",
		field:       func(l *Limits) any { return &l.MaxLines },
	},
	LimitExportLines: {
		Key: "export_max_lines", Setting: "EXPORT_MAX_LINES", Me: "max_export_lines", Class: ClassExport,
		Default: 1_000_000, Min: 1, Code: codeTooMany,
		Meaning:     "most lines that an export may write, over as many pages as that takes",
		Description: "The most lines that an export may write.",
		field:       func(l *Limits) any { return &l.MaxExportLines },
	},
	LimitAnswerBytes: {
		Key: "max_answer_bytes", Setting: "MAX_ANSWER_BYTES", Me: "max_answer_bytes", Class: ClassQuery,
		Unit: UnitBytes, Default: 256 << 20, Min: 1, Code: "answer_too_large",
		Meaning:     "longest response passed on, as Loki sends it (compressed, where it is); not for exports and tails",
		Description: "The longest response, as it is sent; not for exports and tails.",
		field:       func(l *Limits) any { return &l.MaxAnswerBytes },
	},
	LimitQueryBytesRead: {
		Key: "max_query_bytes_read", Setting: "MAX_QUERY_BYTES_READ", Me: "max_query_bytes_read", Class: ClassQuery,
		Unit: UnitBytes, Default: 1 << 40, Min: 1, Code: "query_reads_too_much",
		Meaning:     "most bytes that a query may have Loki read, by Loki's own estimate (`index/stats`); the estimate is requested before metric queries, and before queries and exports of lines with a filter; 1024TiB or more: none is requested",
		Description: "The most bytes that a query may read, by Loki's estimate.",
		field:       func(l *Limits) any { return &l.MaxQueryBytesRead },
	},
	LimitTimeout: {
		Key: "loki_timeout", Setting: "LOKI_TIMEOUT", Me: "timeout_seconds", Class: ClassQuery,
		Unit: UnitDuration, Default: int64(60 * time.Second), Min: int64(time.Millisecond),
		Meaning:     "longest wait for a response of Loki; not for exports and tails",
		Description: "How long Loki may take to respond.",
		field:       func(l *Limits) any { return &l.Timeout },
	},
	LimitRate: {
		Key: "rate", Setting: "TENANT_RATE", Me: "requests_per_second", Class: ClassRequest,
		Default: 100, Min: 1, Code: "rate_limited",
		Meaning:     "requests that a tenant may send a second, in the long run",
		Description: "The requests that a tenant may send a second, in the long run.",
		field:       func(l *Limits) any { return &l.Rate },
	},
	LimitBurst: {
		Key: "burst", Setting: "TENANT_BURST", Me: "burst", Class: ClassRequest,
		Default: 300, Min: 1,
		Meaning:     "requests that a tenant may send at once after a pause; a dashboard sends one or more for each panel",
		Description: "The requests that a tenant may send at once, after a pause.",
		field:       func(l *Limits) any { return &l.Burst },
	},
	LimitQueries: {
		Key: "queries", Setting: "TENANT_QUERIES", Me: "max_queries", Class: ClassQuery, Concurrency: true,
		Default: 32, Min: 1, Code: "too_many_queries",
		Meaning:     "queries of a tenant that are in flight at Loki at the same time",
		Description: "The queries of a tenant that may be in flight at once; some more wait.",
		field:       func(l *Limits) any { return &l.Queries },
	},
	LimitQueue: {
		Key: "queue", Setting: "TENANT_QUEUE", Class: ClassQuery,
		Default: 128, Min: 0,
		Meaning: "queries of a tenant that may wait for a slot",
		field:   func(l *Limits) any { return &l.Queue },
	},
	LimitExports: {
		Key: "exports", Setting: "TENANT_EXPORTS", Me: "max_exports", Class: ClassExport, Concurrency: true,
		Default: 4, Min: 1, Code: "too_many_exports",
		Meaning:     "exports of a tenant that may be in flight; each keeps Loki busy to its end",
		Description: "The exports of a tenant that may be in flight at once.",
		field:       func(l *Limits) any { return &l.Exports },
	},
	LimitTails: {
		Key: "max_tails", Setting: "TENANT_MAX_TAILS", Me: "max_tails", Class: ClassTail, Concurrency: true,
		Default: 100, Min: 1, Code: "too_many_tails",
		Meaning:     "live tails that a tenant may have open; Loki has a bound of its own, `max_concurrent_tail_requests`",
		Description: "The live tails that a tenant may have open.",
		field:       func(l *Limits) any { return &l.MaxTails },
	},
	LimitStreams: {
		Key: "max_streams", Setting: "TENANT_MAX_STREAMS", Me: "max_streams", Class: ClassStream, Concurrency: true,
		Default: 20, Min: 1, Code: "too_many_streams",
		Meaning:     "streams of lines that a tenant may have in flight; each uses up to 4 of its queries at Loki, and at most half of them",
		Description: "The streams of lines that a tenant may have in flight at once.",
		field:       func(l *Limits) any { return &l.MaxStreams },
	},
}

func init() { // a row's index is its limit
	for i := range table {
		table[i].Limit = Limit(i)
	}
}

// Table is every limit, in the order in which they are documented.
func Table() []Descriptor { return slices.Clone(table[:]) }

// String is the limit's key.
func (l Limit) String() string {
	if l < 0 || l >= limitCount {
		return "unknown"
	}
	return table[l].Key
}

// Code is that of the problem with which a request beyond the limit is refused.
func (l Limit) Code() string {
	if l < 0 || l >= limitCount {
		return ""
	}
	return table[l].Code
}

// Field is where the limits hold the value: an *int, an *int64 or a *[time.Duration].
func (d *Descriptor) Field(l *Limits) any { return d.field(l) }

// Get is the value in l.
func (d *Descriptor) Get(l *Limits) int64 {
	switch field := d.field(l).(type) {
	case *int:
		return int64(*field)
	case *int64:
		return *field
	case *time.Duration:
		return int64(*field)
	default:
		panic("limits: " + d.Key + " is neither a number nor a duration") // TestTable
	}
}

// Set puts a value into l.
func (d *Descriptor) Set(l *Limits, value int64) {
	switch field := d.field(l).(type) {
	case *int:
		*field = int(value)
	case *int64:
		*field = value
	case *time.Duration:
		*field = time.Duration(value)
	}
}

// DefaultText is the default as an operator writes it.
func (d *Descriptor) DefaultText() string { return d.Unit.text(d.Default) }

// check returns what is wrong with a value, and what to write instead; empty: nothing.
func (d *Descriptor) check(value int64) string {
	switch {
	case d.Max > 0 && (value < d.Min || value > d.Max):
		return "must be " + strconv.FormatInt(d.Min, 10) + " to " + d.Unit.text(d.Max) + " (got " + d.Unit.text(value) + ")"
	case value < d.Min:
		return "must be at least " + d.Unit.text(d.Min) + " (got " + d.Unit.text(value) + "); the default is " + d.DefaultText()
	default:
		return ""
	}
}

// Defaults are the limits of a tenant without limits of its own.
func Defaults() Limits {
	var l Limits
	for i := range table {
		table[i].Set(&l, table[i].Default)
	}
	return l
}

// Validate reports every limit that is missing or out of bounds, each as "key: problem".
func (l Limits) Validate() error {
	var errs []error
	for i := range table {
		if problem := table[i].check(table[i].Get(&l)); problem != "" {
			errs = append(errs, fielderror.New(table[i].Key, "%s", problem))
		}
	}
	return errors.Join(errs...)
}

// Report is the limits that callers see, by the names of /api/v1/me.
func (l Limits) Report() map[string]int64 {
	report := make(map[string]int64, limitCount)
	for i := range table {
		d := &table[i]
		switch value := d.Get(&l); {
		case d.Me == "":
		case d.Unit == UnitDuration:
			report[d.Me] = value / int64(time.Second)
		default:
			report[d.Me] = value
		}
	}
	return report
}

// strictest is the smaller of each limit of the two.
func strictest(a, b Limits) Limits {
	for i := range table {
		table[i].Set(&a, min(table[i].Get(&a), table[i].Get(&b)))
	}
	return a
}

// concurrencyOf is how many requests of a class a tenant may have in flight; nil: that is not bounded.
func concurrencyOf(c Class) func(*Limits) int {
	for i := range table {
		if d := &table[i]; d.Concurrency && d.Class == c {
			return func(l *Limits) int { return int(d.Get(l)) }
		}
	}
	return nil
}
