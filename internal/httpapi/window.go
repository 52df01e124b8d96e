package httpapi

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/logfence/logfence/internal/hint"
)

// Times and durations are read as Loki 3.7.8 reads them (pkg/loghttp/params.go), once, and sent on as
// the values that were read.

// defaultSince is the span that Loki takes where a request names no start, on labels as well (its own
// documentation says six hours there; its code uses one hour).
const defaultSince = time.Hour

// window is a span of time.
type window struct{ start, end time.Time }

// windowOf reads start, end and since. Where start is missing it is that long before the end, or
// before now when the end lies in the future.
func windowOf(now time.Time, start, end, since *string) (window, error) {
	span := defaultSince
	if since != nil {
		d, err := model.ParseDuration(*since)
		if err != nil {
			return window{}, parameterInvalid("since", "since: %q is no duration; write 30m, 6h or 2d.", *since).hinted(hint.Duration(*since))
		}
		span = time.Duration(d)
	}
	w := window{end: now}
	if end != nil {
		t, err := parseTime("end", *end)
		if err != nil {
			return window{}, err
		}
		w.end = t
	}
	latest := w.end
	if latest.After(now) {
		latest = now
	}
	w.start = latest.Add(-span)
	if start != nil {
		t, err := parseTime("start", *start)
		if err != nil {
			return window{}, err
		}
		w.start = t
	}
	if w.end.Before(w.start) {
		return window{}, parameterInvalid("end", "end is before start.")
	}
	return w, nil
}

// Times beyond these are mistakes, and would overflow nanoseconds.
var (
	earliest = time.Unix(0, 0)
	latest   = time.Unix(0, math.MaxInt64)
)

// parseTime reads a time: an integer of up to ten digits in seconds since 1970, a longer one in
// nanoseconds, a number with a point in seconds, or RFC 3339.
func parseTime(name, value string) (time.Time, error) {
	t, ok := readTime(value)
	if !ok || t.Before(earliest) || t.After(latest) {
		return time.Time{}, parameterInvalid(name,
			"%s: %q is no time; write RFC 3339 (2026-01-31T12:00:00Z), or Unix time in seconds or nanoseconds.", name, value).hinted(hint.Time(value))
	}
	return t, nil
}

func readTime(value string) (time.Time, bool) {
	if strings.Contains(value, ".") {
		if f, err := strconv.ParseFloat(value, 64); err == nil {
			if math.IsNaN(f) || f < 0 || f > math.MaxInt64/1e9 {
				return time.Time{}, false
			}
			seconds, fraction := math.Modf(f)
			// To the millisecond: a float of today's seconds has no digits for more.
			return time.Unix(int64(seconds), int64(math.Round(fraction*1000)/1000*float64(time.Second))), true
		}
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		if len(value) <= 10 {
			return time.Unix(n, 0), true
		}
		return time.Unix(0, n), true
	}
	t, err := time.Parse(time.RFC3339Nano, value)
	return t, err == nil
}

// parseStep reads a duration that may also be a number of seconds. Zero and less are refused: Loki
// responds with an error or ignores them.
func parseStep(name string, value *string) (time.Duration, error) {
	if value == nil {
		return 0, nil
	}
	d, ok := readStep(*value)
	if !ok || d <= 0 {
		return 0, parameterInvalid(name, "%s: %q is no duration above zero; write 30s, 5m or a number of seconds.", name, *value).hinted(hint.Duration(*value))
	}
	return d, nil
}

func readStep(value string) (time.Duration, bool) {
	if f, err := strconv.ParseFloat(value, 64); err == nil {
		nanoseconds := f * float64(time.Second)
		if math.IsNaN(nanoseconds) || math.Abs(nanoseconds) >= math.MaxInt64 {
			return 0, false
		}
		return time.Duration(nanoseconds), true
	}
	d, err := model.ParseDuration(value)
	return time.Duration(d), err == nil
}
