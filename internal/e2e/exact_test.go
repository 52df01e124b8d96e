package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/logfence/logfence/internal/demo"
)

// durations are the members of Loki's statistics that are times, or are divided by one. They differ between
// two requests to the same Loki. docs/isolation.md lists them.
var durations = []string{
	"summary.execTime", "summary.queueTime", "summary.bytesProcessedPerSecond", "summary.linesProcessedPerSecond",
	"querier.querierExecTime", "querier.store.chunksDownloadTime", "querier.store.chunkRefsFetchTime", "querier.store.congestionControlLatency",
	"querier.store.dataobj.totalPageDownloadTime", "ingester.store.chunksDownloadTime", "ingester.store.chunkRefsFetchTime",
	"ingester.store.congestionControlLatency", "ingester.store.dataobj.totalPageDownloadTime", "ingester.recvWaitTime",
	"index.shardsDuration", "index.chunkRefsLookupTime", "index.bloomFilterTime",
	"cache.chunk.downloadTime", "cache.index.downloadTime", "cache.result.downloadTime", "cache.statsResult.downloadTime", "cache.volumeResult.downloadTime",
	"cache.seriesResult.downloadTime", "cache.labelResult.downloadTime", "cache.instantMetricResult.downloadTime",
}

// chunkCache are the members of the statistics that depend on which of the caller's own chunks are in Loki's
// cache. A chunk holds one stream, and only requests for that stream read it, but the cache is bounded and
// shared: what is evicted depends on everybody. docs/isolation.md lists them.
var chunkCache = []string{"cache.chunk.entriesFound", "cache.chunk.entriesStored", "cache.chunk.bytesReceived", "cache.chunk.bytesSent"}

// blankedHeaders differ between two requests to the same logfence.
var blankedHeaders = []string{"Date", "X-Request-Id", "Ratelimit", "Retry-After"}

// unorderedLists are those that Loki writes in the order of a Go map, which is another with each request.
// Among them are lists of objects in "data": series and patterns.
var unorderedLists = []string{"detectedLabels", "fields", "values"}

// exactly is all of a response as text, but for what this file lists.
func exactly(t *testing.T, a response) string {
	t.Helper()
	if early() && bytes.Contains(a.body, []byte(`"fields":[`)) {
		a.body, a.header = fieldType.ReplaceAll(a.body, nil), a.header.Clone()
		a.header.Del("Content-Length")
	}
	var b strings.Builder
	fmt.Fprintln(&b, "status", a.status)
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		value := strings.Join(a.header[name], "\n")
		if slices.Contains(blankedHeaders, name) {
			value = "(blanked)"
		}
		fmt.Fprintf(&b, "%s: %s\n", name, value)
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.UseNumber()
	if d.Decode(&v) != nil || d.More() {
		b.Write(a.body) // an export, or no JSON
		return b.String()
	}
	if top, ok := v.(map[string]any); ok {
		blank(top)
	}
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	b.Write(text)
	return b.String()
}

func blank(top map[string]any) {
	if _, isProblem := top["request_id"]; isProblem {
		top["request_id"] = "(blanked)"
	}
	for _, name := range unorderedLists {
		if list, ok := top[name].([]any); ok {
			top[name] = ordered(list)
		}
	}
	switch data := top["data"].(type) {
	case []any:
		if len(data) > 0 {
			if _, ok := data[0].(map[string]any); ok {
				top["data"] = ordered(data)
			}
		}
	case map[string]any:
		for _, path := range append(durations, chunkCache...) {
			blankPath(data["stats"], strings.Split(path, "."))
		}
		data["result"] = rounded(data["result"])
	}
}

// blankPath keeps whether a member is there, but for the one that Loki leaves out when it is zero.
func blankPath(v any, path []string) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	if len(path) > 1 {
		blankPath(m[path[0]], path[1:])
	} else if _, ok := m[path[0]]; ok {
		m[path[0]] = "(blanked)"
		if path[0] == "recvWaitTime" {
			delete(m, path[0])
		}
	}
}

// rounded is a result with its samples to ten digits: Loki adds numbers up in the order in which its
// workers end.
func rounded(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = rounded(v[k])
		}
	case []any:
		if len(v) == 2 {
			if _, ok := v[0].(json.Number); ok {
				return sample(v)
			}
		}
		for i := range v {
			v[i] = rounded(v[i])
		}
	}
	return v
}

// every are the requests that are compared: each query and each endpoint of the other tests, on both
// surfaces, by URL and form, over logs that the ingester has, that the store has, and both; and
// requests that are refused, by logfence and by Loki. A third of them, unless LOGFENCE_TEST_LOAD is "exact".
func every() (all []request) {
	completely := os.Getenv("LOGFENCE_TEST_LOAD") == "exact"
	add := func(d route, params url.Values) {
		all = append(all, request{method: d.method, path: d.path, params: params})
	}
	queries := concat(logQueries, metricQueries, numbers)
	for k, w := range on.windows() {
		for i, q := range queries {
			if (i+k)%3 != 0 && !completely {
				continue
			}
			switch isLog := i < len(logQueries); {
			case isLog:
				add(rangeRoutes[i%4], with(w.between(), "limit", "60", "direction", []string{"forward", "backward"}[i%2], "query", q.text))
			case (i/3+k)%2 == 0:
				add(rangeRoutes[i%4], with(w.between(), "step", w.step.String(), "query", spanning(w.steps)(q.text)))
			default:
				add(instantRoutes[i%4], url.Values{"time": {nanoseconds(w.end)}, "query": {spanning(w.span)(q.text)}})
			}
		}
		for i, e := range endpoints {
			for j, s := range selectors {
				if (i+j+k)%3 != 0 && !completely || s.text == "" && (e.required || e.logQuery) {
					continue
				}
				params := with(w.between(), flat(e.params)...)
				if s.text != "" {
					params.Set("query", s.text)
				}
				add(e.routes()[(i+j)/3%3], params)
			}
		}
		for i, s := range selectors {
			add([]route{{http.MethodGet, "/loki/api/v1/series"}, {http.MethodPost, "/loki/api/v1/series"}, {http.MethodGet, "/api/v1/logs/series"}}[i%3], with(w.between(), "match", s.text))
		}
		for _, text := range []string{`{app="checkout"}`, `{app=~".+"} | logfmt`, `{app="ingress"}`} {
			add(route{http.MethodGet, "/api/v1/logs/export"}, with(w.between(), "query", text, "direction", "forward"))
		}
	}
	return append(all, refusals()...)
}

// refusals are by logfence (what is no LogQL, over a limit, of no use) and by Loki.
func refusals() (all []request) {
	texts := []string{
		"", `{app="checkout"} | line_format "{{"`, `sum(count_over_time({app="ingress"}[5m])) by (tenant_id) / 0`, `{app="` + strings.Repeat("x", 20<<10) + `"}`,
		`variants(count_over_time({app="ingress"}[5m])) of ({app="ingress"}[5m])`, `{app="ingress"} | json | unwrap x`, `count_over_time({app="ingress"}[1000d])`,
		`approx_topk(3, sum by (app) (count_over_time({app=~".+"}[5m])))`, `sum by (a) (count_over_time({app=~".+"} | json | line_format "{{.x}}" [5m])) + {app="x"}`,
	}
	for _, m := range malformed {
		texts = append(texts, m.query)
	}
	for i, text := range texts {
		for j := range 4 {
			d := rangeRoutes[j]
			if (i+j)%2 == 0 {
				d = instantRoutes[j]
			}
			all = append(all, request{method: d.method, path: d.path, params: url.Values{"query": {text}}})
		}
	}
	w := on.fresh
	for _, base := range []string{"/api/v1/logs/", "/loki/api/v1/"} {
		all = append(all,
			request{path: base + "labels", params: url.Values{"start": {"x"}}},
			request{path: base + "labels", params: w.between(), token: "-"},
			request{path: base + "labels", params: w.between(), token: "no token"},
			request{path: base + "series", params: with(w.between(), "match", `{app="ingress"} | json`)},
		)
	}
	return append(all, request{path: "/api/v1/me"}, request{path: "/loki/api/v1/status/buildinfo"},
		request{path: "/api/v1/me", header: narrowed(demo.Beta)}, request{path: "/api/v1/me", header: narrowed("nobody")})
}

// TestNothingTellsOfOthers guarantees that every byte of a response (status, headers, error texts and Loki's
// statistics included) is the same before a Loki that holds alpha's streams alone and before one that holds
// everybody's. What is blanked is listed in this file, each with its reason.
func TestNothingTellsOfOthers(t *testing.T) {
	t.Parallel()
	if name := on.configuration.Name; name != demo.Configurations[0].Name {
		t.Skipf("in the configuration %s, the two Lokis are not configured alike", name)
	}
	quiet, err := startGateway(t.Context(), on.binary, on.issuer, on.alone.URL(), "LOGFENCE_MAX_RANGE=240h")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noError(t, quiet.stop()) })
	var compared, refused, statistics atomic.Int64
	t.Run("requests", func(t *testing.T) {
		for i, r := range every() {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				alone, mixed := quiet.sendUntilRoom(t, r), on.gateway.sendUntilRoom(t, r)
				unleaked(t, mixed)
				compared.Add(1)
				if mixed.status != http.StatusOK {
					refused.Add(1)
				}
				if bytes.Contains(mixed.body, []byte(`"totalChunksMatched"`)) {
					statistics.Add(1)
				}
				if want, got := exactly(t, alone), exactly(t, mixed); want != got {
					t.Errorf("%s\n(- alpha alone, + among others):\n%s", r, gocmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
				}
			})
		}
	})
	t.Logf("%d responses compared, %d of them refusals, %d with Loki's statistics", compared.Load(), refused.Load(), statistics.Load())
	if statistics.Load() < 200 || refused.Load() < 40 {
		t.Error("there is little to compare")
	}
}
