package lokitest_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/grafana/loki/v3/pkg/logqlmodel"
	"go.uber.org/goleak"

	"github.com/logfence/logfence/internal/lokitest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func at(seconds int, line string, metadata ...string) lokitest.Entry {
	e := lokitest.Entry{Time: noon.Add(time.Duration(seconds) * time.Second), Line: line}
	if len(metadata) == 2 {
		e.Metadata = map[string]string{metadata[0]: metadata[1]}
	}
	return e
}

func stream(tenant, app string, entries ...lokitest.Entry) lokitest.Stream {
	return lokitest.Stream{Labels: map[string]string{"tenant_id": tenant, "app": app}, Entries: entries}
}

func tenants(t *testing.T) *lokitest.Loki {
	t.Helper()
	l := lokitest.New(t,
		stream("alpha", "web", at(-2, `{"status":200}`, "trace", "t1"), at(-1, `{"status":500}`)),
		stream("alpha", "api", at(-3, `level=info took=3ms`)),
		stream("beta", "web", at(-1, `{"status":404}`)),
	)
	l.Now = func() time.Time { return noon }
	return l
}

// get sends pairs of parameters and returns the status and the body, as it is.
func get(t *testing.T, l *lokitest.Loki, path string, pairs ...string) (int, string) {
	t.Helper()
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return do(t, request(t, http.MethodGet, l.URL+"/loki/api/v1/"+path+"?"+v.Encode(), ""))
}

func request(t *testing.T, method, target, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	return r
}

func do(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer drop(response.Body)
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSuffix(string(body), "\n")
}

// data is the part of a response before its statistics.
func data(body string) string {
	before, _, _ := strings.Cut(body, `,"stats":`)
	return before
}

// TestResponses holds the fake to what a Loki 3.7.8 returns, byte by byte where the data are the same.
func TestResponses(t *testing.T) {
	l := tenants(t)
	const emptyMatcher = "parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~\".*\" does not meet this requirement, but app=~\".+\" will"
	for _, tt := range []struct {
		name, path string
		params     []string
		status     int
		want       string
	}{
		{
			"lines, newest first, metadata among the labels", "query_range",
			[]string{"query", `{tenant_id="alpha",app="web"}`},
			200,
			`{"status":"success","data":{"resultType":"streams","result":[` +
				`{"stream":{"app":"web","tenant_id":"alpha"},"values":[["1769860799000000000","{\"status\":500}"]]},` +
				`{"stream":{"app":"web","tenant_id":"alpha","trace":"t1"},"values":[["1769860798000000000","{\"status\":200}"]]}]`,
		},
		{
			"pipeline, direction and limit", "query_range",
			[]string{"query", `{app="web"} | json | status >= 404`, "direction", "forward", "limit", "1"},
			200,
			`{"status":"success","data":{"resultType":"streams","result":[{"stream":{"app":"web","status":"500","tenant_id":"alpha"},"values":[["1769860799000000000","{\"status\":500}"]]}]`,
		},
		{
			"the end is exclusive, the start is not", "query_range",
			[]string{"query", `{app="web"}`, "start", "1769860798", "end", "1769860799"},
			200,
			`{"status":"success","data":{"resultType":"streams","result":[{"stream":{"app":"web","tenant_id":"alpha","trace":"t1"},"values":[["1769860798000000000","{\"status\":200}"]]}]`,
		},
		{"nothing", "query_range", []string{"query", `{app="nope"}`}, 200, `{"status":"success","data":{"resultType":"streams","result":[]`},
		{
			"both legs show", "query",
			[]string{"query", `sum(rate({tenant_id="alpha",app="web"}[1m])) / sum(rate({tenant_id="beta"}[1m]))`},
			200,
			`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"app":"web","tenant_id":"alpha"},"value":[1769860800,"2"]},{"metric":{"app":"web","tenant_id":"beta"},"value":[1769860800,"1"]}]`,
		},
		{
			"under label_replace", "query",
			[]string{"query", `label_replace(rate({app="api"}[1m]), "x", "$1", "app", "(.*)")`},
			200,
			`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"app":"api","tenant_id":"alpha"},"value":[1769860800,"1"]}]`,
		},
		{
			"a matrix counts by step", "query_range",
			[]string{"query", `count_over_time({app="web"}[2s])`, "start", "1769860798", "end", "1769860800", "step", "1"},
			200,
			`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"app":"web","tenant_id":"alpha"},"values":[[1769860798,"1"],[1769860799,"2"],[1769860800,"1"]]},{"metric":{"app":"web","tenant_id":"beta"},"values":[[1769860799,"1"],[1769860800,"1"]]}]`,
		},
		{"Grafana's health check", "query", []string{"query", `vector(1)+vector(1)`}, 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1769860800,"2"]}]`},
		{"a scalar", "query", []string{"query", `1+1`}, 200, `{"status":"success","data":{"resultType":"scalar","result":[1769860800,"2"]`},
		{"instant lines", "query", []string{"query", `{app="web"}`}, 400, "log queries are not supported as an instant query type, please change your query to a range query type"},
		{"broken", "query_range", []string{"query", `{app="web"`}, 400, "parse error at line 1, col 11: syntax error: unexpected $end, expecting } or ,"},
		{"no query", "query_range", nil, 400, "parse error : syntax error: unexpected $end"},
		{"empty matcher", "query_range", []string{"query", `{}`}, 400, emptyMatcher},
		{"limit 0", "query_range", []string{"query", `{app="web"}`, "limit", "0"}, 400, "limit must be a positive value"},
		{"limit too high", "query_range", []string{"query", `{app="web"}`, "limit", "10000"}, 400, "max entries limit per query exceeded, limit > max_entries_limit_per_query (10000 > 5000)"},
		{"direction", "query_range", []string{"query", `{app="web"}`, "direction", "x"}, 400, "invalid direction 'x'"},
		{"start", "query_range", []string{"query", `{app="web"}`, "start", "x"}, 400, `could not parse 'start' parameter: strconv.ParseInt: parsing "x": invalid syntax`},
		{"end before start", "query_range", []string{"query", `{app="web"}`, "start", "5", "end", "4"}, 400, "end timestamp must not be before or equal to start time"},
		{"variants", "query_range", []string{"query", `variants(count_over_time({app="web"}[1m])) of ({app="web"}[1m])`}, 400, logqlmodel.ErrVariantsDisabled.Error()},
		{"everyone's labels", "labels", nil, 200, `{"status":"success","data":["app","tenant_id"]}`},
		{"no labels", "labels", []string{"query", `{app="nope"}`}, 200, `{"status":"success"}`},
		{"labels of {}", "labels", []string{"query", `{}`}, 400, emptyMatcher},
		{"labels of a pipeline", "labels", []string{"query", `{app="web"} | json`}, 400, "only label matchers are supported"},
		{"everyone's values", "label/tenant_id/values", nil, 200, `{"status":"success","data":["alpha","beta"]}`},
		{"confined values", "label/app/values", []string{"query", `{tenant_id="beta"}`}, 200, `{"status":"success","data":["web"]}`},
		{"values of nothing", "label/nope/values", nil, 200, `{"status":"success"}`},
		{"series of both names", "series", []string{"match[]", `{app="api"}`, "match", `{tenant_id="beta"}`}, 200, `{"status":"success","data":[{"app":"api","tenant_id":"alpha"},{"app":"web","tenant_id":"beta"}]}`},
		{"series of nothing", "series", []string{"match", `{app="nope"}`}, 200, `{"status":"success","data":[]}`},
		{"series of everything", "series", nil, 200, `{"status":"success","data":[{"app":"web","tenant_id":"alpha"},{"app":"api","tenant_id":"alpha"},{"app":"web","tenant_id":"beta"}]}`},
		{"series that is broken", "series", []string{"match[]", `{app=`}, 400, "parse error at line 1, col 6: syntax error: unexpected $end, expecting STRING"},
		{"stats", "index/stats", []string{"query", `{tenant_id="alpha"}`}, 200, `{"streams":2,"chunks":2,"bytes":47,"entries":3}`},
		{"stats of {}", "index/stats", []string{"query", `{}`}, 400, emptyMatcher},
		{"volume by the selector's labels", "index/volume", []string{"query", `{tenant_id="alpha"}`}, 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"tenant_id":"alpha"},"value":[1769860800,"47"]}]`},
		{"volume by labels named", "index/volume", []string{"query", `{tenant_id="alpha"}`, "targetLabels", "app"}, 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"app":"api"},"value":[1769860800,"19"]},{"metric":{"app":"web"},"value":[1769860800,"28"]}]`},
		{"volume by names", "index/volume", []string{"query", `{tenant_id="beta"}`, "aggregateBy", "labels"}, 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"app":""},"value":[1769860800,"14"]},{"metric":{"tenant_id":""},"value":[1769860800,"14"]}]`},
		{"volume in steps", "index/volume_range", []string{"query", `{app="web"}`, "start", "1769860798", "end", "1769860800", "step", "1"}, 200, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"app":"web"},"values":[[1769860798.999,"14"],[1769860799.999,"28"]]}]`},
		{"patterns", "patterns", []string{"query", `{app="web"}`, "step", "60"}, 200, `{"status":"success","data":[{"pattern":"{\"status\":\u003c_\u003e}","level":"unknown","samples":[[1769860740,3]]}]}`},
		{"no patterns", "patterns", []string{"query", `{app="nope"}`}, 200, `{"status":"success","data":[]}`},
		{"detected labels", "detected_labels", []string{"query", `{app="web"}`}, 200, `{"detectedLabels":[{"label":"app","cardinality":1},{"label":"tenant_id","cardinality":2}]}`},
		{"no detected labels", "detected_labels", []string{"query", `{app="nope"}`}, 200, `{}`},
		{"detected fields", "detected_fields", []string{"query", `{tenant_id="alpha"}`}, 200, `{"fields":[` +
			`{"label":"level","type":"string","cardinality":1,"parsers":["logfmt"]},` +
			`{"label":"status","type":"int","cardinality":2,"parsers":["json"],"jsonPath":["status"]},` +
			`{"label":"took","type":"duration","cardinality":1,"parsers":["logfmt"]},` +
			`{"label":"trace","type":"string","cardinality":1,"parsers":null}],"limit":1000}`},
		{"no detected fields", "detected_fields", []string{"query", `{app="nope"}`}, 200, `{}`},
		{"field values", "detected_field/status/values", []string{"query", `{tenant_id="alpha"}`, "limit", "5"}, 200, `{"limit":5,"values":["200","500"]}`},
		{"format", "format_query", []string{"query", `{app="web"} |="x"`}, 200, `{"status":"success","data":"{app=\"web\"} |= \"x\""}`},
		{"format what is broken", "format_query", []string{"query", `{app=`}, 400, `{"status":"invalid-query","error":"parse error at line 1, col 6: syntax error: unexpected $end, expecting STRING"}`},
		{"unknown path", "push", nil, 404, "404 page not found"},
		{"a name with a slash", "label/a/b/values", nil, 404, "404 page not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, body := get(t, l, tt.path, tt.params...)
			if data(body) != tt.want || status != tt.status {
				t.Errorf("%d\n got %s\nwant %s", status, data(body), tt.want)
			}
		})
	}
}

// TestCategorizedLabels guarantees the third element that Grafana requests.
func TestCategorizedLabels(t *testing.T) {
	l := tenants(t)
	r := request(t, http.MethodGet, l.URL+"/loki/api/v1/query_range?query="+url.QueryEscape(`{app="web",tenant_id="alpha"} | json`), "")
	r.Header.Set("X-Loki-Response-Encoding-Flags", "categorize-labels")
	_, body := do(t, r)
	want := `{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[{"stream":{"app":"web","tenant_id":"alpha"},"values":[` +
		`["1769860799000000000","{\"status\":500}",{"parsed":{"status":"500"}}],` +
		`["1769860798000000000","{\"status\":200}",{"parsed":{"status":"200"},"structuredMetadata":{"trace":"t1"}}]]}]`
	if data(body) != want {
		t.Errorf("got  %s\nwant %s", data(body), want)
	}
}

// TestRequestsAreReadAsLokiDoes guarantees what a fence must not fall for: the form wins over the URL.
func TestRequestsAreReadAsLokiDoes(t *testing.T) {
	l := tenants(t)
	r := request(t, http.MethodPost, l.URL+"/loki/api/v1/labels?query="+url.QueryEscape(`{app="nope"}`), "query="+url.QueryEscape(`{app="api"}`))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Scope-OrgID", "somebody")
	if status, body := do(t, r); status != 200 || body != `{"status":"success","data":["app","tenant_id"]}` {
		t.Errorf("%d %s", status, body)
	}
	got := l.Requests()[0]
	if got.Params.Get("query") != `{app="api"}` || len(got.Params["query"]) != 2 || got.URLParams.Get("query") != `{app="nope"}` ||
		got.Header.Get("X-Scope-OrgID") != "somebody" || !strings.HasPrefix(got.Body, "query=") {
		t.Errorf("recorded %+v", got)
	}
	if status, _ := do(t, request(t, http.MethodGet, l.URL+"/loki/api/v1/labels?a=1;b=2", "")); status != 400 {
		t.Errorf("a semicolon: %d", status)
	}
	if status, _ := do(t, request(t, http.MethodDelete, l.URL+"/loki/api/v1/labels", "")); status != 405 {
		t.Errorf("DELETE: %d", status)
	}
	if status, body := do(t, request(t, http.MethodGet, l.URL+"/ready", "")); status != 200 || body != "ready" {
		t.Errorf("ready: %d %s", status, body)
	}
}

// TestStatisticsAreShaped guarantees that stats are there, as Loki nests them.
func TestStatisticsAreShaped(t *testing.T) {
	_, body := get(t, tenants(t), "query_range", "query", `{app="web"}`)
	var a struct {
		Data struct {
			Stats struct {
				Summary  struct{ TotalLinesProcessed, TotalEntriesReturned int }
				Querier  struct{ Store *struct{ Chunk *struct{} } }
				Ingester *struct{ TotalReached int }
				Cache    *struct{ Chunk *struct{} }
			}
		}
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatal(err)
	}
	s := a.Data.Stats
	if s.Summary.TotalLinesProcessed != 3 || s.Summary.TotalEntriesReturned != 3 || s.Querier.Store.Chunk == nil || s.Ingester == nil || s.Cache.Chunk == nil {
		t.Errorf("%s", body)
	}
}

// TestMisbehaviour guarantees that the fake fails as it is told, and recovers.
func TestMisbehaviour(t *testing.T) {
	l := tenants(t)
	l.Instead(lokitest.Fail(503, "empty ring"))
	if status, body := get(t, l, "labels"); status != 503 || body != "empty ring" {
		t.Errorf("Fail: %d %s", status, body)
	}
	l.Instead(lokitest.Generate(1 << 20))
	if _, body := get(t, l, "query_range"); len(body) < 1<<20 || !json.Valid([]byte(body)) {
		t.Errorf("Generate: %d bytes, valid %t", len(body), json.Valid([]byte(body)))
	}
	l.CutAfter(20)
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request(t, http.MethodGet, l.URL+"/loki/api/v1/labels", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer drop(response.Body)
	if body, err := io.ReadAll(response.Body); err == nil || string(body) != `{"status":"success",` {
		t.Errorf("CutAfter: %q, %v", body, err)
	}
	hanging := l.Hang()
	go func() { <-hanging.Arrived; hanging.Release() }()
	if status, _ := get(t, l, "labels"); status != 200 {
		t.Errorf("Hang: %d after its release", status)
	}
	l.Behave()
	r := request(t, http.MethodGet, l.URL+"/loki/api/v1/labels", "")
	r.Header.Set("Accept-Encoding", "gzip")
	_, body := do(t, r)
	z, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := io.ReadAll(z); err != nil || !strings.HasPrefix(string(plain), `{"status":"success"`) {
		t.Errorf("gzip: %q, %v", plain, err)
	}
}

// dial opens a tail; received gives its frames, and closes with it.
func dial(t *testing.T, l *lokitest.Loki, query string) (conn *websocket.Conn, received func() (string, error)) {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(l.URL, "http")+"/loki/api/v1/tail?query="+url.QueryEscape(query), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.Body != nil {
		drop(response.Body)
	}
	t.Cleanup(func() { hangUp(conn) })
	return conn, func() (string, error) {
		_, frame, err := conn.Read(context.WithoutCancel(t.Context()))
		return string(frame), err
	}
}

// TestTail guarantees that a tail gets what is there, then what is pushed, and only what it selects.
func TestTail(t *testing.T) {
	l := tenants(t)
	conn, received := dial(t, l, `{tenant_id="alpha",app="api"} |= "level"`)
	for _, step := range []struct {
		push func()
		want string
	}{
		{func() {}, `{"streams":[{"stream":{"app":"api","tenant_id":"alpha"},"values":[["1769860797000000000","level=info took=3ms"]]}]}`},
		{func() {
			l.Push(stream("beta", "api", at(1, "level=beta")), stream("alpha", "api", at(1, "level=1"), at(2, "other")))
		}, `{"streams":[{"stream":{"app":"api","tenant_id":"alpha"},"values":[["1769860801000000000","level=1"]]}]}`},
		{
			func() { l.Drop(stream("beta", "api", at(3, "")), stream("alpha", "api", at(3, ""))) },
			`{"streams":[],"dropped_entries":[{"timestamp":"1769860803000000000","labels":{"app":"api","tenant_id":"alpha"}}]}`,
		},
	} {
		step.push()
		if got, err := received(); err != nil || got != step.want {
			t.Errorf("got  %s, %v\nwant %s", got, err, step.want)
		}
	}
	if q := l.Tails(); len(q) != 1 {
		t.Errorf("tails %q", q)
	}
	l.CloseTails()
	if _, err := received(); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("closed with %v", err)
	}
	hangUp(conn)
}

// TestTailEnds guarantees that tails can be cut, and that a metric query is found out after the handshake,
// as by Loki.
func TestTailEnds(t *testing.T) {
	l := tenants(t)
	_, received := dial(t, l, `{app="api"}`)
	if _, err := received(); err != nil { // it is open now
		t.Fatal(err)
	}
	l.CutTails()
	if _, err := received(); err == nil || websocket.CloseStatus(err) != -1 {
		t.Errorf("cut: %v", err)
	}
	_, received = dial(t, l, `rate({app="api"}[1m])`)
	if _, err := received(); websocket.CloseStatus(err) != websocket.StatusInternalError {
		t.Errorf("a metric query: %v", err)
	}
	if status, body := get(t, l, "tail", "query", `{app=`); status != 400 || !strings.HasPrefix(body, "parse error") {
		t.Errorf("a broken query: %d %s", status, body)
	}
}

// drop and hangUp end what has been looked at.
func drop(c io.Closer) { _ = c.Close() }

func hangUp(conn *websocket.Conn) { _ = conn.CloseNow() }
