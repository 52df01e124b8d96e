package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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
	floodTenants = 10
	floodRate    = 5  // requests a second of each tenant, which is also its limit
	floodTimes   = 20 // as much as that is what the first of them sends in the flood
	floodRounds  = 4  // of both phases in turn, so that what else the machine does falls on both
	floodPhase   = 5 * time.Second
)

// TestFlood sends at the rates of ten tenants, and then has one of them send twenty times as much: the
// others' p99 stays within twice what it was. In front of the real Loki, and of an upstream that serves two
// requests at a time and queues the others. It takes some minutes, and the load of other tests would count:
// it runs with LOGFENCE_TEST_LOAD=flood. The figures without limits are printed for comparison.
func TestFlood(t *testing.T) { // alone, as far as that goes
	if os.Getenv("LOGFENCE_TEST_LOAD") != "flood" {
		t.Skip("LOGFENCE_TEST_LOAD is not set to flood")
	}
	limited := []string{fmt.Sprint("LOGFENCE_TENANT_RATE=", floodRate), fmt.Sprint("LOGFENCE_TENANT_BURST=", 2*floodRate), "LOGFENCE_TENANT_QUERIES=4"}
	unlimited := []string{"LOGFENCE_TENANT_RATE=1000000", "LOGFENCE_TENANT_BURST=1000000", "LOGFENCE_TENANT_QUERIES=1000000", "LOGFENCE_QUERIES_AT_ONCE=1000000"}
	l, err := on.startLoki(t.Context(), demo.LokiOptions{Args: liveArgs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	for i := range floodTenants {
		if err := l.Push(t.Context(), floodLogs(i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, upstream := range []struct{ name, url string }{{"loki", l.URL()}, {"narrow", narrow(t, 2, 20*time.Millisecond)}} {
		for _, mode := range []struct {
			name     string
			settings []string
		}{{"without limits", unlimited}, {"with limits", limited}} {
			t.Run(upstream.name+" "+mode.name, func(t *testing.T) {
				g, err := startGateway(t.Context(), on.binary, on.issuer, upstream.url, mode.settings...)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = g.stop() }()
				before, during := measureFlood(t, g)
				t.Logf("others without the flood: p50 %s, p99 %s of %d; with it: p50 %s, p99 %s of %d (%.2f times); the flood: %d served, %d refused",
					before.at(0.5), before.at(0.99), len(before.took), during.at(0.5), during.at(0.99), len(during.took),
					float64(during.at(0.99))/float64(before.at(0.99)), during.flooded, during.refused)
				if mode.name == "without limits" {
					return
				}
				if during.at(0.99) > 2*before.at(0.99) {
					t.Errorf("the others' p99 has grown from %s to %s", before.at(0.99), during.at(0.99))
				}
				if before.failed+during.failed > 0 {
					t.Errorf("%d and %d requests of others failed", before.failed, during.failed)
				}
			})
		}
	}
}

func floodLogs(tenant int) demo.Stream {
	s := demo.Stream{Labels: map[string]string{tenantLabel: fmt.Sprint("flood-", tenant), "app": "flood"}}
	for i := range 500 {
		s.Entries = append(s.Entries, demo.Entry{Time: time.Now().Add(-time.Duration(i) * time.Second), Line: fmt.Sprintf("line %d %s", i, strings.Repeat("x", 100))})
	}
	slices.Reverse(s.Entries)
	return s
}

// narrow is an upstream that serves so many at a time, each after a while, and lets the others wait.
func narrow(t *testing.T, atOnce int, each time.Duration) string {
	t.Helper()
	turns := make(chan struct{}, atOnce)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "buildinfo") {
			_, _ = io.WriteString(w, `{"version":"3.7.8"}`)
			return
		}
		select {
		case turns <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		<-time.After(each)
		<-turns
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"streams","result":[],"stats":{}}}`)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// phase is one phase.
type phase struct {
	mu                       sync.Mutex
	took                     []time.Duration // of the others' responses
	failed, flooded, refused int
}

func (m *phase) at(quantile float64) time.Duration {
	if len(m.took) == 0 {
		return 0
	}
	slices.Sort(m.took)
	return m.took[int(quantile*float64(len(m.took)-1))].Round(100 * time.Microsecond)
}

func (m *phase) note(flooding bool, took time.Duration, status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !flooding && status == http.StatusOK:
		m.took = append(m.took, took)
	case !flooding:
		m.failed++
	case status == http.StatusOK:
		m.flooded++
	default:
		m.refused++
	}
}

func measureFlood(t *testing.T, g *gateway) (before, during *phase) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}
	defer client.CloseIdleConnections()
	tokens := make([]string, floodTenants)
	for i := range tokens {
		tokens[i] = tokenOf(t, demo.Claims{Tenant: fmt.Sprint("flood-", i)})
	}
	before, during = &phase{}, &phase{}
	for round := range floodRounds + 1 {
		for _, m := range []*phase{before, during} {
			if round == 0 {
				m = &phase{} // connections are made, and caches filled
			}
			var senders sync.WaitGroup
			ctx, stop := context.WithTimeout(t.Context(), floodPhase)
			for i, token := range tokens {
				flooding := i == 0
				each := time.Second / floodRate
				if flooding && m == during {
					each /= floodTimes
				}
				senders.Go(func() {
					sendEvery(ctx, each, func() { m.send(client, g.public+"/api/v1/logs/query", token, flooding, `{app="flood"} |= "line"`) })
				})
			}
			senders.Wait()
			stop()
		}
	}
	return before, during
}

// sendEvery sends at its rate, whatever becomes of what was sent before.
func sendEvery(ctx context.Context, each time.Duration, send func()) {
	var sent sync.WaitGroup
	defer sent.Wait()
	tick := time.NewTicker(each)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			sent.Go(send)
		case <-ctx.Done():
			return
		}
	}
}

func (m *phase) send(client *http.Client, base, token string, flooding bool, query string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	params := url.Values{"query": {query}, "limit": {"20"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"?"+params.Encode(), nil)
	if err != nil {
		return
	}
	r.Header.Set("Authorization", "Bearer "+token)
	began, status := time.Now(), 0
	if response, err := client.Do(r); err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		status = response.StatusCode
	}
	m.note(flooding, time.Since(began), status)
}
