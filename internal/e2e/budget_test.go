package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/logfence/logfence/internal/demo"
)

// The load of TestMemoryBudget, of three tenants together, and the memory for it.
const (
	budgetContexts, budgetTails, budgetExports, budgetBodies = 32, 60, 12, 2000
	budgetMemory                                             = 460 << 20

	budgetLines    = 20_000 // that Loki holds of each query, of budgetLine bytes, budgetInterval apart
	budgetLine     = 3000
	budgetInterval = 100 * time.Millisecond
	budgetResumed  = 2000 // lines that a resumed tail has missed
	budgetExported = 10_000
)

// TestMemoryBudget guarantees that logfence stays within GOMEMLIMIT, in the default settings, while three tenants
// request at once what is the most expensive to buffer; that each request ends with a complete response or a
// clear refusal; and that bodies that never come end, with and without a token. It takes a minute and
// LOGFENCE_TEST_LOAD=memory requests it. What a small query of a fourth tenant takes meanwhile is compared with what
// it takes alone, and, since all of this shares the cores of one machine, with what it takes through a logfence beside it
// that has no load.
func TestMemoryBudget(t *testing.T) {
	if os.Getenv("LOGFENCE_TEST_LOAD") != "memory" {
		t.Skip("LOGFENCE_TEST_LOAD is not set to memory")
	}
	lines := newLongLines()
	upstream := httptest.NewServer(lines)
	t.Cleanup(upstream.Close)
	g, idle := startForBudget(t, upstream.URL), startForBudget(t, upstream.URL)
	l := &budgetLoad{Public: g.public, Newest: lines.began}
	for i := range 4 {
		token, err := on.issuer.Token(demo.Claims{Subject: "budget", Tenant: fmt.Sprint("budget-", i)})
		if err != nil {
			t.Fatal(err)
		}
		l.Tokens = append(l.Tokens, token)
	}
	pid := g.cmd.Process.Pid
	atRest := memoryOf(t, pid, "VmRSS")
	small := smallQueries{T: t, token: l.Tokens[3], bases: [...]string{
		g.public + "/api/v1/logs/query", idle.public + "/api/v1/logs/query", upstream.URL + "/loki/api/v1/query_range",
	}}
	alone := small.measure(10 * time.Second)
	began := time.Now()
	load := l.start(t)
	during := small.measure(15 * time.Second)
	outcomes := load()
	took := time.Since(began)
	peak := memoryOf(t, pid, "VmHWM")
	t.Logf("resident memory: at rest %d MiB, at most %d MiB; all ended after %s: %v", atRest>>20, peak>>20, took.Round(time.Second), outcomes)
	for i, name := range []string{"another tenant's small queries", "the same through an idle logfence", "the same sent to the upstream itself"} {
		t.Logf("%s: alone p50 %s, p99 %s of %d; during the load p50 %s, p99 %s of %d: %.1f times", name,
			at(alone[i], 0.5), at(alone[i], 0.99), len(alone[i]), at(during[i], 0.5), at(during[i], 0.99), len(during[i]), ratio(during[i], alone[i]))
	}
	t.Logf("during the load p99 is %.1f times that through an idle logfence", ratio(during[0], during[1]))
	if peak > budgetMemory {
		t.Errorf("at most %d MiB were resident", peak>>20)
	}
	for name, n := range outcomes {
		if strings.Contains(name, "unexpected") {
			t.Errorf("%d %s", n, name)
		}
	}
	began = time.Now()
	l.bodiesWithoutToken(t.Context())
	if took := time.Since(began); took > 35*time.Second {
		t.Errorf("bodies without a token ended after %s", took)
	} else {
		t.Logf("%d bodies without a token that never came ended after %s", budgetBodies, took.Round(100*time.Millisecond))
	}
}

func startForBudget(t *testing.T, upstream string) *gateway {
	t.Helper()
	g, err := startGateway(t.Context(), on.binary, on.issuer, upstream, fmt.Sprint("GOMEMLIMIT=", budgetMemory))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// ratio is that of the 99th percentiles.
func ratio(a, b []time.Duration) float64 { return float64(at(a, 0.99)) / float64(at(b, 0.99)) }

// at is a quantile.
func at(took []time.Duration, q float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return sorted[int(q*float64(len(sorted)-1))].Round(10 * time.Microsecond)
}

// smallQueries sends small queries of a tenant that has no other load: to logfence, to one that has no load, and to their
// upstream, in turn. What the latter two take longer during the load is not logfence's doing.
type smallQueries struct {
	*testing.T

	token string
	bases [3]string
}

func (s *smallQueries) measure(lasting time.Duration) (took [3][]time.Duration) {
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	end := time.Now().Add(lasting)
	for round := 0; time.Now().Before(end); round++ {
		for i := range s.bases {
			to := (round + i) % len(s.bases) // the first one after the pause finds cold caches
			took[to] = append(took[to], s.send(transport, s.bases[to]))
		}
		pause := time.NewTimer(10 * time.Millisecond)
		<-pause.C
	}
	return took
}

func (s *smallQueries) send(transport http.RoundTripper, base string) time.Duration {
	r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, base+"?limit=1&query=%7Bapp%3D%22small%22%7D", nil)
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	began := time.Now()
	response, err := transport.RoundTrip(r)
	if err != nil {
		s.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		s.Errorf("a small query: %d", response.StatusCode)
	}
	return time.Since(began)
}

// longLines is a Loki with budgetLines lines of each query in the past, which it makes as it writes them: its own
// memory does not grow with them. It follows with a line a second.
type longLines struct {
	began time.Time
	text  string
}

// longLineMark is in each line once.
const longLineMark = "mark:"

func newLongLines() *longLines {
	return &longLines{began: time.Now().Truncate(budgetInterval), text: longLineMark + strings.Repeat("x", budgetLine)}
}

// ServeHTTP serves query_range and tail.
func (l *longLines) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/tail"):
		l.tail(w, r)
	case strings.HasSuffix(r.URL.Path, "/query_range"):
		l.queryRange(w, r)
	}
}

func (l *longLines) queryRange(w http.ResponseWriter, r *http.Request) {
	start, end := l.index(r.FormValue("start")), l.index(r.FormValue("end"))
	limit, _ := strconv.Atoi(r.FormValue("limit"))
	limit = max(min(limit, end-start), 0)
	first, step := start, 1
	if r.FormValue("direction") != "forward" {
		first, step = end-1, -1
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	out := bufio.NewWriterSize(w, 64<<10)
	_, _ = out.WriteString(`{"status":"success","data":{"resultType":"streams","result":[{"stream":{"app":"long"},"values":[`)
	for i := range limit {
		comma := ","
		if i == 0 {
			comma = ""
		}
		nanos := l.began.Add(time.Duration(first+i*step-budgetLines) * budgetInterval).UnixNano()
		if _, err := fmt.Fprintf(out, `%s["%d","%s"]`, comma, nanos, l.text); err != nil {
			return // it has been given up
		}
	}
	_, _ = out.WriteString(`]}],"stats":{}}}`)
	_ = out.Flush()
}

// index is that of the first line from a time on; the newest are at began.
func (l *longLines) index(nanos string) int {
	n, _ := strconv.ParseInt(nanos, 10, 64)
	since := time.Unix(0, n).Sub(l.began.Add(-budgetLines * budgetInterval))
	return min(max(int((since+budgetInterval-1)/budgetInterval), 0), budgetLines)
}

func (l *longLines) tail(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow() //nolint:errcheck // it is only read
	ctx := conn.CloseRead(context.WithoutCancel(r.Context()))
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if conn.Ping(ctx) != nil {
			return
		}
		frame := fmt.Sprintf(`{"streams":[{"stream":{"app":"long"},"values":[["%d","%s"]]}]}`, time.Now().UnixNano(), l.text)
		if conn.Write(ctx, websocket.MessageText, []byte(frame)) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
