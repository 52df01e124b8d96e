package limits

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/tenant"
)

// roomy are limits that let the tests' requests pass, but for those that a test sets.
func roomy() Config {
	l := Defaults()
	l.Rate, l.Burst, l.Queries, l.Queue, l.Exports, l.MaxTails = 1000, 1000, 100, 100, 10, 10
	l.MaxQueryBytes, l.MaxDepth, l.MaxSelectors, l.MaxRangeVector = 1000, 10, 10, 24*time.Hour
	l.MaxExportLines, l.MaxAnswerBytes = 10_000, 1<<20
	return Config{Limits: l, AtOnce: 100, Wait: time.Second, Parsing: FairSemaphoreConfig{AtOnce: 1}}
}

func newLimiter(t testing.TB, c Config, options ...Option) *Limiter {
	t.Helper()
	l, err := New(c, options...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestCheckRange guarantees that a query spans MaxRange at most, and says so in days.
func TestCheckRange(t *testing.T) {
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name       string
		max        time.Duration
		start, end time.Time
		want       string
	}{
		{"exactly as wide as allowed", 7 * day, start, start.Add(7 * day), ""},
		{
			"one nanosecond wider", 7 * day, start, start.Add(7*day + 1),
			"The query spans 7d1ns; it may span 7d. Narrow start and end.",
		},
		{"a month", 7 * day, start, start.Add(31 * day), "The query spans 31d; it may span 7d. Narrow start and end."},
		{
			"hours and minutes", 90 * time.Minute, start, start.Add(day + 2*time.Hour),
			"The query spans 1d2h; it may span 1h30m. Narrow start and end.",
		},
		{
			"from the first to the last nanosecond that Loki can name", 720 * time.Hour,
			time.Unix(0, math.MinInt64), time.Unix(0, math.MaxInt64),
			"The query spans 106751d23h47m16.854775807s; it may span 30d. Narrow start and end.",
		},
		// The order of start and end is not a matter of cost.
		{"an end before its start", 7 * day, start, start.Add(-31 * day), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := roomy()
			c.MaxRange = tt.max
			check(t, newLimiter(t, c).Of([]tenant.Name{"acme"}).CheckRange(tt.start, tt.end), LimitRange, tt.want)
		})
	}
}

// TestChecks guarantees that what is exactly allowed passes, and what is beyond it is refused with what was
// requested, what is allowed and what to do, and counted.
func TestChecks(t *testing.T) {
	l := newLimiter(t, roomy())
	s := l.Of([]tenant.Name{"acme"})
	start := time.Unix(0, 0)
	for _, tt := range []struct {
		limit        Limit
		good, beyond error
		want         string
	}{
		{
			LimitLines, s.CheckLines(5000), s.CheckLines(5001),
			"The query requests 5001 lines; it may request 5000. Lower limit, or narrow start and end and repeat the query.",
		},
		{
			LimitExportLines, s.CheckExportLines(10_000), s.CheckExportLines(10_001),
			"The export requests 10001 lines; it may request 10000. Lower limit, or narrow start and end and repeat the export.",
		},
		{
			LimitQueryBytes, s.CheckQuery(1000), s.CheckQuery(1001),
			"The query is 1001 bytes long; the server's setting allows 1000. Shorten it, or ask your administrator to raise the setting.",
		},
		{
			LimitDepth, s.CheckShape(10, 1, 0), s.CheckShape(11, 1, 0),
			"The query is nested 11 deep; it may be 10. Split it into several.",
		},
		{
			LimitSelectors, s.CheckShape(1, 10, 0), s.CheckShape(1, 11, 0),
			"The query has 11 selectors; it may have 10. Split it into several, or select by a regular expression.",
		},
		{
			LimitRangeVector, s.CheckShape(1, 1, 24*time.Hour), s.CheckShape(1, 1, 25*time.Hour),
			"The query has a range of 1d1h in brackets; it may have 1d. Shorten it.",
		},
		{
			LimitPoints, s.CheckPoints(start, start.Add(11_000*time.Second), time.Second), s.CheckPoints(start, start.Add(720*time.Hour), time.Minute),
			"The query requests 43200 points of each series; it may request 11000. Make step 3m56s or longer, or narrow start and end.",
		},
		{
			LimitAnswerBytes, s.CheckResponse(1 << 20), s.CheckResponse(1<<20 + 1),
			"The response has 1048577 bytes or more; it may have 1048576. Request less: a shorter range, fewer lines, a narrower selector.",
		},
	} {
		check(t, tt.good, tt.limit, "")
		check(t, tt.beyond, tt.limit, tt.want)
		if n := l.Hits(tt.limit); n != 1 {
			t.Errorf("%s was hit once and counted %d times", tt.limit, n)
		}
	}
	// Without a step Loki chooses one; without a length the body has to be counted.
	check(t, s.CheckPoints(start, start.Add(720*time.Hour), 0), LimitPoints, "")
	check(t, s.CheckResponse(-1), LimitAnswerBytes, "")
	// What is advised is granted.
	if err := s.CheckPoints(start, start.Add(720*time.Hour), 3*time.Minute+56*time.Second); err != nil {
		t.Errorf("the step advised: %v", err)
	}
}

// TestUnionIsHeldToTheStrictest guarantees that several tenants are no way around the limits of one, for
// every limit, and that each tenant has its own where it is alone.
func TestUnionIsHeldToTheStrictest(t *testing.T) {
	l := newLimiter(t, roomy())
	for _, d := range Table() {
		strict := l.config.Limits
		d.Set(&strict, d.Min)
		l.Replace(map[tenant.Name]OwnLimits{"strict": {Limits: strict}})
		for _, tenants := range [][]tenant.Name{{"strict"}, {"a", "strict"}, {"strict", "z"}, {"strict", "strict"}} {
			if got := d.Get(&l.Of(tenants).Limits); got != d.Min {
				t.Errorf("%s of %v is %d, want the strictest", d.Key, tenants, got)
			}
		}
		if got := l.Of([]tenant.Name{"a"}).Limits; got != l.config.Limits {
			t.Errorf("a tenant without limits of its own has %+v", got)
		}
	}
}

// TestRequestsSeeOneSnapshot guarantees that a request is held to the limits that were in force when it began,
// and the next one to those that are.
func TestRequestsSeeOneSnapshot(t *testing.T) {
	l := newLimiter(t, roomy())
	before := l.Of([]tenant.Name{"acme"})
	own := l.config.Limits
	own.MaxLines = 7
	l.Replace(map[tenant.Name]OwnLimits{"acme": {Limits: own}})
	if after := l.Of([]tenant.Name{"acme"}); before.MaxLines != 5000 || after.MaxLines != 7 {
		t.Errorf("before %d, after %d lines", before.MaxLines, after.MaxLines)
	}
	l.Replace(nil)
	if again := l.Of([]tenant.Name{"acme"}); again.MaxLines != 5000 {
		t.Errorf("after its limits were taken out: %d lines", again.MaxLines)
	}
}

// TestNobodyMayNothing guarantees that a request without a tenant, whose limits nobody knows, is refused.
func TestNobodyMayNothing(t *testing.T) {
	l := newLimiter(t, roomy())
	if _, err := l.Admit(context.Background(), l.Of(nil), ClassQuery); err == nil {
		t.Error("a request of no tenant was admitted")
	}
	if err := l.Of(nil).CheckLines(1); err == nil {
		t.Error("a request of no tenant may request a line")
	}
}

// TestConfigValidate guarantees that every mistake is named by its field, those of Parsing as well.
func TestConfigValidate(t *testing.T) {
	c := roomy()
	c.MaxRange, c.MaxExportLines, c.Queue, c.AtOnce, c.Parsing = -time.Hour, -3, -1, 0, FairSemaphoreConfig{AtOnce: -1, Queue: -2}
	want := "max_range: must be at least 1ms (got -1h); the default is 721h\n" +
		"export_max_lines: must be at least 1 (got -3); the default is 1000000\n" +
		"queue: must be at least 0 (got -1); the default is 128\n" +
		"AtOnce: 0 lets nothing pass; write at least 1, such as 256\n" +
		"Parsing.AtOnce: -1 is negative; write 0 or more\nParsing.Queue: -2 is negative; write 0 or more"
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := roomy().Validate(); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
}

func check(t *testing.T, err error, limit Limit, detail string) {
	t.Helper()
	var exceeded *ExceededError
	switch {
	case detail == "" && err != nil:
		t.Errorf("got %v, want no error", err)
	case detail != "" && (!errors.As(err, &exceeded) || exceeded.Limit != limit || exceeded.Detail != detail):
		t.Errorf("got  %v\nwant %s: %s", err, limit, detail)
	}
}
