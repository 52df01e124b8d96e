package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

// routes are the ways to one operation: the native path and Loki's own, each by URL and by form.
type route struct{ method, path string }

var rangeRoutes = []route{
	{http.MethodGet, "/api/v1/logs/query"},
	{http.MethodPost, "/loki/api/v1/query_range"},
	{http.MethodPost, "/api/v1/logs/query"},
	{http.MethodGet, "/loki/api/v1/query_range"},
}

var instantRoutes = []route{
	{http.MethodGet, "/loki/api/v1/query"},
	{http.MethodPost, "/api/v1/logs/query/instant"},
	{http.MethodPost, "/loki/api/v1/query"},
	{http.MethodGet, "/api/v1/logs/query/instant"},
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

// between are the parameters of a window.
func (w window) between() url.Values {
	return url.Values{"start": {nanoseconds(w.start)}, "end": {nanoseconds(w.end)}}
}

func with(v url.Values, pairs ...string) url.Values {
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

// TestQueriesMatchAlphaAlone guarantees that the fence changes no query and lets nothing of others
// into its response: lines, labels, counts and values are those of a Loki without the others.
func TestQueriesMatchAlphaAlone(t *testing.T) {
	t.Parallel()
	if n := len(logQueries) + len(metricQueries) + len(numbers); n < 200 {
		t.Fatalf("only %d queries", n)
	}
	var sent, found atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d queries sent twice, %d responses with something in them", sent.Load(), found.Load())
		// Each query must find something unless it says otherwise; this is against a table of those.
		if sent.Load() > 500 && found.Load() < sent.Load()*4/5 {
			t.Error("too few responses hold anything: their equality proves little")
		}
	})
	compare := func(t *testing.T, q logQL, d route, lokiPath string, params url.Values, text func(string) string) {
		t.Helper()
		sent.Add(1)
		through := on.gateway.send(t, request{method: d.method, path: d.path, params: with(clone(params), "query", text(q.text))})
		direct := sendToLoki(t, on.alone, request{path: lokiPath, params: with(clone(params), "query", text(q.toLoki()))})
		unleaked(t, through)
		if on.configuration.Loki.Separate && demo.Older(on.binaries.Version, "3.7") && parsedTwice.MatchString(q.text) {
			t.Skip("whether Loki 3.1 and 3.3 call a label `x` or `x_extracted` depends on the streams that they read before")
		}
		if on.configuration.Loki.Separate {
			through.body, direct.body = scalarTime.ReplaceAll(through.body, []byte("${1}0")), scalarTime.ReplaceAll(direct.body, []byte("${1}0"))
		}
		if q.ordered {
			sameOrder(t, through, direct)
		}
		switch some := sameResponse(t, through, direct); {
		case some:
			found.Add(1)
		case !q.empty && !early() && !t.Failed(): // the share of those that find something is checked there, too
			t.Errorf("the responses are empty, which proves little: %d %.300s", direct.status, direct.body)
		}
	}
	for k, w := range on.windows() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			for i, q := range logQueries {
				t.Run(fmt.Sprintf("lines/%d", i), func(t *testing.T) {
					t.Parallel()
					defer showOnFailure(t, q)
					direction := []string{"forward", "backward"}[i%2]
					compare(t, q, rangeRoutes[i%4], "/loki/api/v1/query_range", with(w.between(), "limit", "60", "direction", direction), asIs)
				})
			}
			for i, q := range append(metricQueries[:len(metricQueries):len(metricQueries)], numbers...) {
				t.Run(fmt.Sprintf("samples/%d", i), func(t *testing.T) {
					t.Parallel()
					defer showOnFailure(t, q)
					// Both ways on fresh logs; on the store's one way, and the other way across both: Loki takes
					// its time over long ranges.
					if k == 0 || (i+k)%2 == 0 {
						compare(t, q, rangeRoutes[i%4], "/loki/api/v1/query_range", with(w.between(), "step", w.step.String()), spanning(w.steps))
					}
					if on.configuration.Cached && i >= len(metricQueries) {
						t.Skip("Loki's cache of instant queries makes an empty matrix of a scalar")
					}
					if k == 0 || (i+k)%2 == 1 {
						compare(t, q, instantRoutes[i%4], "/loki/api/v1/query", url.Values{"time": {nanoseconds(w.end)}}, spanning(w.span))
					}
				})
			}
		})
	}
}

// parsedTwice is a query for lines that name labels which their streams have, too.
var parsedTwice = regexp.MustCompile(`oddities.*\| *(json|logfmt)`)

// scalarTime is the time of a scalar. Loki (3.7.8, pkg/querier/queryrange/prometheus.go, marshalScalar) takes milliseconds for seconds
// there, and something else where it has passed the response on as JSON.
var scalarTime = regexp.MustCompile(`("resultType":"scalar","result":\[)[0-9.]+`)

func asIs(text string) string { return text }

func spanning(span string) func(string) string {
	return func(text string) string { return strings.ReplaceAll(text, "$span", span) }
}

func showOnFailure(t *testing.T, q logQL) {
	if t.Failed() {
		t.Logf("query: %s", q.text)
	}
}

func clone(v url.Values) url.Values {
	c := url.Values{}
	for name, values := range v {
		c[name] = append([]string(nil), values...)
	}
	return c
}
