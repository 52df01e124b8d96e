package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

const (
	fairSplits = 300 // of the wide query: minutes
	// The small queries of a phase: many, for a p99, but where each waits for seconds.
	fairMost, fairLeast = 200, 20
	fairPhaseTime       = time.Minute
)

// fairArgs are a Loki that splits by the minute, and runs two parts at a time.
var fairArgs = append([]string{
	"-querier.split-queries-by-interval=1m", "-querier.max-concurrent=2", "-querier.max-query-parallelism=256", "-querier.tsdb-max-query-parallelism=256",
}, lokiArgs...)

// fairResult is what small queries took with so many levels of the header.
type fairResult struct {
	alone, during *phase
	part          time.Duration // the longest of one part of the wide query, on its own
}

// TestFairInLoki measures, in front of a real Loki with one organization for all, what a tenant's query of several hundred parts does to
// another tenant's small ones: with the header, their p99 stays within twice their own plus the longest part, and is at least five
// times better than without it. It takes minutes, and the load of other tests would count: it runs with LOGFENCE_TEST_LOAD=fair.
func TestFairInLoki(t *testing.T) {
	if os.Getenv("LOGFENCE_TEST_LOAD") != "fair" {
		t.Skip("LOGFENCE_TEST_LOAD is not set to fair")
	}
	l, err := on.startLoki(t.Context(), demo.LokiOptions{Args: fairArgs})
	noErrorNow(t, err)
	t.Cleanup(func() { noError(t, l.Close()) })
	end := time.Now().Truncate(time.Minute)
	noErrorNow(t, l.Push(t.Context(), fairLogs("wide", end, fairSplits, 200), fairLogs("small", end, 2, 20)))
	noErrorNow(t, l.Flush(t.Context()))
	results := map[string]fairResult{}
	for _, levels := range []string{"0", "2"} {
		// A small query may wait for all parts of two wide ones.
		g, err := startGateway(t.Context(), on.binary, on.issuer, l.URL(), "LOGFENCE_LOKI_ACTOR_LEVELS="+levels,
			fmt.Sprint("LOGFENCE_MAX_QUERY_BYTES_READ=", 1<<50), "LOGFENCE_LOKI_TIMEOUT=10m")
		noErrorNow(t, err)
		r := fairMeasured(t, g, end)
		results[levels] = r
		t.Logf("levels %s: small queries alone p50 %s, p99 %s of %d; beside the wide query p50 %s, p99 %s of %d; longest part %s; load %s", levels,
			r.alone.at(0.5), r.alone.at(0.99), len(r.alone.took), r.during.at(0.5), r.during.at(0.99), len(r.during.took), r.part, loadAverage())
		noError(t, g.stop())
	}
	with, without := results["2"], results["0"]
	p99 := with.during.at(0.99)
	t.Logf("p99 %s with the header: %.1f times its own plus the longest part, and %.1f times better than %s without", p99,
		float64(p99-with.part)/float64(with.alone.at(0.99)), float64(without.during.at(0.99))/float64(p99), without.during.at(0.99))
	if p99 > 2*with.alone.at(0.99)+with.part {
		t.Errorf("p99 %s is more than twice its own %s and the longest part %s", p99, with.alone.at(0.99), with.part)
	}
	if without.during.at(0.99) < 5*p99 {
		t.Errorf("p99 %s with the header is not five times better than %s", p99, without.during.at(0.99))
	}
}

// fairMeasured measures small queries alone, and beside two senders of wide ones.
func fairMeasured(t *testing.T, g *gateway, end time.Time) (r fairResult) {
	t.Helper()
	wide := func(minutes int) url.Values {
		return url.Values{
			"query": {`sum(count_over_time({app="fair"} |~ "(a|b)+.*x.*y" | logfmt [1m]))`}, "step": {"60s"},
			"start": {nanoseconds(end.Add(-time.Duration(minutes) * time.Minute))}, "end": {nanoseconds(end)},
		}
	}
	r.alone = fairPhase(t, g, end)
	for range 20 {
		began := time.Now()
		if status := fairRequest(t.Context(), t, g, "wide", wide(1)); status != http.StatusOK {
			t.Errorf("a part of the wide query: %d", status)
		}
		r.part = max(r.part, time.Since(began).Round(100*time.Microsecond))
	}
	ctx, stop := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	for range 2 {
		senders.Go(func() {
			for ctx.Err() == nil {
				if status := fairRequest(ctx, t, g, "wide", wide(fairSplits)); status != http.StatusOK && ctx.Err() == nil {
					t.Errorf("the wide query: %d", status)
					return
				}
			}
		})
	}
	r.during = fairPhase(t, g, end)
	stop()
	senders.Wait()
	return r
}

// loadAverage is that of the machine, of which a figure is worth as much.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

func fairLogs(tenant string, end time.Time, minutes, perMinute int) demo.Stream {
	s := demo.Stream{Labels: map[string]string{tenantLabel: tenant, "app": "fair"}}
	for i := range minutes * perMinute {
		at := end.Add(-time.Duration(minutes) * time.Minute).Add(time.Duration(i) * time.Minute / time.Duration(perMinute))
		s.Entries = append(s.Entries, demo.Entry{Time: at, Line: fmt.Sprintf("n=%d text=%s", i, strings.Repeat("ab x y ", 40))})
	}
	return s
}

// fairPhase sends small queries, one after the other: fewer than fairMost where they take longer than fairPhaseTime.
func fairPhase(t *testing.T, g *gateway, end time.Time) *phase {
	t.Helper()
	p := &phase{}
	started := time.Now()
	for i := 0; i < fairMost && (i < fairLeast || time.Since(started) < fairPhaseTime); i++ {
		began := time.Now()
		status := fairRequest(t.Context(), t, g, "small", url.Values{
			"query": {fmt.Sprintf(`{app="fair"} |= "n=%d"`, i)}, "limit": {"10"},
			"start": {nanoseconds(end.Add(-time.Minute))}, "end": {nanoseconds(end)},
		})
		p.note(false, time.Since(began), status)
	}
	if p.failed > 0 {
		t.Errorf("%d small queries of %d failed", p.failed, p.failed+len(p.took))
	}
	return p
}

// fairRequest sends a query and returns its status; 0: none.
func fairRequest(ctx context.Context, t *testing.T, g *gateway, tenant string, params url.Values) int {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.public+"/loki/api/v1/query_range?"+params.Encode(), nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+tokenOf(t, demo.Claims{Tenant: tenant}))
	a, err := do(r)
	if err != nil {
		return 0
	}
	return a.status
}

// TestEstimates reports how far estimates are from what Loki then reads, for fifty queries of flushed and of fresh logs, of which Loki has
// no estimate before it has flushed them. It runs with LOGFENCE_TEST_LOAD=fair.
func TestEstimates(t *testing.T) {
	if os.Getenv("LOGFENCE_TEST_LOAD") != "fair" {
		t.Skip("LOGFENCE_TEST_LOAD is not set to fair")
	}
	for _, w := range on.windows() {
		var ratios []float64
		missing := 0
		for i := range 50 {
			span := w.end.Sub(w.start)
			start := w.start.Add(span * time.Duration(i%10) / 20)
			end := start.Add(span * time.Duration(1+i%5) / 10)
			query := []string{`{} |= "x"`, `{app="checkout"} |= "x"`, `sum(count_over_time({app=~".+"}[1m]))`, `{env!="staging"} |~ "a.*b"`}[i%4]
			params := url.Values{"query": {query}, "start": {nanoseconds(start)}, "end": {nanoseconds(end)}, "step": {"60s"}}
			var explained struct{ Estimate struct{ Bytes float64 } }
			body, _ := json.Marshal(map[string]string{"query": query, "start": nanoseconds(start), "end": nanoseconds(end)})
			noErrorNow(t, json.Unmarshal(on.gateway.send(t, request{method: http.MethodPost, path: "/api/v1/logs/explain", body: string(body)}).body, &explained))
			var ran struct {
				Data struct {
					Stats struct {
						Summary struct{ TotalBytesProcessed float64 }
					}
				}
			}
			noErrorNow(t, json.Unmarshal(on.gateway.send(t, request{path: "/loki/api/v1/query_range", params: params}).body, &ran))
			read := ran.Data.Stats.Summary.TotalBytesProcessed
			if read == 0 || explained.Estimate.Bytes == 0 {
				missing++
				continue
			}
			ratios = append(ratios, explained.Estimate.Bytes/read)
		}
		slices.Sort(ratios)
		if len(ratios) == 0 {
			if t.Logf("%s: no estimate for any of %d queries", w.name, missing); w.name == on.old.name {
				t.Error("Loki estimates nothing of what it has flushed")
			}
			continue
		}
		t.Logf("%s: estimate / bytes read: least %.2f, median %.2f, most %.2f of %d queries; %d with neither or one of them 0",
			w.name, ratios[0], ratios[len(ratios)/2], ratios[len(ratios)-1], len(ratios), missing)
	}
}
