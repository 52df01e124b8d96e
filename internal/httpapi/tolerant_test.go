package httpapi

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/lokitest"
)

// clientRequest is a request as some client sends it: the raw query of its URL, and the form of a POST.
type clientRequest struct {
	name, method, path, query, form string
	status                          int
	arrives                         bool // although it is refused: by Loki
	// says is a part of the response; sent are parameters as they arrive at Loki, "-" for those that must not.
	says string
	sent map[string]string
}

func (g *gateway) sendRaw(r clientRequest) apiResponse {
	g.Helper()
	out := g.request(r.method, r.path)
	out.URL.RawQuery = r.query
	if r.method == http.MethodPost {
		out.Body, out.ContentLength = nopCloser{strings.NewReader(r.form)}, int64(len(r.form))
		if r.form == "" {
			out.Header.Del("Content-Type")
			out.Body = http.NoBody
		}
	}
	return g.send(alphaToken, out)
}

const (
	webQuery = "query=%7Bapp%3D%22web%22%7D"
	// What arrives of it.
	fencedWeb = `{tenant_id="alpha",app="web"}`
	everyone  = `{tenant_id="alpha"}`
)

// clientRequests are requests that clients of Loki send, as Loki takes them.
var clientRequests = []clientRequest{
	{name: "Grafana 6: an empty regexp", path: "query_range", query: webQuery + "&regexp=", status: 200, sent: map[string]string{"query": fencedWeb, "regexp": "-"}},
	{name: "Grafana 6: a regexp", path: "query_range", query: webQuery + "&regexp=thr.e", status: 200, sent: map[string]string{"query": fencedWeb + "\n|~ \"thr.e\"", "regexp": "-"}},
	{name: "a regexp after a comment", path: "query_range", query: webQuery + "%23x&regexp=a%22b", status: 200, sent: map[string]string{"regexp": "-"}},
	{name: "a regexp that is none", path: "query_range", query: webQuery + "&regexp=%28", status: 400, arrives: true},
	{name: "a regexp with a metric query", path: "query_range", query: "query=count_over_time(%7Bapp%3D%22web%22%7D%5B5m%5D)&regexp=x", status: 200, sent: map[string]string{"regexp": "-"}},
	{
		name: "everything empty", path: "query_range", query: webQuery + "&limit=&start=&end=&since=&step=&interval=&direction=", status: 200,
		sent: map[string]string{"query": fencedWeb, "limit": "100", "direction": "-", "step": "-", "interval": "-"},
	},
	{name: "capitals", path: "query_range", query: webQuery + "&direction=Backward", status: 200, sent: map[string]string{"direction": "backward"}},
	{name: "numbers in other clothes", path: "query_range", query: webQuery + "&limit=%2B005&interval=0", status: 200, sent: map[string]string{"limit": "5", "interval": "-"}},
	{name: "Grafana 7.5: from and to", path: "label", query: "from=1795950000000000000&to=1795953600000000000", status: 200, sent: map[string]string{"query": everyone, "from": "-", "to": "-"}},
	{name: "Grafana 8.0: from and to", path: "label/app/values", query: "from=1795950000000&to=x", status: 200, sent: map[string]string{"query": everyone, "from": "-"}},
	{name: "Perses: a step of a volume", path: "index/volume", query: webQuery + "&step=60s", status: 200, sent: map[string]string{"query": fencedWeb, "step": "-"}},
	{name: "Prometheus clients", path: "query_range", query: webQuery + "&timeout=60s&stats=all&_=123&max_source_resolution=0s", status: 200, sent: map[string]string{"timeout": "-", "stats": "-", "_": "-"}},
	{name: "a limit of labels", path: "labels", query: "limit=10", status: 200, sent: map[string]string{"query": everyone, "limit": "-"}},
	{name: "a limit of series", path: "series", query: "match%5B%5D=%7Bapp%3D%22web%22%7D&limit=10", status: 200, sent: map[string]string{"match[]": fencedWeb, "limit": "-"}},
	{name: "shards", path: "query_range", query: webQuery + "&shards=1_of_2&shards=2_of_2", status: 200, sent: map[string]string{"shards": "-"}},
	{name: "names of no use, twice", path: "labels", query: "%ff=1&%ff=2&=3&query%00=x", status: 200, sent: map[string]string{"query": everyone}},
	{name: "an empty selector", path: "labels", query: "query=", status: 200, sent: map[string]string{"query": everyone}},
	{name: "an empty match among others", path: "series", query: "match%5B%5D=&match%5B%5D=%7Bapp%3D%22web%22%7D", status: 200, sent: map[string]string{"match[]": fencedWeb}},
	{name: "nothing but an empty match", path: "series", query: "match%5B%5D=&match=", status: 200, sent: map[string]string{"match[]": everyone}},
	{name: "both names", path: "series", query: "match%5B%5D=%7Bapp%3D%22web%22%7D&match=%7Bapp%3D%22web%22%7D", status: 200},
	{name: "curl with a bare question mark", method: "POST", path: "series?", form: "match%5B%5D=%7Bapp%3D%22web%22%7D", status: 200, sent: map[string]string{"match[]": fencedWeb}},
	{name: "URL and form", method: "POST", path: "series", query: "start=1772365000&end=1772366000", form: "match%5B%5D=%7Bapp%3D%22web%22%7D", status: 200, sent: map[string]string{"match[]": fencedWeb, "start": "1772365000000000000"}},
	{name: "matches in both", method: "POST", path: "series", query: "match%5B%5D=%7Bapp%3D%22web%22%7D", form: "match%5B%5D=%7Bapp%3D%22web%22%7D", status: 200},
	{name: "a POST with its parameters in the URL", method: "POST", path: "query_range", query: webQuery, status: 200, sent: map[string]string{"query": fencedWeb}},
	{name: "a query in both", method: "POST", path: "query_range", query: webQuery, form: webQuery, status: 400, says: "in the URL and in the form"},
	{name: "a query in both, once empty", method: "POST", path: "query_range", query: webQuery, form: "query=", status: 400, says: "in the URL and in the form"},
	{name: "an unknown one in both", method: "POST", path: "query_range", query: webQuery + "&x=1", form: "x=2", status: 200, sent: map[string]string{"query": fencedWeb}},
	{name: "a query twice", path: "query_range", query: webQuery + "&" + webQuery, status: 400, says: "2 times"},
	{name: "a limit twice, once empty", path: "query_range", query: webQuery + "&limit=&limit=9", status: 400, says: "2 times"},
	{name: "an empty selector of statistics", path: "index/stats", query: "query=", status: 200, sent: map[string]string{"query": everyone}},
	{name: "no query", path: "query_range", status: 400, says: "parse error : syntax error: unexpected $end"},
	{name: "an empty query", path: "query", query: "query=", status: 400, says: "parse error : syntax error: unexpected $end"},
	{name: "an empty selector where one is required", path: "patterns", query: "query=", status: 400, says: "parse error : syntax error: unexpected $end"},
	{name: "an empty query to format", path: "format_query", query: "query=", status: 400, says: `{"status":"invalid-query","error":"parse error : syntax error: unexpected $end"}`},
	{name: "a volume without a limit", path: "index/volume", query: webQuery + "&limit=0", status: 200, sent: map[string]string{"limit": "-"}},
	{name: "a limit of nothing", path: "query_range", query: webQuery + "&limit=0", status: 400, says: "limit must be a positive value"},
	{name: "no direction", path: "index/stats", query: webQuery + "&direction=sideways", status: 400, says: "invalid direction"},
	{name: "no step", path: "query_range", query: webQuery + "&step=0", status: 400, says: "zero or negative query resolution step widths are not accepted"},
	{name: "no aggregation", path: "index/volume", query: webQuery + "&aggregateBy=Labels", status: 400, says: "invalid aggregation option"},
	{name: "no time", path: "labels", query: "start=yesterday", status: 400, says: "could not parse 'start' parameter"},
	{name: "a log query at one time", path: "query", query: webQuery, status: 400, says: "log queries are not supported as an instant query type"},
	{name: "a pipeline for labels", path: "labels", query: webQuery + "%7C%3D%22x%22", status: 400, says: "only label matchers are supported"},
	{name: "too many lines", path: "query_range", query: webQuery + "&limit=5000", status: 400, says: "max entries limit per query exceeded, limit > max_entries_limit_per_query (5000 > 1000)"},
	{name: "too wide", path: "query_range", query: webQuery + "&since=60d", status: 400, says: "the query time range exceeds the limit (query length: 60d, limit: "},
	{name: "too many points", path: "query_range", query: "query=rate(%7Bapp%3D%22web%22%7D%5B5m%5D)&step=100ms", status: 400, says: "exceeded maximum resolution of 11,000 points per time series"},
}

// TestClientRequests guarantees that the Loki-compatible surface takes what Loki takes, that what arrives there was built
// from the values that were read, and that a selector always arrives.
func TestClientRequests(t *testing.T) {
	t.Parallel()
	for _, r := range clientRequests {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			if r.method == "" {
				r.method = http.MethodGet
			}
			r.path = "/loki/api/v1/" + r.path
			g := newGateway(t)
			a := g.sendRaw(r)
			if a.StatusCode != r.status || !strings.Contains(a.text, r.says) || strings.HasSuffix(a.text, "\n") && r.status != 200 && !strings.HasPrefix(a.text, "{") {
				t.Errorf("%d %.300q, want %d %q", a.StatusCode, a.text, r.status, r.says)
			}
			if strings.Contains(a.text, "beta") {
				t.Errorf("another's: %.300s", a.text)
			}
			for _, arrived := range g.loki.Requests() {
				if r.status != http.StatusOK && !r.arrives {
					t.Errorf("arrived: %+v", arrived)
				}
				known := []string{"query", "match[]", "start", "end", "limit", "direction", "step", "interval", "targetLabels"}
				for name := range arrived.Params {
					if !slices.Contains(known, name) {
						t.Errorf("%s arrived", name)
					}
				}
				for _, text := range append(arrived.Params["query"], arrived.Params["match[]"]...) {
					if !strings.Contains(text, `{tenant_id="alpha"`) {
						t.Errorf("%s arrived", text)
					}
				}
				for name, want := range r.sent {
					if got := strings.Join(arrived.Params[name], ","); got != want && (want != "-" || got != "") {
						t.Errorf("%s arrived as %q, want %q", name, got, want)
					}
				}
			}
		})
	}
}

// TestNativeStaysStrict guarantees that what Loki's surface tolerates is refused on the native one.
func TestNativeStaysStrict(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, query := range []string{
		webQuery + "&regexp=", webQuery + "&limit=", webQuery + "&direction=Backward", webQuery + "&timeout=1s", webQuery + "&shards=1", "query=", "", webQuery + "&interval=0",
	} {
		if a := g.sendRaw(clientRequest{method: "GET", path: "/api/v1/logs/query", query: query}); a.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, a.StatusCode, a.text)
		}
	}
	if n := len(g.loki.Requests()); n > 0 {
		t.Errorf("%d requests arrived at Loki", n)
	}
}

// TestLokiReads guarantees that each parameter which Loki reads is read here as well, on paths that there are.
func TestLokiReads(t *testing.T) {
	t.Parallel()
	spec := freshSpec(t)
	for _, path := range slices.Sorted(maps.Keys(lokiReads)) {
		if spec.Paths.Value(path) == nil {
			t.Errorf("there is no path %s", path)
		}
		for _, name := range lokiReads[path] {
			if _, wrong := readOne(name, "no value at all"); wrong == "" || wrong == "unknown parameter" {
				t.Errorf("%s of %s: %q", name, path, wrong)
			}
		}
	}
}

// TestEncodingFlags guarantees that the one known flag is found among others, as Loki finds it.
func TestEncodingFlags(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"categorize-labels": flagCategorize, "categorize-labels,new": flagCategorize, "new,categorize-labels": flagCategorize,
		"new": "", "": "", "categorize-labels2": "", "CATEGORIZE-LABELS": "", "new categorize-labels": "",
	} {
		g := newGateway(t)
		r := g.request(http.MethodGet, "/loki/api/v1/query_range", "query", `{app="api"}`)
		r.Header.Set(headerEncodingFlags, given)
		if a := g.send(alphaToken, r); a.StatusCode != http.StatusOK {
			t.Errorf("%q: %d %s", given, a.StatusCode, a.text)
			continue
		}
		if got := g.loki.Requests()[0].Header.Get(headerEncodingFlags); got != want {
			t.Errorf("%q arrived as %q, want %q", given, got, want)
		}
	}
}

// TestDoubleSlashes guarantees that a base URL which ends with a slash leads to Loki's paths, and to no other place.
func TestDoubleSlashes(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, tt := range []struct{ method, path, location string }{
		{"GET", "//loki/api/v1/labels?start=1&x=//evil", "/loki/api/v1/labels?start=1&x=//evil"},
		{"HEAD", "//loki/api/v1/labels", "/loki/api/v1/labels"},
		{"GET", "///loki//api/v1/label/app/values", "/loki/api/v1/label/app/values"},
		{"GET", "/loki/api/v1//query_range?", "/loki/api/v1/query_range"},
		{"POST", "//loki/api/v1/labels", ""},
		{"GET", "//evil.example/loki/api/v1/labels", ""},
		{"GET", "//loki/api/v1/push", ""},
		{"GET", "//loki/api/v1/labels/", ""},
		{"GET", "//api/v1/logs/labels", ""},
		{"GET", "//loki/api/v1/x/../labels", ""},
		{"GET", "//loki/api/v1/label/%2e%2e/values", ""},
		{"GET", "//loki/api/v1/label/a%2Fb/values", ""},
		{"GET", "/\\loki/api/v1/labels", ""},
	} {
		r := g.request(tt.method, "/")
		r.URL.Opaque = strings.ReplaceAll(g.url, "http://", "//") + tt.path
		a := g.send("", r)
		want := http.StatusMovedPermanently
		if tt.location == "" {
			want = http.StatusNotFound
		}
		if a.StatusCode != want || a.Header.Get("Location") != tt.location {
			t.Errorf("%s %s: %d to %q, want %d to %q", tt.method, tt.path, a.StatusCode, a.Header.Get("Location"), want, tt.location)
		}
	}
}

// TestReadyPath guarantees that clients which wait for Loki find a server that takes requests, without a token, and
// learn nothing else.
func TestReadyPath(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.loki.Close() // which is none of its business
	if a := g.get("", "/ready"); a.StatusCode != http.StatusOK || a.text != "ready\n" {
		t.Errorf("%d %q", a.StatusCode, a.text)
	}
	g.server.Stopping()
	if a := g.get("", "/ready"); a.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("while it stops: %d %q", a.StatusCode, a.text)
	}
}

// TestFailuresInLokisWords guarantees that clients of Loki are told of its failures in the words by which they decide.
func TestFailuresInLokisWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status  int
		message string
		want    int
		says    string
	}{
		{504, "context deadline exceeded", 504, "timeout"},
		{429, "too many outstanding requests of 10.0.0.7", 429, "too many outstanding requests"},
		{500, "found duplicate series on the right hand-side;many-to-many matching not allowed: matching labels must be unique on one side", 400, "many-to-many matching not allowed"},
		{400, "maximum of series (500) reached for a single query", 400, "maximum of series (500) reached"},
		{413, "response larger than the max message size (5 vs 4)", 400, "response larger than the max message size (5 vs 4)"},
		{400, `parse error at line 1, col 34: {tenant_id="alpha"}`, 400, "Loki refused the query."},
		{500, "rpc error: 10.0.0.7", 502, "Loki failed"},
	} {
		g := newGateway(t)
		g.loki.Instead(lokitest.Fail(tt.status, tt.message))
		a := g.get(alphaToken, "/loki/api/v1/query_range", "query", `{app="api"}`)
		if a.StatusCode != tt.want || !strings.Contains(a.text, tt.says) || strings.Contains(a.text, "10.0.0.7") || strings.Contains(a.text, "tenant_id") {
			t.Errorf("%d %s: %d %q", tt.status, tt.message, a.StatusCode, a.text)
		}
	}
}
