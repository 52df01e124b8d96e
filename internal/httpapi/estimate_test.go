package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/poll"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// budgeted is a gateway whose tenants may read so many bytes.
func budgeted(t *testing.T, bytes int64) *gateway {
	t.Helper()
	return newGateway(t, withLimits(t, func(c *limits.Config) { c.MaxQueryBytesRead = bytes }))
}

// estimates are the requests for estimates that have arrived at Loki.
func (g *gateway) estimates() (found []lokitest.Request) {
	for _, r := range g.loki.Requests() {
		if strings.HasSuffix(r.Path, "/index/stats") {
			found = append(found, r)
		}
	}
	return found
}

// TestReadBudget guarantees that a query that would read more than its tenant's budget is refused before it is sent, on
// both surfaces and as an export, and that one within it, or one that ends with its last line, is not.
func TestReadBudget(t *testing.T) {
	t.Parallel()
	const (
		native  = "/api/v1/logs/query"
		lokis   = "/loki/api/v1/query_range"
		instant = "/loki/api/v1/query"
		filter  = `{app="api"} |= "alpha"`
		metric  = `sum(count_over_time({app="api"}[5m]))`
	)
	for _, tt := range []struct {
		name, path, query string
		budget            int64
		status, estimates int
		text              string
	}{
		{"a filter", native, filter, 10, 422, 1, `"code":"query_reads_too_much"`},
		{"how to narrow", native, filter, 10, 422, 1, "would read about 68 B; it may read 10 B. Narrow start and end"},
		{"a metric", native, metric, 10, 422, 1, "query_reads_too_much"},
		{"both legs", native, metric + " / " + metric, 100, 422, 1, "136 B"},
		{"Loki's words", lokis, filter, 10, 400, 1, "the query would read too many bytes (query: 68 B, limit: 10 B)"},
		{"an instant query", instant, metric, 10, 400, 1, "the query would read too many bytes"},
		{"an export", exportPath, filter, 10, 422, 1, "query_reads_too_much"},
		{"a page of lines", "/api/v1/logs/lines", filter, 10, 422, 1, "query_reads_too_much"},
		{"a page without a filter", "/api/v1/logs/lines", `{app="api"}`, 10, 200, 0, ""},
		{"a page within it", "/api/v1/logs/lines", filter, 68, 200, 1, ""},
		{"as much as may be", native, filter, 68, 200, 1, ""},
		{"lines without a filter", native, `{app="api"}`, 10, 200, 0, ""},
		{"an export without a filter", exportPath, `{app="api"}`, 10, 200, 0, ""},
		{"no stream", native, `vector(1)`, 10, 200, 0, ""},
		{"no budget", native, filter, limits.NoReadBudget, 200, 0, ""},
		{"another's streams", native, `{app="api",tenant_id="beta"} |= "x"`, 10, 200, 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := budgeted(t, tt.budget)
			a := g.get(alphaToken, tt.path, "query", tt.query)
			if a.StatusCode != tt.status || !strings.Contains(a.text, tt.text) {
				t.Errorf("got %d %s", a.StatusCode, a.text)
			}
			if n := len(g.estimates()); n != tt.estimates {
				t.Errorf("%d estimates", n)
			}
			if others := len(g.loki.Requests()) - tt.estimates; tt.status != 200 && others > 0 {
				t.Errorf("%d requests beside the estimate", others)
			}
		})
	}
}

// TestStreamsReadBudget guarantees that a stream of lines is held to the budget before its first byte.
func TestStreamsReadBudget(t *testing.T) {
	t.Parallel()
	g := budgeted(t, 10)
	for _, media := range []string{mediaNDJSON, "text/event-stream"} {
		r := g.request(http.MethodGet, "/api/v1/logs/lines", "query", `{app="api"} |= "alpha"`)
		r.Header.Set("Accept", media)
		refusedAs(t, g.send(alphaToken, r), http.StatusUnprocessableEntity, "query_reads_too_much", "it may read 10 B")
	}
}

// TestPageWaitsInOrder guarantees that a page of lines waits for memory while it has no slot at Loki, that of its estimate
// included: with a single slot, a query beside it is not kept waiting.
func TestPageWaitsInOrder(t *testing.T) {
	t.Parallel()
	g := newGateway(t, withLimits(t, func(c *limits.Config) { c.MaxQueryBytesRead, c.AtOnce, c.Wait = 1<<30, 1, time.Minute }))
	held := g.fill(limits.MemoryPages)
	done := make(chan apiResponse, 1)
	go func() { done <- g.get(alphaToken, "/api/v1/logs/lines", "query", `{app="api"} |= "alpha"`) }()
	poll.Wait(t, "the page to wait for memory", func() bool { return g.server.limits.Memory().Stats(limits.MemoryPages).Waiting > 0 })
	if a := g.get(alphaToken, "/api/v1/logs/query", "query", `{app="api"}`); a.StatusCode != http.StatusOK {
		t.Errorf("a query beside it: %d %s", a.StatusCode, a.text)
	}
	held.Release()
	if a := <-done; a.StatusCode != http.StatusOK {
		t.Errorf("the page: %d %s", a.StatusCode, a.text)
	}
	g.nothingReserved()
}

// TestEstimateIsOfWhatIsRead guarantees that an estimate is that of the fenced selector, over the range in brackets and the
// offset as well, in whole minutes; that it is cached for the minute; and that nobody gets another tenant's.
func TestEstimateIsOfWhatIsRead(t *testing.T) {
	t.Parallel()
	clock := now
	g := newGateway(t, withLimits(t, func(c *limits.Config) { c.MaxQueryBytesRead = 1 << 30 }), func(c *Config, _ *loki.Config) { c.Now = func() time.Time { return clock } })
	get := func(token string) {
		t.Helper()
		a := g.get(token, "/api/v1/logs/query", "query", `rate({app="api"}[10m] offset 1h)`, "start", "2026-03-01T11:00:30Z", "end", "2026-03-01T11:30:30Z")
		if a.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", a.StatusCode, a.text)
		}
	}
	get(alphaToken)
	get(alphaToken)
	found := g.estimates()
	if len(found) != 1 {
		t.Fatalf("%d estimates for two queries in a minute", len(found))
	}
	nanoseconds := func(at string) string {
		parsed, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		return strconv.FormatInt(parsed.UnixNano(), 10)
	}
	for name, want := range map[string]string{
		"query": `{tenant_id="alpha", app="api"}`, "start": nanoseconds("2026-03-01T09:50:00Z"), "end": nanoseconds("2026-03-01T10:31:00Z"),
	} {
		if got := found[0].Params.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	get(betaToken)
	if found := g.estimates(); len(found) != 2 || found[1].Params.Get("query") != `{tenant_id="beta", app="api"}` {
		t.Errorf("beta's query has alpha's estimate: %v", found)
	}
	clock = clock.Add(time.Minute)
	get(alphaToken)
	if n := len(g.estimates()); n != 3 {
		t.Errorf("%d estimates, want another one in the next minute", n)
	}
}

// TestQueryWithoutEstimate guarantees that a query runs where Loki has no estimate, which is counted, and requested once a minute.
func TestQueryWithoutEstimate(t *testing.T) {
	t.Parallel()
	g := budgeted(t, 1)
	behaves := lokitest.New(t, streams()...)
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/index/stats") {
			lokitest.Fail(http.StatusInternalServerError, "no index at 10.0.0.1").ServeHTTP(w, r)
			return
		}
		behaves.ServeHTTP(w, r)
	}))
	for range 2 {
		if a := g.get(alphaToken, "/api/v1/logs/query", "query", `{app="api"} |= "x"`); a.StatusCode != http.StatusOK {
			t.Errorf("%d %s", a.StatusCode, a.text)
		}
	}
	if n := len(g.estimates()); n != 1 {
		t.Errorf("%d requests for the estimate", n)
	}
	if n := g.server.EstimateFailures(); n != 2 {
		t.Errorf("%d queries without an estimate are counted", n)
	}
	a := g.explained(t, `{"query":"{app=\"api\"}","since":"1h"}`)
	if a.Estimate != nil {
		t.Errorf("explained with %+v", *a.Estimate)
	}
}

// explain sends a body to explain.
func (g *gateway) explain(body string) apiResponse {
	g.Helper()
	r, err := http.NewRequestWithContext(g.Context(), http.MethodPost, g.url+"/api/v1/logs/explain", strings.NewReader(body))
	if err != nil {
		g.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return g.send(alphaToken, r)
}

// explained is what explain returns for a body.
func (g *gateway) explained(t *testing.T, body string) (explained api.ExplainedQuery) {
	t.Helper()
	a := g.explain(body)
	if err := json.Unmarshal([]byte(a.text), &explained); err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%d %s %v", a.StatusCode, a.text, err)
	}
	return explained
}

// TestExplainEstimates guarantees that explain returns what a query would read over a range, of the caller's streams alone, and that
// it sends Loki nothing without a range.
func TestExplainEstimates(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	if e := g.explained(t, `{"query":"{app=\"api\"}"}`); e.Estimate != nil || len(g.loki.Requests()) > 0 {
		t.Errorf("without a range: %+v, %d requests", e.Estimate, len(g.loki.Requests()))
	}
	for _, body := range []string{
		`{"query":"{app=\"api\"}","since":"1h"}`, `{"query":"{app=\"api\"}","start":"2026-03-01T11:00:00Z"}`, `{"query":"{app=\"api\"}","end":"2026-03-01T12:00:00Z"}`,
	} {
		if e := g.explained(t, body).Estimate; e == nil || *e != (api.ReadEstimate{Streams: 1, Chunks: 1, Bytes: 68, Entries: 2}) {
			t.Errorf("%s: %+v", body, e)
		}
	}
}

// TestEstimator guarantees, on a clock of its own, that nobody waits longer than two seconds for an estimate, that what is known by
// then counts, and that a caller who leaves does not leave others without an estimate.
func TestEstimator(t *testing.T) {
	t.Parallel()
	fence, err := tenancy.New(tenancy.Config{})
	if err != nil {
		t.Fatal(err)
	}
	scope, err := fence.Scope(tenant.Names([]string{"alpha"}), "")
	if err != nil {
		t.Fatal(err)
	}
	q, err := scope.Query(`rate({app="slow"}[5m]) + rate({app="fast"}[5m]) + rate({app="fast"}[5m])`)
	if err != nil {
		t.Fatal(err)
	}
	reads, err := fence.Reads(q)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		e, err := newEstimator(&loki.Client{}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		e.request = func(ctx context.Context, _ loki.RequestOptions, s tenancy.Selector, _ loki.Window) (loki.IndexEstimate, error) {
			if strings.Contains(s.LogQL(), "fast") {
				return loki.IndexEstimate{Bytes: 7}, nil
			}
			requests++
			<-ctx.Done()
			return loki.IndexEstimate{}, ctx.Err()
		}
		w := loki.Window{Start: time.Now().Add(-time.Hour), End: time.Now()}
		left, leave := context.WithCancel(t.Context())
		go func() {
			time.Sleep(time.Second)
			leave()
		}()
		if _, err := e.of(left, loki.RequestOptions{}, reads, w); !errors.Is(err, context.Canceled) {
			t.Errorf("the caller has left: %v", err)
		}
		for range 2 {
			began := time.Now()
			found, err := e.of(t.Context(), loki.RequestOptions{}, reads, w)
			if err == nil || found.Bytes != 14 || time.Since(began) > estimateTimeout {
				t.Errorf("%+v, %v after %s", found, err, time.Since(began))
			}
		}
		if requests != 2 {
			t.Errorf("%d requests, want one of the caller that left and one for the others", requests)
		}
	})
}
