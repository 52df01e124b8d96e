package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// budgetLoad is the load of TestMemoryBudget. It runs in a process of its own, which yields to all others: with clients
// on machines of their own, logfence's cores are its own as well.
type budgetLoad struct {
	Public string
	Tokens []string
	Newest time.Time // of the lines that Loki holds

	mu       sync.Mutex
	outcomes map[string]int
}

// budgetLoadEnv holds the load, as JSON, in a process that runs it.
const budgetLoadEnv = "LOGFENCE_TEST_BUDGET_LOAD"

// start starts the load. The function that it returns waits for its end, and returns what became of it.
func (l *budgetLoad) start(t *testing.T) (wait func() map[string]int) {
	t.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "nice", "-n", "19", os.Args[0])
	cmd.Env = append(os.Environ(), budgetLoadEnv+"="+string(text))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (outcomes map[string]int) {
		err := json.NewDecoder(out).Decode(&outcomes)
		if err := errors.Join(err, cmd.Wait()); err != nil {
			t.Fatalf("the load did not end: %v", err)
		}
		return outcomes
	}
}

// runBudgetLoad is all that a process does that has budgetLoadEnv.
func runBudgetLoad(text string) error {
	l := &budgetLoad{}
	if err := json.Unmarshal([]byte(text), l); err != nil {
		return err
	}
	l.run(context.Background())
	return json.NewEncoder(os.Stdout).Encode(l.outcomes)
}

// run sends everything at once, and returns when all has ended.
func (l *budgetLoad) run(ctx context.Context) {
	var all sync.WaitGroup
	each := func(n int, request func(ctx context.Context, token string)) {
		for i := range n {
			all.Go(func() { request(ctx, l.Tokens[i%3]) })
		}
	}
	each(budgetBodies, l.slowBody)
	each(budgetContexts, l.context)
	each(budgetTails, l.tail)
	each(budgetExports, l.export)
	all.Wait()
}

func (l *budgetLoad) count(kind, outcome string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.outcomes == nil {
		l.outcomes = map[string]int{}
	}
	l.outcomes[kind+": "+outcome]++
}

// get sends a request on a connection of its own. What is refused clearly is counted, and nil.
func (l *budgetLoad) get(ctx context.Context, kind, token, path string, params url.Values, header ...string) *http.Response {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.Public+path+"?"+params.Encode(), nil)
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

func (l *budgetLoad) context(ctx context.Context, token string) {
	at := l.Newest.Add(-budgetLines / 2 * budgetInterval)
	response := l.get(ctx, "context", token, "/api/v1/logs/context", url.Values{
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

func (l *budgetLoad) export(ctx context.Context, token string) {
	response := l.get(ctx, "export", token, "/api/v1/logs/export", url.Values{
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
func (l *budgetLoad) tail(ctx context.Context, token string) {
	from := l.Newest.Add(-budgetResumed * budgetInterval)
	response := l.get(ctx, "tail", token, "/api/v1/logs/tail", url.Values{"query": {`{app="long"}`}}, "Last-Event-ID", strconv.FormatInt(from.UnixNano(), 10)+"-")
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
func (l *budgetLoad) slowBody(ctx context.Context, token string) {
	l.body(ctx, "body", "Authorization: Bearer "+token+"\r\n", 100<<10)
}

// body sends a part of a body, and counts how it ends.
func (l *budgetLoad) body(ctx context.Context, kind, header string, sent int) {
	dialer := net.Dialer{Timeout: time.Minute}
	conn, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(l.Public, "http://"))
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

func (l *budgetLoad) bodiesWithoutToken(ctx context.Context) {
	var all sync.WaitGroup
	for range budgetBodies {
		all.Go(func() { l.body(ctx, "body without a token", "", 0) })
	}
	all.Wait()
}
