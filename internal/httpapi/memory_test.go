package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/tenant"
)

// tinyBudget is the smallest budget of memory, for which requests wait that long.
func tinyBudget(t *testing.T, wait time.Duration) option {
	return withLimits(t, func(c *limits.Config) {
		c.Memory, c.Wait, c.MaxLines = limits.MinMemory, wait, 5000
		c.Rate, c.Burst, c.MaxTails, c.Exports = 100_000, 100_000, 1000, 1000
	})
}

// fill takes all memory of a use.
func (g *gateway) fill(use limits.MemoryUse) *limits.Reservation {
	g.Helper()
	m := g.server.limits.Memory()
	r, err := m.Reserve(g.Context(), use, limits.MemoryOwner{Tenants: []tenant.Name{"someone"}}, m.Size(use))
	if err != nil {
		g.Fatal(err)
	}
	return r
}

// addLines adds lines of a length to one of alpha's streams, an interval apart.
func (g *gateway) addLines(app string, n, length int, first time.Time, interval time.Duration) {
	entries := make([]lokitest.Entry, n)
	for i := range entries {
		entries[i] = lokitest.Entry{Time: first.Add(time.Duration(i) * interval), Line: fmt.Sprintf("%06d%s", i, strings.Repeat("x", length))}
	}
	g.loki.Add(lokitest.Stream{Labels: labels("alpha", app), Entries: entries})
}

// TestMemoryIsReserved guarantees that whatever buffers for a caller is refused while there is no memory, clearly
// and in time; that what is streamed is not; and that nothing is left reserved afterwards.
func TestMemoryIsReserved(t *testing.T) {
	inBubble(t, testMemoryIsReserved, tinyBudget(t, 50*time.Millisecond))
}

func testMemoryIsReserved(g *gateway) {
	at := fmt.Sprint(now.Add(-time.Minute).UnixNano())
	for _, tt := range []struct {
		use  limits.MemoryUse
		send func() apiResponse
	}{
		{limits.MemoryPages, func() apiResponse {
			return g.get(alphaToken, "/api/v1/logs/context", "stream", `{app="api"}`, "timestamp", at)
		}},
		{limits.MemoryPages, func() apiResponse { return g.get(alphaToken, "/api/v1/logs/export", "query", `{app="api"}`) }},
		{limits.MemoryPages, func() apiResponse { return g.get(alphaToken, "/api/v1/logs/tail", "query", `{app="api"}`) }},
		{limits.MemoryTails, func() apiResponse { return g.get(alphaToken, "/api/v1/logs/tail", "query", `{app="api"}`) }},
		{limits.MemoryViewers, func() apiResponse { return g.get(alphaToken, "/api/v1/logs/tail", "query", `{app="api"}`) }},
		{limits.MemoryBodies, func() apiResponse { return g.post(alphaToken, "/api/v1/logs/query", "query", `{app="api"}`) }},
	} {
		all := g.fill(tt.use)
		a := tt.send()
		refusedAs(g.T, a, http.StatusServiceUnavailable, "overloaded", "no memory free")
		if a.Header.Get("Retry-After") == "" {
			g.Errorf("%s: no Retry-After", tt.use)
		}
		if a := g.get(alphaToken, "/api/v1/logs/query", "query", `{app="api"}`); a.StatusCode != http.StatusOK {
			g.Errorf("a streamed response waits for %s: %d %s", tt.use, a.StatusCode, a.text)
		}
		all.Release()
	}
	g.get(alphaToken, "/api/v1/logs/context", "stream", `{app="api"}`, "timestamp", at)
	g.get(alphaToken, "/api/v1/logs/export", "query", `{app="api"}`)
	g.post(alphaToken, "/api/v1/logs/query", "query", `{app="api"}`)
	g.nothingReserved()
}

// nothingReserved ends a test: all requests have ended, and none holds memory.
func (g *gateway) nothingReserved() {
	g.Helper()
	g.finish()
	for use := range limits.MemoryUses {
		if s := g.server.limits.Memory().Stats(use); s.Reserved != 0 || s.Used != 0 || s.Waiting != 0 {
			g.Errorf("%s: %+v", use, s)
		}
	}
}

// contextOf reads a context.
func (g *gateway) contextOf(app string, at time.Time, before, after int) (parts [3][]struct{ Line string }, truncated bool, size int) {
	g.Helper()
	a := g.get(alphaToken, "/api/v1/logs/context", "stream", `{app="`+app+`"}`, "timestamp", fmt.Sprint(at.UnixNano()), "before", fmt.Sprint(before), "after", fmt.Sprint(after))
	var c struct {
		Before, At, After []struct{ Line string }
		Truncated         *bool
	}
	if err := json.Unmarshal([]byte(a.text), &c); err != nil || a.StatusCode != http.StatusOK || c.Truncated == nil {
		g.Fatalf("%v in %d %.200s", err, a.StatusCode, a.text)
	}
	return [3][]struct{ Line string }{c.Before, c.At, c.After}, *c.Truncated, len(a.text)
}

// TestContextIsBounded guarantees that a context holds 8 MiB at most, of the nearest lines, and says when there is
// more; and that one which fits is complete.
func TestContextIsBounded(t *testing.T) {
	t.Parallel()
	g := newGateway(t, tinyBudget(t, 5*time.Second))
	first := now.Add(-time.Hour)
	g.addLines("long", 6001, 3000, first, time.Millisecond)
	middle := first.Add(3000 * time.Millisecond)
	for _, tt := range []struct {
		before, after int
		truncated     bool
		most          int
	}{{10, 10, false, 100 << 10}, {100, 100, false, 1 << 20}, {60, 40, false, 1 << 20}, {2000, 0, false, 7 << 20}, {2500, 0, true, 8 << 20}, {2500, 2500, true, 8 << 20}} {
		parts, truncated, size := g.contextOf("long", middle, tt.before, tt.after)
		if truncated != tt.truncated || size > tt.most {
			t.Errorf("%d and %d lines: truncated %t, %d bytes", tt.before, tt.after, truncated, size)
		}
		complete := len(parts[0]) == tt.before && len(parts[2]) == tt.after
		if complete == truncated || len(parts[1]) != 1 {
			t.Errorf("%d and %d lines: got %d, %d and %d", tt.before, tt.after, len(parts[0]), len(parts[1]), len(parts[2]))
		}
		if n := len(parts[0]); n == 0 || !strings.HasPrefix(parts[0][n-1].Line, "002999x") || !strings.HasPrefix(parts[1][0].Line, "003000x") {
			t.Errorf("%d and %d lines: not the nearest", tt.before, tt.after)
		}
		if n := len(parts[2]); n > 0 && !strings.HasPrefix(parts[2][0].Line, "003001x") {
			t.Errorf("%d and %d lines: not the nearest after", tt.before, tt.after)
		}
	}
	g.addLines("dense", 5001, 1, first, 0)
	if parts, truncated, _ := g.contextOf("dense", first, 1, 1); !truncated || len(parts[1]) != 5000 {
		t.Errorf("%d lines of one nanosecond, truncated %t", len(parts[1]), truncated)
	}
	g.addLines("huge", 3, 4<<20, first, time.Second)
	if parts, truncated, _ := g.contextOf("huge", first.Add(time.Second), 1, 1); !truncated || len(parts[0])+len(parts[1])+len(parts[2]) != 0 {
		t.Errorf("lines of 4 MiB: truncated %t", truncated)
	}
	g.nothingReserved()
}

// TestExportOfLongLines guarantees that an export within the smallest budget has every line, those that are longer
// than a page and those that share a nanosecond included.
func TestExportOfLongLines(t *testing.T) {
	t.Parallel()
	g := newGateway(t, tinyBudget(t, 5*time.Second))
	first := now.Add(-time.Hour)
	g.addLines("mixed", 2000, 3000, first, time.Millisecond)
	g.addLines("mixed", 3, 3<<20, first.Add(time.Second), time.Second)
	g.addLines("mixed", 1500, 3000, first.Add(5*time.Second), 0)
	a := g.get(alphaToken, "/api/v1/logs/export", "query", `{app="mixed"}`, "since", "2h")
	if got := strings.Count(a.text, "\n"); a.StatusCode != http.StatusOK || got != 3503 {
		t.Errorf("%d: %d lines, the end %.300s", a.StatusCode, got, a.text[max(0, len(a.text)-300):])
	}
	g.nothingReserved()
}

// TestTinyBudget guarantees that requests of all kinds, of tenants that share the smallest budget, each end: with a
// complete response or with a clear refusal. LOGFENCE_TEST_LOAD=memory has it go on for LOGFENCE_TEST_LOAD_TIME.
func TestTinyBudget(t *testing.T) {
	t.Parallel()
	requests, lasting := 100, time.Duration(0)
	if os.Getenv("LOGFENCE_TEST_LOAD") == "memory" {
		lasting, _ = time.ParseDuration(os.Getenv("LOGFENCE_TEST_LOAD_TIME"))
	}
	g := newGateway(t, withPrincipals(several()), tinyBudget(t, 200*time.Millisecond))
	first := now.Add(-time.Hour)
	g.addLines("long", 3000, 3000, first, time.Millisecond)
	at := fmt.Sprint(first.Add(time.Second).UnixNano())
	random := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	outcomes := map[string]int{}
	one := func() {
		mu.Lock()
		kind, token := random.IntN(4), []string{alphaToken, betaToken, bothToken}[random.IntN(3)]
		mu.Unlock()
		var a apiResponse
		switch kind {
		case 0:
			a = g.get(token, "/api/v1/logs/context", "stream", `{app="long"}`, "timestamp", at, "before", "1000", "after", "1000")
		case 1:
			a = g.get(token, "/api/v1/logs/export", "query", `{app="long"}`, "since", "2h")
		case 2:
			a = g.post(token, "/api/v1/logs/query", "query", `{app="long"}`, "since", "2h")
		default:
			a = g.get(token, "/api/v1/logs/labels")
		}
		if a.StatusCode != http.StatusOK && !strings.Contains(a.text, `"code":"overloaded"`) {
			t.Errorf("kind %d: %d %.300s", kind, a.StatusCode, a.text)
		}
		mu.Lock()
		outcomes[fmt.Sprint(kind, " ", a.StatusCode)]++
		mu.Unlock()
	}
	for began := time.Now(); ; {
		var all sync.WaitGroup
		for range requests {
			all.Go(one)
		}
		all.Wait()
		if time.Since(began) >= lasting {
			break
		}
	}
	t.Log(outcomes)
	g.nothingReserved()
}

// TestSlowBodiesHoldLittle guarantees that bodies which are announced and never come hold no more than the budget has
// for bodies, that another tenant's is read all the same, and that all is given back when they end.
func TestSlowBodiesHoldLittle(t *testing.T) {
	inBubble(t, testSlowBodiesHoldLittle, tinyBudget(t, 100*time.Millisecond))
}

func testSlowBodiesHoldLittle(g *gateway) {
	var slow []*io.PipeWriter
	var all sync.WaitGroup
	for range 20 {
		body, end := io.Pipe()
		slow = append(slow, end)
		all.Go(func() {
			r, err := http.NewRequestWithContext(g.Context(), http.MethodPost, g.url+"/api/v1/logs/query", body)
			if err != nil {
				g.Error(err)
				return
			}
			r.ContentLength = 350 << 10
			r.Header.Set("Authorization", "Bearer "+alphaToken)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if response, err := g.transport().RoundTrip(r); err == nil {
				response.Body.Close()
			}
		})
	}
	synctest.Wait()
	if s := g.server.limits.Memory().Stats(limits.MemoryBodies); s.Reserved <= s.Size/2 || s.Reserved > s.Size {
		g.Errorf("%+v", s)
	}
	if a := g.post(betaToken, "/api/v1/logs/query", "query", `{app="api"}`); a.StatusCode != http.StatusOK {
		g.Errorf("another tenant's body: %d %s", a.StatusCode, a.text)
	}
	for _, end := range slow {
		end.CloseWithError(io.ErrUnexpectedEOF)
	}
	all.Wait()
	g.nothingReserved()
}

// post sends a form; params are names and values in turn.
func (g *gateway) post(token, path string, params ...string) apiResponse {
	g.Helper()
	return g.send(token, g.request(http.MethodPost, path, params...))
}

// TestTooLargeBodiesAreNotKept guarantees that a body which declares more than is accepted, and for which no memory is
// reserved, takes none: many slow ones of it would otherwise be outside of the budget.
func TestTooLargeBodiesAreNotKept(t *testing.T) {
	const maxBody = 8 << 20
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", maxBody+1)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := readBody(r, "application/x-www-form-urlencoded", maxBody)
	runtime.ReadMemStats(&after)
	if p := problemOf(err); p.Code != "body_too_large" {
		t.Errorf("got %v", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("reading it took %d bytes", took)
	}
}

// TestBounds guarantees that a body, and the parameters of a request, may be as large as is said, and no larger.
func TestBounds(t *testing.T) {
	for _, more := range []int{0, 1} {
		for _, declared := range []bool{true, false} {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 100+more)))
			r.Header.Set("Content-Type", "application/json")
			if !declared {
				r.ContentLength = -1
			}
			if body, err := readBody(r, "application/json", 100); (err == nil) != (more == 0) || err == nil && len(body) != 100 {
				t.Errorf("%d more, declared: %v: %d bytes, %v", more, declared, len(body), err)
			}
		}
		if values, err := parsePairs(strings.Repeat("match[]=x&", maxParameters-1+more) + "match[]=x"); (err == nil) != (more == 0) || err == nil && len(values["match[]"]) != maxParameters {
			t.Errorf("%d more: %d parameters, %v", more, len(values["match[]"]), err)
		}
	}
}
