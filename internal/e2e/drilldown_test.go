package e2e

import (
	"bytes"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

// TestDrilldown guarantees that Grafana's Logs Drilldown gets the series up to Loki's limit, with Loki's warning, where others
// get an error; and that the streams that its tag opens, of aggregated metrics, stay empty for a tenant.
func TestDrilldown(t *testing.T) {
	t.Parallel()
	needsStoredPatterns(t)
	l, err := on.startLoki(t.Context(), demo.LokiOptions{
		PersistPatterns: true,
		Args: []string{
			"-querier.max-query-series=2", "-limits.aggregation-enabled=true", "-pattern-ingester.metric-aggregation.downsample-period=1s",
		},
	})
	noErrorNow(t, err)
	t.Cleanup(func() { noError(t, l.Close()) })
	w := on.fresh
	noErrorNow(t, l.Push(t.Context(), w.logs(alphas)...))
	noErrorNow(t, l.Push(t.Context(), w.logs(others)...))
	g, err := startGateway(t.Context(), on.binary, on.issuer, l.URL())
	noErrorNow(t, err)
	t.Cleanup(func() { noError(t, g.stop()) })

	many := request{path: "/loki/api/v1/query_range", params: with(w.between(), "step", "60s", "query", `sum by (app, level) (count_over_time({app=~".+"}[1m]))`)}
	if a := g.send(t, many); a.status != http.StatusBadRequest || !bytes.Contains(a.body, []byte("maximum number of series (2) reached")) {
		t.Errorf("without the tag: %d %.300s", a.status, a.body)
	}
	many.header = drilldown
	if a := g.send(t, many); a.status != http.StatusOK || !bytes.Contains(a.body, []byte("returning partial results")) {
		t.Errorf("with the tag: %d %.300s", a.status, a.body)
	}

	if a := g.send(t, request{path: "/loki/api/v1/drilldown-limits", header: drilldown}); a.status != http.StatusOK || !bytes.Contains(a.body, []byte(`"pattern_ingester_enabled":true`)) {
		t.Errorf("limits: %d %.300s", a.status, a.body)
	}

	// Without streams of aggregated metrics, what follows shows nothing.
	now := url.Values{"start": {nanoseconds(time.Now().Add(-time.Hour))}, "end": {nanoseconds(time.Now().Add(time.Hour))}}
	const aggregated = `{__aggregated_metric__=~".+"}`
	direct := request{path: "/loki/api/v1/query_range", params: with(clone(now), "query", aggregated), header: drilldown}
	eventually(t, func() bool { return bytes.Contains(sendToLoki(t, l, direct).body, []byte(`"__aggregated_metric__"`)) }, func() {
		r := sendToLoki(t, l, direct)
		t.Fatalf("Loki has no aggregated metrics; this test shows nothing: %d %.600s", r.status, r.body)
	})
	for i, query := range []string{
		aggregated, aggregated + ` | logfmt | tenant_id="alpha"`, `{__aggregated_metric__!=""} |= "bytes"`,
		`sum by (__aggregated_metric__) (count_over_time(` + aggregated + `[1h]))`,
	} {
		for _, header := range []http.Header{nil, drilldown} {
			r := g.send(t, request{path: rangeRoutes[i%len(rangeRoutes)].path, method: rangeRoutes[i%len(rangeRoutes)].method, params: with(clone(now), "query", query), header: header})
			unleaked(t, r)
			if r.status != http.StatusOK || bytes.Contains(r.body, []byte(`"__aggregated_metric__"`)) || !bytes.Contains(r.body, []byte(`"result":[]`)) {
				t.Errorf("%s: %d %.600s", query, r.status, r.body)
			}
		}
	}
}
