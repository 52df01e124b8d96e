package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/poll"
)

// A selector is one text for every endpoint.
type selector struct {
	text string
	// direct is what is sent to the Loki with alpha's logs alone, where it would refuse the text or take
	// it for everybody's; there everything is alpha's.
	direct string
	// names are the labels that the text names. By them Loki adds up volumes that name no target
	// labels. Where the text names none, Loki would list each series; but the fence names the
	// tenant's label, and the tenant's volume is one sum: see TestVolumeOfEverything.
	names []string
}

// selectors are honest ones, and those by which fences have been climbed: other operators on the
// tenant's label, regular expressions, text that looks like the end of a selector.
var selectors = []selector{
	{text: `{app="checkout"}`, names: []string{"app"}},
	{text: `{app=~".+", env!="staging"}`, names: []string{"app", "env"}},
	{text: `{namespace="shop",level=~"error|warn"}`, names: []string{"namespace", "level"}},
	{text: `{app=~"(oddities|roaster)"}`, names: []string{"app"}},
	{text: `{}`, direct: all, names: []string{tenantLabel}},
	{text: ``, direct: all, names: []string{tenantLabel}},
	{text: `{app!="checkout"}`, direct: `{tenant_id=~".+",app!="checkout"}`, names: []string{"app"}},
	{text: `{tenant_id="alpha"}`, names: []string{tenantLabel}},
	{text: `{tenant_id="beta"}`, names: []string{tenantLabel}},
	{text: `{tenant_id="alpha-2"}`, names: []string{tenantLabel}},
	{text: `{tenant_id!="alpha"}`, direct: `{tenant_id=~".+",tenant_id!="alpha"}`, names: []string{tenantLabel}},
	{text: `{tenant_id!="beta"}`, direct: `{tenant_id=~".+",tenant_id!="beta"}`, names: []string{tenantLabel}},
	{text: `{tenant_id=~".+"}`, names: []string{tenantLabel}},
	{text: `{tenant_id=~".*"}`, direct: all, names: []string{tenantLabel}},
	{text: `{tenant_id=~"alpha.*"}`, names: []string{tenantLabel}},
	{text: `{tenant_id=~"(?i)alpha"}`, names: []string{tenantLabel}},
	{text: `{tenant_id=~"alpha|beta|", app="checkout"}`, names: []string{tenantLabel, "app"}},
	{text: `{tenant_id!~"alpha"}`, direct: `{tenant_id=~".+",tenant_id!~"alpha"}`, names: []string{tenantLabel}},
	{text: `{tenant_id="", app="checkout"}`, names: []string{tenantLabel, "app"}},
	{text: `{app="checkout", app!~"x\"} or {tenant_id=\"beta"}`, names: []string{"app"}},
	{text: "{app=`checkout` # \"} or {tenant_id=`beta`}\n}", names: []string{"app"}},
	{text: "{app=\"checkout\" /* } */ , /* { */ tenant_id!=\"\"}", names: []string{"app", tenantLabel}},
}

func (s selector) toLoki() string {
	if s.direct != "" {
		return s.direct
	}
	return s.text
}

// An endpoint is one operation by its two paths, with the parameters beside selector and window.
type endpoint struct {
	native, loki string
	params       url.Values
	logQuery     bool // takes a log query, and none is refused
	required     bool // takes a selector, and none is refused
	volume       bool // groups by the labels that the selector names
}

var endpoints = []endpoint{
	{native: "labels", loki: "labels"},
	{native: "labels", loki: "label"},
	{native: "labels/app/values", loki: "label/app/values"},
	{native: "labels/tenant_id/values", loki: "label/tenant_id/values"},
	{native: "labels/level/values", loki: "label/level/values"},
	{native: "labels/Tenant_id/values", loki: "label/Tenant_id/values"},
	{native: "labels/" + mark + "_1/values", loki: "label/" + mark + "_1/values"},
	{native: "labels/station/values", loki: "label/station/values"},
	{native: "labels/detected", loki: "detected_labels"},
	{native: "stats", loki: "index/stats", required: true},
	{native: "volume", loki: "index/volume", volume: true, required: true},
	{native: "volume", loki: "index/volume", volume: true, required: true, params: url.Values{"aggregateBy": {"labels"}}},
	{native: "volume", loki: "index/volume", required: true, params: url.Values{"targetLabels": {"app,env"}, "limit": {"3"}}},
	{native: "volume", loki: "index/volume", required: true, params: url.Values{"targetLabels": {"tenant_id"}, "aggregateBy": {"series"}}},
	{native: "volume", loki: "index/volume", required: true, params: url.Values{"targetLabels": {"namespace"}, "aggregateBy": {"labels"}}},
	{native: "volume/range", loki: "index/volume_range", volume: true, required: true, params: url.Values{"step": {"600"}}},
	{native: "volume/range", loki: "index/volume_range", required: true, params: url.Values{"targetLabels": {"app,level"}, "step": {"1h"}}},
	{native: "fields", loki: "detected_fields", logQuery: true, params: url.Values{"line_limit": {"200"}}},
	{native: "fields", loki: "detected_fields", logQuery: true, params: url.Values{"limit": {"50"}}},
	{native: "fields/tenant_id/values", loki: "detected_field/tenant_id/values", logQuery: true},
	{native: "fields/item/values", loki: "detected_field/item/values", logQuery: true, params: url.Values{"line_limit": {"300"}, "limit": {"1000"}}},
	{native: "fields/" + mark + "_field/values", loki: "detected_field/" + mark + "_field/values", logQuery: true},
}

func (e endpoint) routes() []route {
	return []route{
		{http.MethodGet, "/api/v1/logs/" + e.native},
		{http.MethodGet, "/loki/api/v1/" + e.loki},
		{http.MethodPost, "/loki/api/v1/" + e.loki},
	}
}

// TestEndpointsMatchAlphaAlone guarantees that what is not a query shows alpha's labels, values,
// counts and fields, and nobody else's, by every selector.
func TestEndpointsMatchAlphaAlone(t *testing.T) {
	t.Parallel()
	var sent, found atomic.Int64
	t.Cleanup(func() {
		t.Logf("%d responses compared, %d with something in them", sent.Load(), found.Load())
		if !t.Failed() && found.Load() < sent.Load()/4 {
			t.Error("too few responses hold anything")
		}
	})
	turn := 0
	for _, w := range on.windows() {
		for _, e := range endpoints {
			for i, s := range selectors {
				if s.text == "" && (e.required || e.logQuery) {
					continue
				}
				turn++
				d := e.routes()[turn%3]
				t.Run(fmt.Sprintf("%s/%s/%d", w.name, strings.ReplaceAll(e.loki, "/", "_"), i), func(t *testing.T) {
					t.Parallel()
					sent.Add(1)
					if e.compare(t, w, s, d) {
						found.Add(1)
					}
					if t.Failed() {
						t.Logf("%s %s %v of %q", d.method, d.path, e.params, s.text)
					}
				})
			}
		}
	}
}

func (e endpoint) compare(t *testing.T, w window, s selector, d route) (some bool) {
	t.Helper()
	through, direct := with(w.between(), flat(e.params)...), with(w.between(), flat(e.params)...)
	if s.text != "" {
		through.Set("query", s.text)
	}
	direct.Set("query", s.toLoki())
	if e.volume && s.direct != "" && e.params.Get("aggregateBy") != "labels" {
		direct.Set("targetLabels", strings.Join(s.names, ","))
	}
	a := on.gateway.send(t, request{method: d.method, path: d.path, params: through})
	unleaked(t, a)
	b := sendToLoki(t, on.alone, request{path: "/loki/api/v1/" + e.loki, params: direct})
	if early() && e.logQuery {
		if strings.HasPrefix(e.native, "fields/") {
			return noFieldValues(t, a, b)
		}
		a.body, b.body = fieldType.ReplaceAll(a.body, nil), fieldType.ReplaceAll(b.body, nil)
	}
	if e.logQuery && on.configuration.Loki.Separate && demo.Older(on.binaries.Version, "3.7") { // separate processes look at other lines of the range there
		a.body, b.body = fieldSample.ReplaceAll(a.body, nil), fieldSample.ReplaceAll(b.body, nil)
	}
	if strings.HasPrefix(d.path, "/api/v1/logs/label") {
		b.body = withData(b.body)
	}
	if countsDiffer() && (e.native == "stats" || strings.HasPrefix(e.native, "volume")) {
		if holds(a.body) && !holds(b.body) {
			// One process without caches counts no fresh logs where others do: that alpha has such streams is what has to hold.
			b = sendToLoki(t, on.alone, request{path: "/loki/api/v1/series", params: with(w.between(), "match[]", s.toLoki())})
		}
		return sameGuess(t, a, b)
	}
	return sameResponse(t, a, b)
}

// early is whether Loki is older than 3.3: it has no values of a field, takes the type of a field from one of its values, whichever, and
// finds no `detected_level` in lines that name none.
func early() bool { return demo.Older(on.binaries.Version, "3.3") }

// fieldSample and fieldType are what Loki makes of the lines that it looked at.
var (
	fieldSample = regexp.MustCompile(`,?"(type":"[a-z]+"|cardinality":[0-9]+)`)
	fieldType   = regexp.MustCompile(`,?"type":"[a-z]+"`)
)

// noFieldValues checks that values of a field that Loki does not have are the error that says so.
func noFieldValues(t *testing.T, through, direct response) (some bool) {
	t.Helper()
	missing := through.status == http.StatusNotImplemented || through.status == http.StatusNotFound // of the native API, or of Loki's
	if direct.status != http.StatusNotFound || !missing {
		t.Errorf("through logfence: %d %.300s\ndirectly: %d %.300s", through.status, through.body, direct.status, direct.body)
	}
	return false
}

// withData is a response of labels as the native API has it: with an empty list where Loki leaves it out.
func withData(body []byte) []byte {
	if text := strings.TrimSpace(string(body)); text == `{"status":"success"}` {
		return []byte(`{"status":"success","data":[]}`)
	}
	return body
}

// countsDiffer is whether Loki counts volumes and statistics in another way than one that is a single process without caches: it
// estimates them from cached ones of other spans; and a single process was seen to count twice what separate ones count once, and
// no fresh logs where they do.
func countsDiffer() bool { return on.configuration.Cached || on.configuration.Loki.Separate }

// sameGuess compares volumes and statistics where they are counted differently: there is something where there is something.
func sameGuess(t *testing.T, through, direct response) (some bool) {
	t.Helper()
	if through.status != direct.status || through.status == http.StatusOK && holds(through.body) != holds(direct.body) {
		t.Errorf("through logfence: %d %.300s\ndirectly: %d %.300s", through.status, through.body, direct.status, direct.body)
	}
	return through.status == http.StatusOK && holds(through.body)
}

func flat(v url.Values) (pairs []string) {
	for name, values := range v {
		for _, value := range values {
			pairs = append(pairs, name, value)
		}
	}
	return pairs
}

// TestSeriesMatchAlphaAlone guarantees that each of several selectors is fenced, by either of the
// parameter's names, and that no selector at all is alpha's series and not everybody's.
func TestSeriesMatchAlphaAlone(t *testing.T) {
	t.Parallel()
	sets := [][]selector{nil}
	for i, s := range selectors {
		if s.text != "" {
			sets = append(sets, []selector{s}, []selector{s, selectors[(i+7)%len(selectors)], selectors[0]})
		}
	}
	for _, w := range on.windows() {
		for i, set := range sets {
			for j, d := range []struct {
				route
				names []string
			}{
				{route{http.MethodGet, "/api/v1/logs/series"}, []string{"match"}},
				{route{http.MethodGet, "/loki/api/v1/series"}, []string{"match[]", "match"}},
				{route{http.MethodPost, "/loki/api/v1/series"}, []string{"match", "match[]"}},
			} {
				if i > 8 && i%3 != j {
					continue
				}
				t.Run(fmt.Sprintf("%s/%d/%d", w.name, i, j), func(t *testing.T) {
					t.Parallel()
					through, direct := w.between(), w.between()
					for k, s := range set {
						if s.text == "" { // is no selector where several are taken
							s = selectors[0]
						}
						through.Add(d.names[k%len(d.names)], s.text)
						direct.Add("match[]", s.toLoki())
					}
					if set == nil {
						direct.Add("match[]", all)
					}
					a := on.gateway.send(t, request{method: d.method, path: d.path, params: through})
					unleaked(t, a)
					some := sameResponse(t, a, sendToLoki(t, on.alone, request{path: "/loki/api/v1/series", params: direct}))
					if !some && set == nil {
						t.Error("no series at all")
					}
				})
			}
		}
	}
}

// TestVolumeOfEverything guarantees what `{}` is on volumes, which no comparison tells: Loki lists each
// series where a selector names no label, and through the fence the selector names the tenant's. So the
// response is alpha's complete volume in one sum.
func TestVolumeOfEverything(t *testing.T) {
	t.Parallel()
	if countsDiffer() {
		t.Skipf("in the configuration %s, Loki counts volumes in another way", on.configuration.Name)
	}
	w := on.old
	for _, path := range []string{"/api/v1/logs/volume", "/loki/api/v1/index/volume"} {
		a := on.gateway.send(t, request{path: path, params: with(w.between(), "query", "{}")})
		got := volumes(t, a)
		direct := volumes(t, sendToLoki(t, on.alone, request{path: "/loki/api/v1/index/volume", params: with(w.between(), "query", "{}", "limit", "1000")}))
		if len(direct) < 10 {
			t.Fatalf("%d series in the Loki of alpha alone", len(direct))
		}
		var sum int64
		for _, v := range direct {
			sum += v.bytes
		}
		if len(got) != 1 || got[0].labels != `{"tenant_id":"alpha"}` || got[0].bytes != sum {
			t.Errorf("%s: got %v, want alpha's %d bytes in one", path, got, sum)
		}
	}
}

// TestPatternsMatchAlphaAlone guarantees that patterns come from alpha's lines alone. Loki finds
// them a moment after the lines, and only while the ingester has these.
func TestPatternsMatchAlphaAlone(t *testing.T) {
	t.Parallel()
	needsIngester(t)
	if on.configuration.NoPatterns {
		noPatterns(t)
		return
	}
	w := on.fresh
	for i, s := range selectors {
		if s.text == "" {
			continue
		}
		e := endpoint{native: "patterns", loki: "patterns", params: url.Values{"step": {"1m"}}}
		d := e.routes()[i%3]
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			through := request{method: d.method, path: d.path, params: with(w.between(), "step", "1m", "query", s.text)}
			direct := request{path: "/loki/api/v1/patterns", params: with(w.between(), "step", "1m", "query", s.toLoki())}
			eventually(t, func() bool {
				a, b := on.gateway.send(t, through), sendToLoki(t, on.alone, direct)
				unleaked(t, a)
				same := a.status == b.status && string(canonical(t, a.body)) == string(canonical(t, b.body))
				return same && (holds(b.body) || !slices.Contains([]int{1, 4, 12}, i))
			}, func() {
				sameResponse(t, on.gateway.send(t, through), sendToLoki(t, on.alone, direct))
				t.Errorf("no equal patterns in time for %s", s.text)
			})
		})
	}
}

// noPatterns checks that a Loki without patterns is an error without data on each route.
func noPatterns(t *testing.T) {
	t.Helper()
	for _, d := range (endpoint{native: "patterns", loki: "patterns"}).routes() {
		for _, s := range selectors {
			if s.text == "" {
				continue
			}
			a := on.gateway.send(t, request{method: d.method, path: d.path, params: with(on.fresh.between(), "step", "1m", "query", s.text)})
			if unleaked(t, a); a.status < http.StatusBadRequest {
				t.Errorf("%s %s of %s: %d %.300s", d.method, d.path, s.text, a.status, a.body)
			}
		}
	}
}

// eventually waits for the check to succeed, and reports otherwise what differs.
func eventually(t *testing.T, so func() bool, otherwise func()) {
	t.Helper()
	if poll.Until(t.Context(), func() (bool, error) { return so(), nil }) != nil {
		otherwise()
	}
}

// TestEveryTenantSeesItsOwn guarantees that the fence follows the token: each look-alike gets its own
// streams and not alpha's.
func TestEveryTenantSeesItsOwn(t *testing.T) {
	t.Parallel()
	for _, tenant := range []string{"alpha", "beta", "alpha-2", "ALPHA", "alphabeta", "alph"} {
		a := on.gateway.send(t, request{
			path: "/api/v1/logs/labels/tenant_id/values", params: on.across.between(),
			token: tokenOf(t, demo.Claims{Tenant: tenant}),
		})
		if want := `{"status":"success","data":["` + tenant + `"]}`; strings.TrimSpace(string(a.body)) != want {
			t.Errorf("%s sees tenants %s, want %s", tenant, a.body, want)
		}
	}
}
