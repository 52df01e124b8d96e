package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

// nests are queries around a selector: what a fence that looks at the first selector, at the left leg,
// or at the outermost function alone would let through.
var nests = []string{
	`count_over_time(S[$span])`,
	`sum by (tenant_id, app) (bytes_over_time(S[$span]))`,
	`sum by (app) (count_over_time({app="worker"}[$span])) or sum by (app) (count_over_time(S[$span]))`,
	`sum(count_over_time({app="gateway"}[$span])) * on () group_left () vector(1) + on () sum(rate(S | json [$span]))`,
	`vector(0) unless on (app) sum by (app) (count_over_time(S[$span]))`,
	`label_replace(sum by (tenant_id) (rate(S[$span])), "tenant_id", "alpha", "tenant_id", ".*")`,
	`topk(3, max by (app) (label_replace(bytes_rate(S |= "" [$span]), "app", "$1", "app", "(.*)")))`,
	`quantile_over_time(0.9, S | json | unwrap total | __error__="" [$span]) by (app)`,
	`absent_over_time(S[$span])`,
}

// toLokiIn is the selector for the Loki that is queried directly, inside a nest. absent_over_time responds
// with the labels that the selector gives a value to, but for those that it names twice; through the
// fence it names the tenant's label once more than the caller did.
func (s selector) toLokiIn(nest string) string {
	if !strings.HasPrefix(nest, "absent_over_time") {
		return s.toLoki()
	}
	return strings.Replace(s.toLoki(), "{", `{tenant_id=~".+",`, 1)
}

// TestHostileQueriesMatchAlphaAlone guarantees that no selector, wherever it stands in a query,
// brings anything of others into the response.
func TestHostileQueriesMatchAlphaAlone(t *testing.T) {
	t.Parallel()
	var sent, found atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d responses compared, %d with something in them", sent.Load(), found.Load())
		if !t.Failed() && found.Load() < sent.Load()/2 {
			t.Error("too few responses hold anything")
		}
	})
	compare := func(t *testing.T, d route, path string, params url.Values, through, direct string) {
		t.Helper()
		sent.Add(1)
		a := on.gateway.send(t, request{method: d.method, path: d.path, params: with(clone(params), "query", through)})
		unleaked(t, a)
		if sameResponse(t, a, sendToLoki(t, on.alone, request{path: path, params: with(params, "query", direct)})) {
			found.Add(1)
		}
		if t.Failed() {
			t.Logf("query: %s", through)
		}
	}
	stage := ` | logfmt`
	if demo.Older(on.binaries.Version, "3.7") { // whether 3.1.2 and 3.3.4 call a label `x` or `x_extracted` depends on the streams that they read before
		stage = ` |= ""`
	}
	for k, w := range on.windows() {
		for i, s := range selectors {
			if s.text == "" {
				continue
			}
			t.Run(fmt.Sprintf("%s/%d/lines", w.name, i), func(t *testing.T) {
				t.Parallel()
				compare(t, rangeRoutes[i%4], "/loki/api/v1/query_range", with(w.between(), "limit", "40"), s.text+stage, s.toLoki()+stage)
			})
			for j, nest := range nests {
				if (i+j+k)%3 == 0 { // each in two of the three windows
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/%d", w.name, i, j), func(t *testing.T) {
					t.Parallel()
					around := strings.ReplaceAll(nest, "$span", w.span)
					compare(t, instantRoutes[(i+j)%4], "/loki/api/v1/query", url.Values{"time": {nanoseconds(w.end)}},
						strings.ReplaceAll(around, "S", s.text), strings.ReplaceAll(around, "S", s.toLokiIn(nest)))
				})
			}
		}
	}
}

// TestLokiWithOrganizations guarantees that the fence holds before a Loki with auth_enabled as well,
// with one organization for all and with one for each tenant, and that a caller cannot name either.
func TestLokiWithOrganizations(t *testing.T) {
	t.Parallel()
	if on.configuration.OrgID != "" || on.configuration.StoreOnly {
		t.Skipf("the configuration %s has organizations of its own, or only its store is queried", on.configuration.Name)
	}
	l, err := on.startLoki(t.Context(), demo.LokiOptions{MultiTenant: true, Args: lokiArgs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	w := on.fresh
	// The other organization holds lines that carry alpha's label by mistake: only the organization
	// keeps them from alpha.
	mistaken := func(from, to time.Time) []demo.Stream {
		var all []demo.Stream
		for _, s := range oddities(from, to) {
			all = append(all, marked(s, demo.Alpha))
		}
		return all
	}
	for org, kinds := range map[string][]kind{"shared": {alphas, others}, "alpha": {alphas, others}, "beta": {others, mistaken}} {
		for _, k := range kinds {
			if err := l.PushAs(t.Context(), org, w.logs(k)...); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, setting := range []string{"shared", "{tenant}"} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			g, err := startGateway(t.Context(), on.binary, on.issuer, l.URL(), "LOGFENCE_LOKI_ORG_ID="+setting)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := g.stop(); err != nil {
					t.Error(err)
				}
			})
			compareWithOrganizations(t, g, w)
		})
	}
}

func compareWithOrganizations(t *testing.T, g *gateway, w window) {
	t.Helper()
	for _, d := range []struct {
		native, loki string
		params       url.Values
	}{
		{"query", "query_range", url.Values{"query": {`{tenant_id=~".+"}`}, "limit": {"100"}}},
		{"query", "query_range", url.Values{"query": {`sum by (app, tenant_id) (count_over_time({app=~".+"}[5m]))`}, "step": {"60"}}},
		{"labels", "labels", nil},
		{"labels/tenant_id/values", "label/tenant_id/values", nil},
		{"volume", "index/volume", url.Values{"query": {`{app=~".+"}`}}},
		{"fields", "detected_fields", url.Values{"query": {`{app=~".+"}`}}},
		{"labels/detected", "detected_labels", nil},
	} {
		params := with(w.between(), flat(d.params)...)
		for _, header := range []http.Header{nil, {"X-Scope-Orgid": {"beta"}}, {"X-Scope-Orgid": {"alpha|beta"}}} {
			a := g.send(t, request{path: "/api/v1/logs/" + d.native, params: params, header: header})
			unleaked(t, a)
			if !sameResponse(t, a, sendToLoki(t, on.alone, request{path: "/loki/api/v1/" + d.loki, params: params})) {
				t.Errorf("%s: nothing is in the response: %d %.300s", d.native, a.status, a.body)
			}
		}
	}
	series := request{path: "/api/v1/logs/series", params: w.between()}
	if a := g.send(t, series); !holds(a.body) {
		t.Errorf("no series: %d %.300s", a.status, a.body)
	} else {
		unleaked(t, a)
	}
}
