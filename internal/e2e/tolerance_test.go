package e2e

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

// tolerantPath is a path of Loki's with what is drawn for it: queries, and the parameter that they are in.
type tolerantPath struct {
	path, in string
	queries  []string
}

var (
	drawnLogs = []string{
		`{app="checkout"}`, `{app=~"check.*"} |= "order"`, `{app="checkout"} | json | level="error"`, `{app="none"}`, `{app="checkout"`, ``, `{app="checkout"} | |`,
		`{app="checkout"} |~ "("`, `{app="checkout"} #comment`, `rate({app="checkout"}[1m])`, `x`, `{app="checkout"} | logfmt | drop __error__`,
	}
	drawnMetrics = []string{
		`count_over_time({app="checkout"}[1m])`, `sum by (level) (rate({app=~".+"}[2m]))`, `{app="checkout"}`, `1+1`, `rate({app="checkout"})`, ``,
		`sum(rate({app="checkout"}[1m])) by (app) / on (app) sum(rate({app="checkout"}[1m])) by (app, level)`,
	}
	drawnSelectors = []string{`{app="checkout"}`, `{app=~".+"}`, `{app="none"}`, ``, `{app="checkout"`, `{app="checkout"} |= "x"`, `rate({app="checkout"}[1m])`}
	tolerantPaths  = []tolerantPath{
		{"query_range", "query", append(drawnMetrics, drawnLogs...)},
		{"query", "query", drawnMetrics},
		{"labels", "query", drawnSelectors},
		{"label", "query", drawnSelectors},
		{"label/app/values", "query", drawnSelectors},
		{"series", "match[]", drawnSelectors},
		{"series", "match", drawnSelectors},
		{"index/stats", "query", drawnSelectors},
		{"index/volume", "query", drawnSelectors},
		{"index/volume_range", "query", drawnSelectors},
		{"detected_labels", "query", drawnSelectors},
		{"detected_fields", "query", drawnLogs},
		{"detected_field/level/values", "query", drawnLogs},
	}
	// drawnNames are parameters that some path has, and some that none has.
	drawnNames  = []string{"limit", "direction", "step", "interval", "time", "line_limit", "field_limit", "aggregateBy", "targetLabels", "stats", "timeout", "_", "shards", "x", "Limit", "query[]"}
	drawnValues = map[string][]string{
		"direction": {"forward", "BACKWARD", "Backward", "up", "0"}, "limit": {"0", "1", "7", "+5", "007", "-1", "1.5", "x", "99999"},
		"step": {"1m", "60", "60s", "0", "-1", "1.5", "1h30m", "x", "1e2", "1ms"}, "interval": {"1s", "5", "0", "-1s", "x"},
		"line_limit": {"10", "0", "-1", "x"}, "field_limit": {"10", "0", "-1", "x"}, "aggregateBy": {"series", "labels", "x", "Series"},
		"targetLabels": {"app", "app,level"}, "shards": {"0_of_2", "x"},
	}
)

// drawnRequest is a request of some client: with parameters that are missing, empty, unknown, or written in another way. Its
// window is always given in some form, since a default would begin and end at another moment for each side. No parameter is
// given twice, which logfence alone refuses.
func drawnRequest(r *rand.Rand) (at string, params, form url.Values) {
	p := tolerantPaths[r.IntN(len(tolerantPaths))]
	params = url.Values{p.in: {p.queries[r.IntN(len(p.queries))]}}
	w := on.fresh
	if r.IntN(8) == 0 && p.in == "query" {
		params.Del(p.in)
	}
	params.Set("start", []string{nanoseconds(w.start), w.start.UTC().Format(time.RFC3339Nano)}[r.IntN(2)])
	params.Set("end", []string{nanoseconds(w.end), w.end.UTC().Format(time.RFC3339Nano)}[r.IntN(2)])
	if r.IntN(6) == 0 {
		params.Set([]string{"start", "end", "time", "since"}[r.IntN(4)], []string{"", "x", "-1", "1h", "2026-13-01T00:00:00Z", "12345678901234567890"}[r.IntN(6)])
	}
	if p.path == "query" && params.Get("time") == "" {
		params.Set("time", nanoseconds(w.end))
	}
	for range r.IntN(4) {
		name := drawnNames[r.IntN(len(drawnNames))]
		values := append([]string{""}, drawnValues[name]...)
		if len(values) == 1 {
			values = append(values, "1", "true", "ü")
		}
		if !params.Has(name) && name != "time" {
			params.Set(name, values[r.IntN(len(values))])
		}
	}
	if r.IntN(3) == 0 { // a POST, with some of them in the URL
		form = url.Values{}
		for _, name := range slices.Sorted(maps.Keys(params)) {
			if r.IntN(2) == 0 {
				form[name] = params[name]
				params.Del(name)
			}
		}
	}
	return "/loki/api/v1/" + p.path, params, form
}

// TestTolerance guarantees that the Loki-compatible surface takes and refuses what a bare Loki does, however the request is
// written: the same class of status, and never data that Loki would not return. The requests are the same each time, but for
// LOGFENCE_TEST_LOAD=tolerance, which draws many others.
func TestTolerance(t *testing.T) {
	t.Parallel()
	seed, requests := uint64(25), 150
	if os.Getenv("LOGFENCE_TEST_LOAD") == "tolerance" {
		seed, requests = rand.Uint64(), 20_000
	}
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	token := tokenOf(t, demo.Claims{Tenant: demo.Alpha, Lifetime: 2 * time.Hour})
	classes := map[int]int{}
	for range requests {
		path, params, form := drawnRequest(r)
		through, direct := drawnResponse(t, on.gateway.public, token, path, params, form), drawnResponse(t, on.alone.URL(), "", path, params, form)
		unleaked(t, through)
		what := path + "?" + params.Encode() + " " + form.Encode()
		classes[through.status/100]++
		switch {
		case direct.status >= http.StatusInternalServerError && (through.status == http.StatusBadRequest || through.status == http.StatusBadGateway):
		case withoutSelector(params, form) && direct.status == http.StatusBadRequest && through.status == http.StatusOK:
			// Loki would read everything. Of the tenant that is its own.
		case through.status/100 != direct.status/100:
			t.Errorf("%s\nthrough logfence: %d %.200s\ndirectly: %d %.200s", what, through.status, through.body, direct.status, direct.body)
		case through.status == http.StatusOK && !bytes.Equal(canonical(t, through.body), canonical(t, direct.body)):
			t.Errorf("%s: the responses differ (- directly, + through logfence):\n%s", what, diff(canonical(t, direct.body), canonical(t, through.body)))
		}
	}
	if classes[2] < requests/4 || classes[4] < requests/20 {
		t.Errorf("the requests show little: %v", classes)
	}
	t.Logf("classes of status: %v", classes)
}

// withoutSelector reports whether a request names no streams.
func withoutSelector(params, form url.Values) bool {
	for _, name := range []string{"query", "match", "match[]"} {
		if params.Get(name) != "" || form.Get(name) != "" {
			return false
		}
	}
	return true
}

func drawnResponse(t *testing.T, base, token, path string, params, form url.Values) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path+"?"+params.Encode(), http.NoBody)
	if form != nil {
		req, err = http.NewRequestWithContext(t.Context(), http.MethodPost, base+path+"?"+params.Encode(), strings.NewReader(form.Encode()))
	}
	noErrorNow(t, err)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := do(req)
	noErrorNow(t, err)
	return a
}
