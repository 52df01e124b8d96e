package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

// pretendedLabels are labels of beta's whose values contain a quotation mark and then alpha's label. Loki
// writes labels into the lines of stored patterns without escaping their values, in the order of their
// names, and reads them back as logfmt, where the first of two labels with one name counts.
var pretendedLabels = []map[string]string{
	{"aaa": `x" tenant_id="alpha`},
	{"zzz": `x" tenant_id="alpha`},
	{"service_name": `x" tenant_id="alpha`},
	{"aaa": `x" tenant_id="alpha" rest="`, "zzz": `x" tenant_id="alpha`},
}

// pretendedPatterns are streams of beta's under these labels, with lines that have a pattern in common.
func pretendedPatterns(from, to time.Time) (all []demo.Stream) {
	for i, labels := range pretendedLabels {
		s := demo.Stream{Labels: withLabel(labels, tenantLabel, demo.Beta)}
		n := 0
		for at := from; at.Before(to); at = at.Add(2 * time.Second) {
			s.Entries = append(s.Entries, demo.Entry{Time: at, Line: fmt.Sprintf("%s pretended pattern of kind %d, request took %dms", mark, i, n)})
			n++
		}
		all = append(all, s)
	}
	return all
}

func withLabel(labels map[string]string, name, value string) map[string]string {
	labels = maps.Clone(labels)
	labels[name] = value
	return labels
}

// drilldown is how Grafana's Logs Drilldown is known to Loki, which returns stored patterns to it alone.
var drilldown = http.Header{"X-Query-Tags": {"Source=grafana-lokiexplore-app"}}

// TestStoredPatternsOfOthers guarantees that no stored pattern of beta's reaches alpha, although beta's label
// values make Loki take it for alpha's: Loki returns stored patterns only to requests with Drilldown's tag,
// which logfence does not send with requests for patterns, also when the caller sends it. It does so with queries, which
// the fence keeps from the streams of stored patterns.
func TestStoredPatternsOfOthers(t *testing.T) {
	t.Parallel()
	needsStoredPatterns(t)
	if on.configuration.Loki.Separate {
		t.Skipf("in the configuration %s, an ingester uploads the index of what it has flushed minutes later", on.configuration.Name)
	}
	if on.configuration.OrgID == "{tenant}" {
		t.Skipf("in the configuration %s, beta's stored patterns are in another organization", on.configuration.Name)
	}
	l, err := on.startLoki(t.Context(), demo.LokiOptions{
		PersistPatterns: true,
		// Patterns of lines that are older than three hours are stored at once, however rare they are.
		Args: append([]string{"-pattern-ingester.flush-check-period=1s", "-pattern-ingester.volume-threshold=1", "-limits.pattern-rate-threshold=0"}, lokiArgs...),
	})
	noErrorNow(t, err)
	t.Cleanup(func() { noError(t, l.Close()) })
	w := on.old
	noErrorNow(t, l.Push(t.Context(), w.logs(pretendedPatterns)...))
	noErrorNow(t, l.Push(t.Context(), w.logs(oddities)...))
	g, err := startGateway(t.Context(), on.binary, on.issuer, l.URL(), "LOGFENCE_MAX_RANGE=240h")
	noErrorNow(t, err)
	t.Cleanup(func() { noError(t, g.stop()) })

	// Loki itself returns beta's patterns for alpha's selector to a request with the tag. Without that, this test shows nothing.
	direct := request{path: "/loki/api/v1/patterns", params: with(w.between(), "step", "30m", "query", `{tenant_id="alpha"}`), header: drilldown}
	eventually(t, func() bool {
		noErrorNow(t, l.Flush(t.Context())) // Loki looks for lines as old as these in its store alone
		return bytes.Contains(sendToLoki(t, l, direct).body, []byte(mark))
	}, func() {
		r := sendToLoki(t, l, direct)
		t.Fatalf("Loki does not take beta's stored patterns for alpha's; this test shows nothing: %d %s", r.status, r.body)
	})

	// So it does for a query of these streams.
	around := url.Values{"start": {nanoseconds(w.start.Add(-12 * time.Hour))}, "end": {nanoseconds(w.end.Add(12 * time.Hour))}}
	lines := sendToLoki(t, l, request{path: "/loki/api/v1/query_range", params: with(clone(around), "query", `{__pattern__=~".+"}`), header: drilldown})
	if !bytes.Contains(lines.body, []byte(mark)) {
		t.Fatalf("Loki does not return the streams of stored patterns to Drilldown; this test shows nothing: %d %s", lines.status, lines.body)
	}

	reach := func(d route, params url.Values, query string) {
		for _, header := range []http.Header{nil, drilldown} {
			r := g.send(t, request{method: d.method, path: d.path, params: with(clone(params), "query", query), header: header})
			unleaked(t, r)
			if r.status != http.StatusOK {
				t.Errorf("%s %s of %s: %d %s", d.method, d.path, query, r.status, r.body)
			}
		}
	}
	for _, d := range (endpoint{native: "patterns", loki: "patterns"}).routes() {
		for _, selector := range []string{`{}`, `{tenant_id="alpha"}`, `{service_name=~".+"}`, `{service_name!=""}`, `{service_name="unknown_service"}`, `{service_name=~"x.*"}`} {
			reach(d, with(w.between(), "step", "30m"), selector)
		}
	}
	// The stored patterns are streams without the tenant's label.
	for i, query := range []string{`{__pattern__=~".+"}`, `{__pattern__=~".+"} | logfmt | tenant_id="alpha"`, `{__pattern__!=""} |= "pretended"`} {
		reach(rangeRoutes[i], around, query)
	}
	for i, query := range []string{
		`sum by (detected_pattern) (sum_over_time({__pattern__=~".+"} | logfmt | tenant_id="alpha" | unwrap count [3h]))`,
		`sum by (tenant_id) (count_over_time({__pattern__=~".+"}[3h])) or vector(0)`,
	} {
		reach(instantRoutes[i], url.Values{"time": {nanoseconds(w.end)}}, query)
	}
}

func noErrorNow(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
