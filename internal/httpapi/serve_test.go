package httpapi

import (
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/telemetry"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// refusals are what the packages refuse with.
func refusals() []error {
	all := auth.Errors()
	for _, d := range limits.Table() {
		if d.Code != "" {
			all = append(all, &limits.ExceededError{Limit: d.Limit, Detail: "x"})
		}
	}
	return append(all,
		tenancy.ErrTenant, tenancy.ErrExtra, tenancy.ErrTooLong, tenancy.ErrNotSelector,
		&tenancy.InvalidError{Message: "x"}, &tenancy.TooComplexError{What: "x"}, &tenancy.UnsupportedError{Reason: "x"},
		limits.ErrOverloaded,
		&loki.RefusedError{Status: 400, Message: "x"}, loki.ErrOrgID, loki.ErrParameter, loki.ErrRateLimited, loki.ErrTimeout, loki.ErrUnreachable, loki.ErrUnavailable, loki.ErrFailed,
		loki.ErrDenied, loki.ErrTooLong, loki.ErrTooLongForURL, loki.ErrNoUpgrade,
	)
}

// TestQueryShowsOwnLinesOnly guarantees the main thing, on both paths, by GET and by form.
func TestQueryShowsOwnLinesOnly(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, path := range []string{"/api/v1/logs/query", "/loki/api/v1/query_range"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			for token, want := range map[string][2]string{alphaToken: {"alpha one", "beta"}, betaToken: {"beta one", "alpha"}} {
				a := g.send(token, g.request(method, path, "query", `{app="api"}`, "limit", "10"))
				if a.StatusCode != http.StatusOK || !strings.Contains(a.text, want[0]) || strings.Contains(a.text, want[1]) {
					t.Errorf("%s %s: %d %s; want %q and no %q", method, path, a.StatusCode, a.text, want[0], want[1])
				}
			}
		}
	}
}

// TestMissingAndForbiddenLookAlike guarantees that a response doesn't tell a tenant that exists from one
// that does not.
func TestMissingAndForbiddenLookAlike(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	values := func(tenant string) string {
		return g.get(alphaToken, "/api/v1/logs/labels/app/values", "query", `{tenant_id="`+tenant+`"}`).text
	}
	if there, gone := values("beta"), values("nosuch"); there != gone {
		t.Errorf("a tenant that exists: %s\none that does not: %s", there, gone)
	}
}

// TestMalformedQueriesStayHere guarantees that what Loki's parser refuses never reaches Loki, and
// that the response names the place of the mistake.
func TestMalformedQueriesStayHere(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	a := g.get(alphaToken, "/api/v1/logs/query", "query", "{app=\"api\"}\n| |")
	for _, want := range []string{`"code":"query_invalid"`, `"line":2`, `"column":3`, "unexpected |"} {
		if !strings.Contains(a.text, want) {
			t.Errorf("%s lacks %s", a.text, want)
		}
	}
	for text, wants := range map[string][]string{
		"{app=\"api\"}\n|~ `" + strings.Repeat(`\D`, 300) + "`": {`"code":"query_too_complex"`, `"line":2`, `"column":4`},
		"{app=\"api\"}\n| line_format `{{repeat .n \"x\"}}`":    {`"code":"query_unsupported"`, `"line":2`, `"column":15`},
	} {
		a := g.get(alphaToken, "/api/v1/logs/query", "query", text)
		for _, want := range wants {
			if !strings.Contains(a.text, want) {
				t.Errorf("%s lacks %s", a.text, want)
			}
		}
	}
	a = g.get(alphaToken, "/loki/api/v1/query_range", "query", "{app=\"api\"}\n| |")
	if a.StatusCode != http.StatusBadRequest || !strings.HasPrefix(a.text, "parse error at line 2, col 3: ") {
		t.Errorf("Loki's way: %d %s", a.StatusCode, a.text)
	}
	if n := len(g.loki.Requests()); n > 0 {
		t.Errorf("%d requests arrived at Loki", n)
	}
}

// TestOnlyListedHeadersReachLoki guarantees that no header of the caller's travels on but those listed.
func TestOnlyListedHeadersReachLoki(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(_ *Config, l *loki.Config) { l.OrgID, l.ActorLevels = "{tenant}", 1 })
	r := g.request(http.MethodGet, "/loki/api/v1/query_range", "query", `{app="api"}`)
	for _, name := range []string{
		"X-Scope-OrgID", "X-Prom-Label-Policy", "X-Query-Tags", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Cookie",
		"X-Loki-Query-Limits", "X-Loki-Disable-Pipeline-Wrappers", "X-Loki-Actor-Path", "Cache-Control", "Range", "If-None-Match",
		"Proxy-Authorization", "Te", "Upgrade", "Accept", "Accept-Language", "Referer", "Origin", "Traceparent", "X-Anything",
	} {
		r.Header.Set(name, "beta")
	}
	r.Header.Set("Connection", "X-Scope-OrgID, close")
	r.Header.Set(headerEncodingFlags, flagCategorize)
	if a := g.send(alphaToken, r); a.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", a.StatusCode, a.text)
	}
	arrived := g.loki.Requests()[0].Header
	want := map[string]string{
		"X-Scope-Orgid": "alpha", "X-Loki-Response-Encoding-Flags": flagCategorize, "Accept-Encoding": "identity",
		"X-Query-Tags": "Source=logfence,tenant=alpha", "X-Loki-Actor-Path": "alpha",
	}
	for name, values := range arrived {
		if name == "User-Agent" {
			continue
		}
		if !slices.Equal(values, []string{want[name]}) {
			t.Errorf("%s: %q arrived, want %q", name, values, want[name])
		}
	}
	if arrived.Get("X-Scope-OrgID") != "alpha" {
		t.Errorf("X-Scope-OrgID is %q", arrived.Get("X-Scope-OrgID"))
	}
}

// TestTokensAreNeverLogged guarantees that no line holds a token, or a part of one, whatever became of it.
func TestTokensAreNeverLogged(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.get(alphaToken, "/api/v1/logs/query", "query", `{app="api"}`)
	g.get("bad-token-9876543210", "/api/v1/logs/query", "query", `{app="api"}`)
	g.get(alphaToken, "/nosuch")
	lines := strings.Count(g.log.String(), "\n")
	if lines != 3 {
		t.Errorf("%d lines for 3 requests: %s", lines, g.log.String())
	}
	for _, part := range []string{alphaToken[6:], "9876543210", "Bearer"} {
		if strings.Contains(g.log.String(), part) {
			t.Errorf("the log holds %q: %s", part, g.log.String())
		}
	}
	for _, want := range []string{`"operation":"queryLogs"`, `"tenants":["alpha"]`, `"subject":"ann@alpha"`, `"status":200`, `"code":"unauthorized"`} {
		if !strings.Contains(g.log.String(), want) {
			t.Errorf("the log lacks %s: %s", want, g.log.String())
		}
	}
}

// TestBrokenResponsesEndVisibly guarantees that a response which Loki breaks off doesn't look complete, and
// that the next one is.
func TestBrokenResponsesEndVisibly(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.loki.CutAfter(100)
	a := g.get(alphaToken, "/api/v1/logs/query", "query", `{app="api"}`)
	if a.StatusCode != http.StatusOK || a.err == nil {
		t.Errorf("a broken response ended as if complete: %d %q", a.StatusCode, a.text)
	}
	if !strings.Contains(g.log.String(), `"code":"loki_failed"`) {
		t.Errorf("not recorded: %s", g.log.String())
	}
	g.loki.Behave()
	if a := g.get(alphaToken, "/api/v1/logs/query", "query", `{app="api"}`); a.err != nil || a.StatusCode != http.StatusOK {
		t.Errorf("the next one: %d, %v", a.StatusCode, a.err)
	}
}

// TestLeavingCancelsLoki guarantees that Loki's work ends when the caller leaves.
func TestLeavingCancelsLoki(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	hanging := g.loki.Hang()
	defer hanging.Release()
	r := g.request(http.MethodGet, "/api/v1/logs/query", "query", `{app="api"}`)
	r.Header.Set("Authorization", "Bearer "+alphaToken)
	connection := &http.Transport{}
	defer connection.CloseIdleConnections()
	ctx, leave := cancelable(r)
	done := make(chan error, 1)
	go func() {
		response, err := connection.RoundTrip(ctx)
		if err == nil {
			err = response.Body.Close()
		}
		done <- err
	}()
	<-hanging.Arrived
	leave()
	if err := <-done; err == nil {
		t.Error("the caller did not leave")
	}
	<-hanging.Left
}

// TestResponsesStream guarantees that memory does not grow with a response: 8 clients that read 16 MB each
// at the same time leave the heap where it was.
func TestResponsesStream(t *testing.T) {
	g := newGateway(t)
	g.loki.Instead(lokitest.Generate(16 << 20))
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const clients = 8
	done, half := make(chan int64, clients), make(chan struct{}, clients)
	goOn := make(chan struct{})
	for range clients {
		go func() {
			r := g.request(http.MethodGet, "/api/v1/logs/query", "query", `{app="api"}`)
			r.Header.Set("Authorization", "Bearer "+alphaToken)
			transport := &http.Transport{DisableCompression: true}
			defer transport.CloseIdleConnections()
			response, err := transport.RoundTrip(r)
			if err != nil {
				t.Error(err)
				half <- struct{}{}
				done <- 0
				return
			}
			defer response.Body.Close()
			n, _ := io.CopyN(io.Discard, response.Body, 8<<20)
			half <- struct{}{}
			<-goOn
			m, err := io.Copy(io.Discard, response.Body)
			if err != nil {
				t.Error(err)
			}
			done <- n + m
		}()
	}
	for range clients {
		<-half
	}
	runtime.GC()
	runtime.GC() // twice: pools are emptied in two steps
	runtime.ReadMemStats(&during)
	close(goOn)
	for range clients {
		if n := <-done; n < 16<<20 {
			t.Errorf("%d bytes of a response", n)
		}
	}
	// Clients, fake Loki and gateway share this process, and their buffers; a response held in memory by
	// any of them would be 16 MB each.
	if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc); grown > 48<<20 {
		t.Errorf("the heap grew by %d MB in the middle of 8 responses of 16 MB", grown>>20)
	}
}

// TestGzipPassesThrough guarantees that a compressed response is passed on as it is to those who take it,
// and that others get it plain.
func TestGzipPassesThrough(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for header, compressed := range map[string]bool{
		"gzip": true, "deflate, gzip;q=0.5, br": true, "*": true, "": false, "identity": false, "gzip;q=0": false, "br": false, "gzip;q=x": false,
	} {
		r := g.request(http.MethodGet, "/api/v1/logs/query", "query", `{app="api"}`)
		if header != "" {
			r.Header.Set("Accept-Encoding", header)
		}
		a := g.send(alphaToken, r)
		body := io.Reader(strings.NewReader(a.text))
		if got := a.Header.Get("Content-Encoding") == "gzip"; got != compressed {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q", header, a.Header.Get("Content-Encoding"))
			continue
		}
		if compressed {
			var err error
			if body, err = gzip.NewReader(body); err != nil {
				t.Errorf("Accept-Encoding %q: %v", header, err)
				continue
			}
		}
		if plain, err := io.ReadAll(body); err != nil || !strings.Contains(string(plain), "alpha one") {
			t.Errorf("Accept-Encoding %q: %.100s, %v", header, plain, err)
		}
	}
}

// TestLokisRefusals guarantees that what Loki says of a query is passed on, and what it says of itself is not.
func TestLokisRefusals(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, tt := range []struct {
		status, want  int
		message, code string
		shown         bool
	}{
		{400, 400, "the query time range exceeds the limit (query length: 801h0m12s, limit: 30d1h)", "loki_refused", true},
		{400, 400, "the query time range exceeds the limit of 10.0.0.7", "loki_refused", false},
		{500, 422, "approx_topk is not enabled. See -limits.shard_aggregations", "query_failed", true},
		{500, 502, "rpc error: dial tcp 10.0.0.7:9095", "loki_failed", false},
		{404, 502, "page not found on 10.0.0.7", "loki_failed", false},
		{401, 502, "no org id", "loki_denied", false},
		{403, 502, "10.0.0.7 forbids it", "loki_denied", false},
		{413, 422, "10.0.0.7 takes no form of this length", "query_too_long", false},
		{414, 422, "10.0.0.7 takes no URL of this length", "query_too_long", false},
		{302, 502, "moved to 10.0.0.7", "loki_failed", false},
		{503, 502, "10.0.0.7 is not ready", "loki_failed", false},
		{429, 429, "too many outstanding requests of 10.0.0.7", "rate_limited", false},
		{504, 504, "10.0.0.7 took too long", "loki_timeout", false},
	} {
		g.loki.Instead(lokitest.Fail(tt.status, tt.message))
		a := g.get(alphaToken, "/api/v1/logs/query", "query", `{app="api"}`)
		if a.StatusCode != tt.want || !strings.Contains(a.text, `"code":"`+tt.code+`"`) || strings.Contains(a.text, tt.message) != tt.shown || strings.Contains(a.text, "10.0.0.7") {
			t.Errorf("Loki's %d %q: %d %s", tt.status, tt.message, a.StatusCode, a.text)
		}
	}
	g.loki.Instead(lokitest.Garbage())
	if a := g.get(alphaToken, "/api/v1/logs/query", "query", `{app="api"}`); a.StatusCode != http.StatusBadGateway {
		t.Errorf("garbage: %d %s", a.StatusCode, a.text)
	}
}

// TestLimits guarantees that what one query may request is bounded, and that the refusal states the bound.
func TestLimits(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, tt := range []struct {
		params []string
		code   string
	}{
		{[]string{"query", `{app="api"}`, "since", "31d"}, "query_too_wide"},
		{[]string{"query", `{app="api"}`, "start", "0"}, "query_too_wide"},
		{[]string{"query", `{app="api"}`, "limit", "1001"}, "too_many_lines"},
		{[]string{"query", `{app="` + strings.Repeat("x", 16<<10) + `"}`}, "query_too_long"},
		{[]string{"query", `{app="api"}` + strings.Repeat("#\n", 60)}, "query_too_complex"},
	} {
		a := g.get(alphaToken, "/api/v1/logs/query", tt.params...)
		if a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.text, `"code":"`+tt.code+`"`) {
			t.Errorf("%s: %d %s", tt.code, a.StatusCode, a.text)
		}
	}
	if a := g.get(alphaToken, "/api/v1/logs/fields", "query", `{app="api"}`, "line_limit", "1001"); !strings.Contains(a.text, `"code":"too_many_lines"`) {
		t.Errorf("lines to look for fields in: %d %s", a.StatusCode, a.text)
	}
	expensive := `{a=~"(?i)[a-\\x{10ffff}]"}`
	var matches []string
	for range 8 {
		matches = append(matches, "match", expensive)
	}
	if a := g.get(alphaToken, "/api/v1/logs/series", matches...); !strings.Contains(a.text, `"code":"query_too_complex"`) {
		t.Errorf("selectors that are expensive together: %d %s", a.StatusCode, a.text)
	}
	if n := len(g.loki.Requests()); n > 0 {
		t.Errorf("%d requests arrived at Loki", n)
	}
}

// TestParsingIsBounded guarantees that a caller who finds the queue full is told when to come back.
func TestParsingIsBounded(t *testing.T) {
	t.Parallel()
	turns, err := limits.NewParseSlots(limits.FairSemaphoreConfig{AtOnce: 1, Queue: 1, QueuePerKey: 1}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	release, err := turns.Acquire(t.Context(), []tenant.Name{"somebody"})
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan struct{})
	go func() { // takes the one place in the queue
		defer close(waiting)
		if next, err := turns.Acquire(t.Context(), []tenant.Name{"alpha"}); err == nil {
			next()
		}
	}()
	g := newGateway(t, func(c *Config, _ *loki.Config) { c.Parsing = turns })
	for {
		a := g.get(alphaToken, "/api/v1/logs/labels", "query", `{app="api"}`, "since", "1h")
		if a.StatusCode == http.StatusServiceUnavailable {
			if a.Header.Get("Retry-After") == "" || !strings.Contains(a.text, "overloaded") {
				t.Errorf("%v %s", a.Header, a.text)
			}
			break
		}
		t.Fatalf("%d %s", a.StatusCode, a.text)
	}
	release()
	<-waiting
}

// TestRequestID guarantees that a response has the caller's own ID, or a new one where that is unfit.
func TestRequestID(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for id, kept := range map[string]bool{"my-id.1": true, "": false, "a b": false, strings.Repeat("x", 65): false} {
		r := g.request(http.MethodGet, "/api/v1/logs/labels")
		if id != "" {
			r.Header.Set("X-Request-ID", id)
		}
		a := g.send(alphaToken, r)
		if got := a.Header.Get("X-Request-ID"); (got == id) != kept || got == "" {
			t.Errorf("X-Request-ID %q: %q", id, got)
		}
	}
}

// TestCORS guarantees that pages of the configured origins alone may read responses.
func TestCORS(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *Config, _ *loki.Config) { c.CORSOrigins = []string{"https://logs.example"} })
	for origin, allowed := range map[string]bool{"https://logs.example": true, "https://evil.example": false, "https://logs.example.evil": false, "null": false} {
		r := g.request(http.MethodGet, "/api/v1/logs/labels")
		r.Header.Set("Origin", origin)
		if got := g.send(alphaToken, r).Header.Get("Access-Control-Allow-Origin"); (got == origin) != allowed {
			t.Errorf("Origin %s: Access-Control-Allow-Origin %q", origin, got)
		}
		r = g.request(http.MethodOptions, "/api/v1/logs/labels")
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", http.MethodGet)
		r.Header.Set("Access-Control-Request-Headers", "authorization,last-event-id,traceparent,tracestate,x-logfence-tenant")
		if got := g.send("", r); (got.Header.Get("Access-Control-Allow-Origin") == origin) != allowed {
			t.Errorf("preflight of %s: %v", origin, got.Header)
		}
	}
	// Browsers send a preflight for each of these, which clients and tracing libraries set by themselves.
	for header, allowed := range map[string]bool{"baggage": true, "x-requested-with": true, "x-scope-orgid": false, "x-query-tags": false, "cookie": false} {
		r := g.request(http.MethodOptions, "/loki/api/v1/query_range")
		r.Header.Set("Origin", "https://logs.example")
		r.Header.Set("Access-Control-Request-Method", http.MethodGet)
		r.Header.Set("Access-Control-Request-Headers", header)
		if got := g.send("", r).Header.Get("Access-Control-Allow-Headers"); strings.Contains(got, header) != allowed {
			t.Errorf("a request with %s: Access-Control-Allow-Headers %q", header, got)
		}
	}
}

// TestSpecIsServed guarantees that the server serves the specification and its reference without a token.
func TestSpecIsServed(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for path, want := range map[string]string{
		"/openapi.json": `"operationId":"queryLogs"`, "/openapi.yaml": "operationId: queryLogs",
		"/docs": `<div id="redoc">`, "/docs/problems": `id="query_invalid"`,
	} {
		if a := g.get("", path); a.StatusCode != http.StatusOK || !strings.Contains(a.text, want) {
			t.Errorf("%s: %d %.100s", path, a.StatusCode, a.text)
		}
	}
}

// TestTenantsThatLokiCannotName guarantees that with a template a name is refused which Loki would not
// take as an organization, before anything is sent.
func TestTenantsThatLokiCannotName(t *testing.T) {
	t.Parallel()
	who := everybody()
	who["of-dots"] = auth.Principal{Tenants: []tenant.Name{".."}, Expiry: now.Add(time.Hour)}
	g := newGateway(t, func(c *Config, l *loki.Config) { c.Verifier, l.OrgID = who, "{tenant}" })
	if a := g.get("of-dots", "/api/v1/logs/labels"); a.StatusCode != http.StatusForbidden || !strings.Contains(a.text, "no_tenant") {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if n := len(g.loki.Requests()); n > 0 {
		t.Errorf("%d requests arrived at Loki", n)
	}
}

// TestReadiness guarantees that /readyz says what is not ready, or that we are about to end, and /healthz
// that we live.
func TestReadiness(t *testing.T) {
	t.Parallel()
	who := everybody()
	fake := lokitest.New(t)
	client, err := loki.New(loki.Config{URL: fake.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s := &Server{verifier: who, loki: client, recorder: &telemetry.Recorder{}}
	probe := func(path string) (int, string) {
		w := newRecorder()
		s.newAdmin(nil, false).ServeHTTP(w, newProbe(t, path))
		return w.Code, w.Body.String()
	}
	if code, body := probe("/readyz"); code != http.StatusOK {
		t.Errorf("%d %s", code, body)
	}
	who["ready"] = errors.New("no keys yet")
	if code, body := probe("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "no keys yet") || !strings.Contains(body, `"loki":"ok"`) {
		t.Errorf("without keys: %d %s", code, body)
	}
	delete(who, "ready")
	who["unusable"] = errors.New("issuer b: no keys")
	if code, body := probe("/readyz"); code != http.StatusOK || !strings.Contains(body, `"warnings":{"keys":"issuer b: no keys"}`) {
		t.Errorf("without the keys of one issuer: %d %s", code, body)
	}
	if code, body := probe("/readyz?exclude=keys"); code != http.StatusOK || strings.Contains(body, "keys") {
		t.Errorf("with keys excluded: %d %s", code, body)
	}
	fake.Close()
	if code, body := probe("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, `"keys":"ok"`) {
		t.Errorf("without Loki: %d %s", code, body)
	}
	if code, body := probe("/readyz?exclude=loki"); code != http.StatusOK || strings.Contains(body, "loki") {
		t.Errorf("without Loki, which is excluded: %d %s", code, body)
	}
	if code, body := probe("/readyz?exclude=Loki"); code != http.StatusBadRequest {
		t.Errorf("with a check excluded that does not exist: %d %s", code, body)
	}
	s.Stopping()
	if code, body := probe("/readyz?exclude=loki"); code != http.StatusServiceUnavailable || !strings.Contains(body, `"status":"stopping"`) {
		t.Errorf("after the signal to end: %d %s", code, body)
	}
	if code, _ := probe("/healthz"); code != http.StatusOK {
		t.Errorf("/healthz: %d", code)
	}
}

// TestFailureBeforeTheFirstByte guarantees that a response which fails before it begins is a problem,
// without the headers of what it was to be.
func TestFailureBeforeTheFirstByte(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	r := g.request(http.MethodGet, "/api/v1/logs/query", "query", `{app="api"}`)
	r.Header.Set("Accept-Encoding", "gzip")
	a := g.send(alphaToken, r)
	if a.StatusCode != http.StatusBadGateway || a.Header.Get("Content-Encoding") != "" || !strings.Contains(a.text, "loki_failed") {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.text)
	}
}

// TestSlowCallersAreDisconnected guarantees that a client which stops reading a response, or sending a form, doesn't hold
// the connection, or Loki's response, for ever.
func TestSlowCallersAreDisconnected(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *Config, _ *loki.Config) { c.ClientTimeout = 100 * time.Millisecond })
	address := strings.TrimPrefix(g.url, "http://")
	dial := func(request string) net.Conn {
		var d net.Dialer
		connection, err := d.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(connection, request); err != nil {
			t.Fatal(err)
		}
		return connection
	}

	// A form that never comes.
	form := dial("POST /api/v1/logs/query HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + alphaToken +
		"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nquery=")
	defer form.Close()
	if response, err := io.ReadAll(form); err != nil || !strings.Contains(string(response), "400 Bad Request") {
		t.Errorf("a form that never comes: %s, %v", response, err)
	}

	// A response that nobody reads: the request to Loki ends.
	left := make(chan struct{})
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(left)
		lokitest.Generate(1<<30).ServeHTTP(w, r)
	}))
	idle := dial("GET /api/v1/logs/query?query=%7B%7D HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + alphaToken + "\r\n\r\n")
	defer idle.Close()
	<-left
}

// TestEveryLegIsConfined guarantees that a metric query counts only the caller's streams, wherever in
// it a selector stands.
func TestEveryLegIsConfined(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, query := range []string{
		`count_over_time({app="api"}[1h]) or count_over_time({app=~".+"}[1h])`,
		`count_over_time({app=~".+"}[1h]) / on (app) count_over_time({tenant_id="beta"}[1h])`,
		`label_replace(count_over_time({app=~".+"}[1h]), "x", "$1", "app", "(.*)")`,
		`sum(max by (app) (count_over_time({nobodys=~".+"}[1h]))) + sum(rate({}[1h]))`,
		`absent_over_time({tenant_id="beta"}[1h]) or count_over_time({betaonly=~".*"}[1h])`,
	} {
		a := g.get(alphaToken, "/api/v1/logs/query/instant", "query", query)
		if a.StatusCode != http.StatusOK || strings.Contains(a.text, "betavalue") || strings.Contains(a.text, "betaless") || strings.Contains(a.text, "alpha-2") ||
			strings.Contains(a.text, `"tenant_id":"beta"`) {
			t.Errorf("%s: %d %s", query, a.StatusCode, a.text)
		}
	}
}
