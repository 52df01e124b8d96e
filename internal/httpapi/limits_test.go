package httpapi

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/tenant"
)

// own gives a tenant limits of its own.
func (g *gateway) own(name tenant.Name, change func(*limits.Limits)) {
	l := g.server.limits.Of([]tenant.Name{name}).Limits
	change(&l)
	g.server.limits.Replace(map[tenant.Name]limits.OwnLimits{name: {Limits: l}})
}

// exhaust leaves a tenant no request; the clock stands.
func (g *gateway) exhaust(name tenant.Name) {
	g.Helper()
	g.own(name, func(l *limits.Limits) { l.Burst = 1 })
	if _, err := g.server.limits.Admit(g.Context(), g.server.limits.Of([]tenant.Name{name}), limits.ClassRequest); err != nil {
		g.Fatal(err)
	}
}

// refusedAs checks that a response is a refusal with a code, and detail in it.
func refusedAs(t *testing.T, a apiResponse, status int, code, detail string) {
	t.Helper()
	if a.StatusCode != status || !strings.Contains(a.text, `"code":"`+code+`"`) || !strings.Contains(a.text, detail) {
		t.Errorf("got %d %s\nwant %d %s: %s", a.StatusCode, a.text, status, code, detail)
	}
}

// TestRateIsTheTenants guarantees that requests count for the tenant and not for the token, that strangers'
// count for nobody, and that callers are told what is left and when to come back, on every path.
func TestRateIsTheTenants(t *testing.T) {
	t.Parallel()
	tokens := several()
	tokens["another-token-of-alpha"] = tokens[alphaToken]
	g := newGateway(t, withPrincipals(tokens), withLimits(t, func(c *limits.Config) { c.Rate, c.Burst = 2, 4 }))
	for i, send := range []func() apiResponse{
		func() apiResponse { return g.get(alphaToken, "/api/v1/me") },
		func() apiResponse { return g.get("another-token-of-alpha", "/loki/api/v1/labels") },
		func() apiResponse { return g.get(alphaToken, "/api/v1/logs/query", "query", `{app=`) }, // what is wrong with it is seen later
		func() apiResponse { return g.get(bothToken, "/api/v1/logs/labels") },
	} {
		g.get("stranger", "/api/v1/me")
		a := send()
		want := fmt.Sprintf(`"requests";r=%d;t=%d`, 3-i, (i+2)/2)
		if a.StatusCode == http.StatusTooManyRequests || a.Header.Get("RateLimit") != want || a.Header.Get("RateLimit-Policy") != `"requests";q=4;w=2` {
			t.Errorf("request %d: %d, %s and %s, want %s", i, a.StatusCode, a.Header.Get("RateLimit"), a.Header.Get("RateLimit-Policy"), want)
		}
	}
	before := len(g.loki.Requests())
	for _, path := range []string{"/api/v1/me", "/loki/api/v1/labels", "/api/v1/logs/labels"} {
		a := g.get(alphaToken, path)
		if a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "1" || a.Header.Get("RateLimit") != `"requests";r=0;t=1` ||
			!strings.Contains(a.text, "The tenant sends more than 2 requests a second. Try again in 1s.") {
			t.Errorf("%s: %d %s %v", path, a.StatusCode, a.text, a.Header)
		}
	}
	if a := g.get(betaToken, "/api/v1/me"); a.StatusCode != http.StatusOK {
		t.Errorf("another tenant: %d %s", a.StatusCode, a.text)
	}
	if a := g.get("stranger", "/api/v1/me"); a.StatusCode != http.StatusUnauthorized || a.Header.Get("RateLimit") != "" {
		t.Errorf("a stranger: %d, and is told %q", a.StatusCode, a.Header.Get("RateLimit"))
	}
	if n := len(g.loki.Requests()); n != before {
		t.Errorf("Loki got %d requests of refused callers", n-before)
	}
}

// TestLokisOwnRefusalIsReported guarantees that Loki's own rate limit is told from the tenant's: the caller can only act on one.
func TestLokisOwnRefusalIsReported(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.loki.Instead(lokitest.Fail(http.StatusTooManyRequests, "too many outstanding requests"))
	a := g.get(alphaToken, "/api/v1/logs/labels")
	refusedAs(t, a, http.StatusTooManyRequests, "rate_limited", "Loki accepts no more queries at present.")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// TestQueriesAtOnce guarantees that no more of a tenant's queries are in flight at Loki than its limit, that
// some more wait and the rest are refused, and that no other tenant, export or tail is in the way of them.
func TestQueriesAtOnce(t *testing.T) {
	inBubble(t, testQueriesAtOnce, withLimits(t, func(c *limits.Config) { c.Queries, c.Queue, c.Exports, c.Wait = 1, 1, 1, time.Minute }))
}

func testQueriesAtOnce(g *gateway) {
	begun, end := make(chan struct{}, 10), make(chan struct{})
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		select {
		case <-end:
		case <-r.Context().Done():
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"success","data":["app"]}`)
	}))
	send := func(token string) <-chan apiResponse {
		done := make(chan apiResponse, 1)
		go func() { done <- g.get(token, "/api/v1/logs/labels") }()
		return done
	}
	first := send(alphaToken)
	<-begun
	second := send(alphaToken)
	synctest.Wait()
	refusedAs(g.T, g.get(alphaToken, "/api/v1/logs/labels"), http.StatusTooManyRequests, "too_many_queries", "The tenant has 1 queries in flight")
	other := send(betaToken)
	<-begun
	if a := g.get(alphaToken, "/api/v1/me"); a.StatusCode != http.StatusOK {
		g.Errorf("an operation without Loki: %d %s", a.StatusCode, a.text)
	}
	export, leave := cancelable(g.request(http.MethodGet, "/api/v1/logs/export", "query", `{app="api"}`))
	export.Header.Set("Authorization", "Bearer "+alphaToken)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if response, err := g.transport().RoundTrip(export); err == nil {
			response.Body.Close()
		}
	}()
	<-begun
	refusedAs(g.T, g.get(alphaToken, "/api/v1/logs/export", "query", `{app="api"}`), http.StatusTooManyRequests, "too_many_exports", "Wait for one to end.")
	leave()
	<-gone
	close(end)
	for _, done := range []<-chan apiResponse{first, second, other} {
		if a := <-done; a.StatusCode != http.StatusOK {
			g.Errorf("%d %s", a.StatusCode, a.text)
		}
	}
	synctest.Wait()
	if held, waiting := g.server.limits.Queries(); held+waiting != 0 {
		g.Errorf("%d are held, %d wait", held, waiting)
	}
}

// TestFloodWaitsForItself guarantees fairness up to Loki itself: however many queries of one tenant wait, the
// next of another is sent after one of them at most, and no more than the limit are in flight at once.
func TestFloodWaitsForItself(t *testing.T) {
	inBubble(t, testFloodWaitsForItself, withLimits(t, func(c *limits.Config) { c.AtOnce, c.Queries, c.Queue, c.Wait = 1, 4, 50, time.Hour }))
}

func testFloodWaitsForItself(g *gateway) {
	arrived, next := make(chan string), make(chan struct{})
	var atOnce atomic.Int32
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := atOnce.Add(1); n > 1 {
			g.Errorf("%d at once", n)
		}
		defer atOnce.Add(-1)
		arrived <- r.URL.Query().Get("query")
		<-next
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"success","data":["app"]}`)
	}))
	var all sync.WaitGroup
	send := func(token string) { all.Go(func() { g.get(token, "/api/v1/logs/labels") }) }
	waiting := func(n int) {
		synctest.Wait()
		if _, waiting := g.server.limits.Queries(); waiting != n {
			g.Fatalf("%d wait, want %d", waiting, n)
		}
	}
	send(alphaToken)
	<-arrived
	for range 20 {
		send(alphaToken)
	}
	waiting(20)
	send(betaToken)
	waiting(21)
	for served := 1; ; served++ {
		next <- struct{}{}
		if strings.Contains(<-arrived, "beta") {
			if served > 2 {
				g.Errorf("beta was served as number %d", served)
			}
			break
		}
		if served > 21 {
			g.Fatal("beta was not served")
		}
	}
	go func() {
		for range arrived {
			continue
		}
	}()
	close(next)
	all.Wait()
	close(arrived)
}

// TestWhoLeavesWaitsNoLonger guarantees that a place in the queue ends with its caller.
func TestWhoLeavesWaitsNoLonger(t *testing.T) {
	inBubble(t, testWhoLeavesWaitsNoLonger, withLimits(t, func(c *limits.Config) { c.Queries, c.Queue, c.Wait = 1, 1, time.Hour }))
}

func testWhoLeavesWaitsNoLonger(g *gateway) {
	waiting := func(want int) {
		g.Helper()
		synctest.Wait()
		if _, n := g.server.limits.Queries(); n != want {
			g.Fatalf("%d wait, want %d", n, want)
		}
	}
	first, err := g.server.limits.Admit(g.Context(), g.server.limits.Of([]tenant.Name{"alpha"}), limits.ClassQuery)
	if err != nil || first.Acquire(g.Context()) != nil {
		g.Fatal(err)
	}
	defer first.Release()
	r, leave := cancelable(g.request(http.MethodGet, "/api/v1/logs/labels"))
	r.Header.Set("Authorization", "Bearer "+alphaToken)
	gone := make(chan error, 1)
	go func() {
		response, err := g.transport().RoundTrip(r)
		if err == nil {
			response.Body.Close()
		}
		gone <- err
	}()
	waiting(1)
	leave()
	if err := <-gone; err == nil {
		g.Error("done after all")
	}
	waiting(0)
}

// TestQueriesAreBounded guarantees each limit on what a query requests, on the tenant's own terms, wherever
// a query or a selector can stand, also when the query is remembered.
func TestQueriesAreBounded(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	deep := "sum(sum(rate({a=\"b\"}[1m])))"
	for range 2 {
		if a := g.get(alphaToken, "/api/v1/logs/query", "query", deep, "step", "1s"); a.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", a.StatusCode, a.text)
		}
	}
	g.own("alpha", func(l *limits.Limits) {
		l.MaxDepth, l.MaxSelectors, l.MaxRangeVector, l.MaxPoints, l.MaxQueryBytes = 3, 1, time.Hour, 100, 40
	})
	long := `{app="` + strings.Repeat("x", 40) + `"}`
	for _, tt := range []struct {
		path         string
		params       []string
		code, detail string
	}{
		{"/api/v1/logs/query", []string{"query", deep}, "query_too_complex", "nested 4 deep; it may be 3"},
		{"/api/v1/logs/query/instant", []string{"query", deep}, "query_too_complex", "nested 4 deep; it may be 3"},
		{"/api/v1/logs/query", []string{"query", `rate({}[1m])/rate({}[1m])`}, "query_too_complex", "2 selectors; it may have 1"},
		{"/api/v1/logs/query/instant", []string{"query", `rate({a="b"}[2h])`}, "query_too_wide", "2h in brackets; it may have 1h"},
		{"/api/v1/logs/query", []string{"query", `rate({a="b"}[1m])`, "step", "1s"}, "too_many_points", "3600 points of each series; it may request 100. Make step 37s or longer"},
		{"/api/v1/logs/volume/range", []string{"query", `{a="b"}`, "step", "1s"}, "too_many_points", "3600 points"},
		{"/api/v1/logs/patterns", []string{"query", `{a="b"}`, "step", "1s"}, "too_many_points", "3600 points"},
		{"/api/v1/logs/series", []string{"match", `{a="b"}`, "match", `{c="d"}`}, "query_too_complex", "2 selectors; it may have 1"},
		{"/api/v1/logs/series", []string{"match", long}, "query_too_long", "The query is 48 bytes long; the server's setting allows 40. Shorten it, or ask your administrator to raise the setting."},
		{"/api/v1/logs/query", []string{"query", long}, "query_too_long", "48 bytes long"},
		{"/api/v1/logs/labels", []string{"query", long}, "query_too_long", "48 bytes long"},
		{"/api/v1/logs/tail", []string{"query", long}, "query_too_long", "48 bytes long"},
		{"/api/v1/logs/export", []string{"query", long}, "query_too_long", "48 bytes long"},
		{"/api/v1/logs/context", []string{"stream", long, "timestamp", "1772366399"}, "query_too_long", "48 bytes long"},
		{"/api/v1/logs/fields", []string{"query", long}, "query_too_long", "48 bytes long"},
	} {
		g.loki.Forget()
		refusedAs(t, g.get(alphaToken, tt.path, tt.params...), http.StatusUnprocessableEntity, tt.code, tt.detail)
		if n := len(g.loki.Requests()); n > 0 {
			t.Errorf("%s %v: Loki got a request", tt.path, tt.params)
		}
	}
	// For lines a step says nothing, and another tenant has its own limits.
	for token, query := range map[string]string{alphaToken: `{a="b"}`, betaToken: deep} {
		if a := g.get(token, "/api/v1/logs/query", "query", query, "step", "1s"); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", query, a.StatusCode, a.text)
		}
	}
}

// jsonOf is so many bytes that end as JSON does.
func jsonOf(n int) []byte { return append(make([]byte, n-1), '}') }

// TestResponsesAreBounded guarantees that a response which is known to be too large is a problem, and that one
// which turns out so never looks whole, compressed or not.
func TestResponsesAreBounded(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.own("alpha", func(l *limits.Limits) { l.MaxAnswerBytes = 100_000 })
	for _, tt := range []struct {
		name   string
		write  func(io.Writer)
		length int
		whole  bool
	}{
		{"as large as allowed", func(w io.Writer) { _, _ = w.Write(jsonOf(100_000)) }, 100_000, true},
		{"as large as allowed, of no length", func(w io.Writer) { _, _ = w.Write(jsonOf(100_000)) }, 0, true},
		{"too large", func(w io.Writer) { _, _ = w.Write(jsonOf(100_001)) }, 100_001, false},
		{"too large, of no length", func(w io.Writer) { _, _ = w.Write(jsonOf(100_001)) }, 0, false},
	} {
		g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if tt.length > 0 {
				w.Header().Set("Content-Length", fmt.Sprint(tt.length))
			}
			tt.write(w)
		}))
		a := g.raw(alphaToken, "")
		switch {
		case tt.whole && (a.StatusCode != http.StatusOK || a.err != nil || len(a.text) != 100_000):
			t.Errorf("%s: %d, %d bytes, %v", tt.name, a.StatusCode, len(a.text), a.err)
		case !tt.whole && tt.length > 0:
			refusedAs(t, a, http.StatusUnprocessableEntity, "answer_too_large", "The response has 100001 bytes or more; it may have 100000.")
		case !tt.whole && a.err == nil:
			t.Errorf("%s: it looks whole: %d, %d bytes", tt.name, a.StatusCode, len(a.text))
		}
	}
	// What counts is what travels.
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = z.Write(make([]byte, 1_000_000))
		_ = z.Close()
	}))
	if a := g.raw(alphaToken, "gzip"); a.StatusCode != http.StatusOK || a.err != nil {
		t.Errorf("compressed: %d %v", a.StatusCode, a.err)
	}
	if n := g.server.limits.Hits(limits.LimitAnswerBytes); n != 2 {
		t.Errorf("counted %d responses that were too large, want 2", n)
	}
}

// raw requests labels, and reads whatever arrives.
func (g *gateway) raw(token, encoding string) apiResponse {
	g.Helper()
	r := g.request(http.MethodGet, "/api/v1/logs/labels")
	r.Header.Set("Authorization", "Bearer "+token)
	if encoding != "" {
		r.Header.Set("Accept-Encoding", encoding)
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		g.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return apiResponse{Response: response, text: string(body), err: err}
}

// TestTenantsTimeout guarantees that Loki has as long as the tenant's own limit says.
func TestTenantsTimeout(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.own("alpha", func(l *limits.Limits) { l.Timeout = 10 * time.Millisecond })
	g.loki.Instead(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	refusedAs(t, g.get(alphaToken, "/api/v1/logs/labels"), http.StatusGatewayTimeout, "loki_timeout", "did not respond in time")
}

// TestEveryOperationHasItsClass guarantees that what sends requests to Loki is bounded as a query, an export or a tail, and
// that uses names no operation that there is none of.
func TestEveryOperationHasItsClass(t *testing.T) {
	t.Parallel()
	named := map[string]bool{}
	for _, op := range newGateway(t).server.operations {
		named[op.id] = true
		if op.class == limits.ClassRequest && op.fence == "selector" {
			t.Errorf("%s sends requests to Loki, and is bounded by nothing", op.id)
		}
	}
	for id := range classes {
		if !named[id] {
			t.Errorf("uses names %s, which is no operation", id)
		}
	}
}
