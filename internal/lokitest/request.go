package lokitest

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// The defaults of Loki's parameters, for every operation (pkg/loghttp/params.go of 3.7.8). Its documentation gives six
// hours for labels and their values; its code has one.
const (
	DefaultSince  = time.Hour
	DefaultLimit  = 100  // lines, and of a volume series
	DefaultFields = 1000 // detected fields, and their values
)

// request reads parameters as Loki does (pkg/loghttp/params.go of 3.7.8): form and URL merged, the first
// value of each, unknown ones ignored.
type request struct {
	*http.Request
	name string // of a label or field, from the path
	now  time.Time
}

func (r request) param(name string) string { return r.Form.Get(name) }

func (r request) categorize() bool {
	return strings.Contains(r.Header.Get("X-Loki-Response-Encoding-Flags"), "categorize-labels")
}

// span is the time that a request is about.
type timeRange struct{ start, end time.Time }

func (s timeRange) contains(t time.Time) bool { return !t.Before(s.start) && !t.After(s.end) }

func (r request) span() (timeRange, error) {
	since := DefaultSince
	if value := r.param("since"); value != "" {
		d, err := model.ParseDuration(value)
		if err != nil {
			return timeRange{}, badRequest(fmt.Errorf("could not parse 'since' parameter: %w", err))
		}
		since = time.Duration(d)
	}
	end, err := r.time("end", r.now)
	if err != nil {
		return timeRange{}, err
	}
	latest := end
	if end.After(r.now) {
		latest = r.now
	}
	start, err := r.time("start", latest.Add(-since))
	if err != nil {
		return timeRange{}, err
	}
	if end.Before(start) {
		return timeRange{}, badRequest(errors.New("end timestamp must not be before or equal to start time"))
	}
	return timeRange{start, end}, nil
}

func (r request) time(name string, otherwise time.Time) (time.Time, error) {
	value := r.param(name)
	if value == "" {
		return otherwise, nil
	}
	if strings.Contains(value, ".") {
		if f, err := strconv.ParseFloat(value, 64); err == nil {
			s, ns := math.Modf(f)
			return time.Unix(int64(s), int64(math.Round(ns*1000)/1000*float64(time.Second))), nil
		}
	}
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil:
		t, rfcErr := time.Parse(time.RFC3339Nano, value)
		if rfcErr != nil {
			return time.Time{}, badRequest(fmt.Errorf("could not parse '%s' parameter: %w", name, err))
		}
		return t, nil
	case len(value) <= 10:
		return time.Unix(n, 0), nil
	default:
		return time.Unix(0, n), nil
	}
}

func (r request) positive(name string, otherwise int) (int, error) {
	value := r.param(name)
	if value == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, badRequest(err)
	}
	if n <= 0 {
		return 0, badRequest(errors.New("limit must be a positive value"))
	}
	return n, nil
}

// step is the requested one, or a 250th of the range.
func (r request) step(s timeRange) (time.Duration, error) {
	value := r.param("step")
	if value == "" {
		return time.Duration(max(math.Floor(s.end.Sub(s.start).Seconds()/250), 1)) * time.Second, nil
	}
	d, err := duration(value)
	switch {
	case err != nil:
		return 0, badRequest(err)
	case d <= 0:
		return 0, badRequest(errors.New("zero or negative query resolution step widths are not accepted. Try a positive integer"))
	case s.end.Sub(s.start)/d > 11000:
		return 0, badRequest(errors.New("exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter"))
	}
	return d, nil
}

func duration(value string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(value, 64); err == nil {
		return time.Duration(seconds * float64(time.Second)), nil
	}
	d, err := model.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf("cannot parse %q to a valid duration", value)
	}
	return time.Duration(d), nil
}

// forward reports whether the direction is forward.
func (r request) forward() (bool, error) {
	switch value := r.param("direction"); strings.ToLower(value) {
	case "", "backward":
		return false, nil
	case "forward":
		return true, nil
	default:
		return false, badRequest(fmt.Errorf("invalid direction '%s'", value))
	}
}

// selected are the streams that the selector in `query` matches and that have an entry in the span.
// Where Loki takes the empty text it means everything.
func (l *Loki) selected(r request, s timeRange, emptyIsAll, emptyMatchers bool) ([]stream, error) {
	text := r.param("query")
	if text == "" && emptyIsAll {
		return clip(l.snapshot(), s), nil
	}
	matchers, err := syntax.ParseMatchers(text, !emptyMatchers)
	if err != nil {
		return nil, badRequest(err)
	}
	return clip(matching(l.snapshot(), matchers), s), nil
}

func matching(streams []stream, matchers []*labels.Matcher) []stream {
	var found []stream
	for _, s := range streams {
		if matches(s.labels, matchers) {
			found = append(found, s)
		}
	}
	return found
}

func matches(set labels.Labels, matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if !m.Matches(set.Get(m.Name)) {
			return false
		}
	}
	return true
}

// within cuts streams to what they have in the span, and leaves out those that have nothing there.
func clip(streams []stream, s timeRange) []stream {
	var found []stream
	for _, st := range streams {
		var entries []Entry
		for _, e := range st.entries {
			if s.contains(e.Time) {
				entries = append(entries, e)
			}
		}
		if len(entries) > 0 {
			found = append(found, stream{st.labels, entries})
		}
	}
	return found
}
