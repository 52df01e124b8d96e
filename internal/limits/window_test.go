package limits

import (
	"errors"
	"math"
	"testing"
	"time"
)

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
			check(t, Config{MaxRange: tt.max}.CheckRange(tt.start, tt.end), CodeTooWide, tt.want)
		})
	}
}

// TestCheckLines guarantees that a query asks for MaxLines lines at most.
func TestCheckLines(t *testing.T) {
	c := Config{MaxLines: 5000}
	check(t, c.CheckLines(5000), CodeTooManyLines, "")
	check(t, c.CheckLines(5001), CodeTooManyLines,
		"The query asks for 5001 lines; it may ask for 5000. Lower limit, or narrow start and end and ask again.")
}

// TestConfigValidate guarantees that every mistake is named by its field, those of Parsing as well.
func TestConfigValidate(t *testing.T) {
	err := Config{MaxRange: -time.Hour, MaxExportLines: -3, Parsing: TurnsConfig{AtOnce: -1, Queue: -2}}.Validate()
	want := "MaxRange: -1h0m0s lets no query pass; write more than 0s, such as 720h\n" +
		"MaxLines: 0 lets nothing pass; write at least 1, such as 5000\n" +
		"MaxExportLines: -3 lets nothing pass; write at least 1, such as 1000000\n" +
		"MaxTails: 0 lets nothing pass; write at least 1, such as 100\n" +
		"Parsing.AtOnce: -1 is negative; write 0 or more\nParsing.Queue: -2 is negative; write 0 or more"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := (Config{MaxRange: time.Hour, MaxLines: 1, MaxExportLines: 1, MaxTails: 1}).Validate(); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
}

func check(t *testing.T, err error, code, detail string) {
	t.Helper()
	var exceeded *ExceededError
	switch {
	case detail == "" && err != nil:
		t.Errorf("got %v, want no error", err)
	case detail != "" && (!errors.As(err, &exceeded) || exceeded.Code != code || exceeded.Detail != detail):
		t.Errorf("got  %v\nwant %s: %s", err, code, detail)
	}
}
