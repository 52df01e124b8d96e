package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
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
// clear refusal; and that bodies that never come end, with and without a token. It takes some minutes and
// LOGFENCE_TEST_LOAD=memory requests it. What a small query of a fourth tenant takes meanwhile is compared with what
// it takes alone.
func TestMemoryBudget(t *testing.T) {
	if os.Getenv("LOGFENCE_TEST_LOAD") != "memory" {
		t.Skip("LOGFENCE_TEST_LOAD is not set to memory")
	}
	lines := newLongLines()
	upstream := httptest.NewServer(lines)
	t.Cleanup(upstream.Close)
	g, err := startGateway(t.Context(), on.binary, on.issuer, upstream.URL, fmt.Sprint("GOMEMLIMIT=", budgetMemory))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Error(err)
		}
	})
	l := &budgetLoad{T: t, gateway: g, upstream: upstream.URL, newest: lines.began, outcomes: map[string]int{}}
	for i := range 4 {
		token, err := on.issuer.Token(demo.Claims{Subject: "budget", Tenant: fmt.Sprint("budget-", i)})
		if err != nil {
			t.Fatal(err)
		}
		l.tokens = append(l.tokens, token)
	}
	pid := g.cmd.Process.Pid
	idle := memoryOf(t, pid, "VmRSS")
	alone, aloneDirect := l.smallQueries(10 * time.Second)
	began := time.Now()
	ended := l.start()
	during, duringDirect := l.smallQueries(15 * time.Second)
	select {
	case <-ended:
	case <-time.After(5 * time.Minute):
		l.mu.Lock()
		defer l.mu.Unlock()
		t.Fatalf("requests are stuck; ended have %v", l.outcomes)
	}
	took := time.Since(began)
	peak := memoryOf(t, pid, "VmHWM")
	t.Logf("resident memory: idle %d MiB, at most %d MiB; all ended after %s: %v", idle>>20, peak>>20, took.Round(time.Second), l.outcomes)
	ratio := float64(at(during, 0.99)) / float64(at(alone, 0.99))
	t.Logf("small queries of another tenant: alone p50 %s, p99 %s of %d; during the load p50 %s, p99 %s of %d: %.1f times",
		at(alone, 0.5), at(alone, 0.99), len(alone), at(during, 0.5), at(during, 0.99), len(during), ratio)
	t.Logf("the same sent to the upstream itself: alone p50 %s, p99 %s; during the load p50 %s, p99 %s",
		at(aloneDirect, 0.5), at(aloneDirect, 0.99), at(duringDirect, 0.5), at(duringDirect, 0.99))
	if peak > budgetMemory {
		t.Errorf("at most %d MiB were resident", peak>>20)
	}
	for name, n := range l.outcomes {
		if strings.Contains(name, "unexpected") {
			t.Errorf("%d %s", n, name)
		}
	}
	began = time.Now()
	l.bodiesWithoutToken()
	if took := time.Since(began); took > 35*time.Second {
		t.Errorf("bodies without a token ended after %s", took)
	} else {
		t.Logf("%d bodies without a token that never came ended after %s", budgetBodies, took.Round(100*time.Millisecond))
	}
}

// at is a quantile.
func at(took []time.Duration, q float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(took))
	return sorted[int(q*float64(len(sorted)-1))].Round(10 * time.Microsecond)
}

// budgetLoad is the load and what became of it.
type budgetLoad struct {
	*testing.T

	gateway  *gateway
	upstream string
	tokens   []string
	newest   time.Time // of the lines that Loki holds

	mu       sync.Mutex
	outcomes map[string]int
}

func (l *budgetLoad) count(kind, outcome string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcomes[kind+": "+outcome]++
}

// start sends everything at once, and closes its channel when all has ended.
func (l *budgetLoad) start() <-chan struct{} {
	var all sync.WaitGroup
	each := func(n int, request func(token string)) {
		for i := range n {
			all.Go(func() { request(l.tokens[i%3]) })
		}
	}
	each(budgetBodies, l.slowBody)
	each(budgetContexts, l.context)
	each(budgetTails, l.tail)
	each(budgetExports, l.export)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		all.Wait()
	}()
	return ended
}

// get sends a request on a connection of its own. What is refused clearly is counted, and nil.
func (l *budgetLoad) get(kind, token, path string, params url.Values, header ...string) *http.Response {
	r, err := http.NewRequestWithContext(l.Context(), http.MethodGet, l.gateway.public+path+"?"+params.Encode(), nil)
	if err != nil {
		l.count(kind, "unexpected "+err.Error())
		return nil
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := (&http.Transport{DisableKeepAlives: true, DisableCompression: true}).RoundTrip(r)
	if err != nil {
		l.count(kind, "unexpected "+err.Error())
		return nil
	}
	if response.StatusCode == http.StatusOK {
		return response
	}
	defer response.Body.Close()
	var problem struct{ Code string }
	_ = json.NewDecoder(response.Body).Decode(&problem)
	if response.StatusCode == http.StatusServiceUnavailable && problem.Code == "overloaded" && response.Header.Get("Retry-After") != "" {
		l.count(kind, "refused")
	} else {
		l.count(kind, fmt.Sprint("unexpected ", response.StatusCode, " ", problem.Code))
	}
	return nil
}

func (l *budgetLoad) context(token string) {
	at := l.newest.Add(-budgetLines / 2 * budgetInterval)
	response := l.get("context", token, "/api/v1/logs/context", url.Values{
		"stream": {`{app="long"}`}, "timestamp": {strconv.FormatInt(at.UnixNano(), 10)}, "before": {"5000"}, "after": {"5000"},
	})
	if response == nil {
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil || !strings.HasSuffix(string(body), `"truncated":true}`+"\n"):
		l.count("context", fmt.Sprint("unexpected end ", err))
	case len(body) > 9<<20 || len(body) < 3<<20:
		l.count("context", fmt.Sprint("unexpected size ", len(body)))
	default:
		l.count("context", "delivered")
	}
}

func (l *budgetLoad) export(token string) {
	response := l.get("export", token, "/api/v1/logs/export", url.Values{
		"query": {`{app="long"}`}, "since": {(budgetLines * budgetInterval).String()}, "limit": {strconv.Itoa(budgetExported)},
	})
	if response == nil {
		return
	}
	defer response.Body.Close()
	lines := 0
	for scanner := bufio.NewReaderSize(response.Body, 64<<10); ; {
		line, err := scanner.ReadString('\n')
		switch {
		case strings.Contains(line, `{"error":`) && strings.Contains(line, `"code":"overloaded"`):
			l.count("export", "ended with overloaded")
			return
		case line != "":
			lines++
		}
		if err != nil {
			if err == io.EOF && lines == budgetExported {
				l.count("export", "delivered")
			} else {
				l.count("export", fmt.Sprint("unexpected end after ", lines, " lines: ", err))
			}
			return
		}
	}
}

// tail resumes a tail, reads nothing for a while, and then everything that was missed.
func (l *budgetLoad) tail(token string) {
	from := l.newest.Add(-budgetResumed * budgetInterval)
	response := l.get("tail", token, "/api/v1/logs/tail", url.Values{"query": {`{app="long"}`}}, "Last-Event-ID", strconv.FormatInt(from.UnixNano(), 10)+"-")
	if response == nil {
		return
	}
	defer response.Body.Close()
	stall := time.NewTimer(3 * time.Second)
	defer stall.Stop()
	<-stall.C
	lines := 0
	for scanner := bufio.NewReaderSize(response.Body, 64<<10); ; {
		line, err := scanner.ReadString('\n')
		lines += strings.Count(line, longLineMark)
		switch {
		case lines >= budgetResumed:
			l.count("tail", "resumed")
			return
		case strings.Contains(line, `"reason":"overloaded"`):
			l.count("tail", "ended with overloaded")
			return
		case err != nil:
			l.count("tail", fmt.Sprint("unexpected end after ", lines, " lines: ", err))
			return
		}
	}
}

// slowBody announces a body of 399 KB, sends a quarter and then next to nothing, until logfence ends it.
func (l *budgetLoad) slowBody(token string) {
	l.body("body", "Authorization: Bearer "+token+"\r\n", 100<<10)
}

// body sends a part of a body, and counts how it ends.
func (l *budgetLoad) body(kind, header string, sent int) {
	dialer := net.Dialer{Timeout: time.Minute}
	conn, err := dialer.DialContext(l.Context(), "tcp", strings.TrimPrefix(l.gateway.public, "http://"))
	if err != nil {
		l.count(kind, "unexpected "+err.Error())
		return
	}
	defer conn.Close()
	_, _ = fmt.Fprintf(conn, "POST /api/v1/logs/query HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 399000\r\n%s\r\nquery=", header)
	go func() {
		if sent > 0 {
			_, _ = io.WriteString(conn, strings.Repeat("x", sent)) // refused ones are not read
		}
	}()
	_ = conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
	status, err := bufio.NewReader(conn).ReadString('\n')
	switch {
	case strings.Contains(status, " 503 "):
		l.count(kind, "refused")
	case strings.Contains(status, " 400 "), strings.Contains(status, " 401 "):
		l.count(kind, "ended with "+status[9:12])
	case os.IsTimeout(err):
		l.count(kind, "unexpected: stuck")
	case err != nil:
		l.count(kind, "connection closed")
	default:
		l.count(kind, "unexpected "+status)
	}
}

func (l *budgetLoad) bodiesWithoutToken() {
	var all sync.WaitGroup
	for range budgetBodies {
		all.Go(func() { l.body("body without a token", "", 0) })
	}
	all.Wait()
}

// smallQueries measures queries of a fourth tenant, one after the other, and in turn the same ones sent to the upstream
// itself: what those take longer under load is not logfence's doing.
func (l *budgetLoad) smallQueries(lasting time.Duration) (took, direct []time.Duration) {
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	send := func(base, path string) time.Duration {
		r, err := http.NewRequestWithContext(l.Context(), http.MethodGet, base+path+"?limit=1&query=%7Bapp%3D%22small%22%7D", nil)
		if err != nil {
			l.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+l.tokens[3])
		began := time.Now()
		response, err := transport.RoundTrip(r)
		if err != nil {
			l.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			l.Errorf("a small query: %d", response.StatusCode)
		}
		return time.Since(began)
	}
	for end := time.Now().Add(lasting); time.Now().Before(end); {
		took = append(took, send(l.gateway.public, "/api/v1/logs/query"))
		direct = append(direct, send(l.upstream, "/loki/api/v1/query_range"))
		pause := time.NewTimer(10 * time.Millisecond)
		<-pause.C
	}
	return took, direct
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
