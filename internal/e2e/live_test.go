package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/poll"
)

// liveArgs raise Loki's bound on tails, which is 10, and that on the streams between its own parts, of which
// each tail holds one: beyond 100 its tails and queries wait for each other.
var liveArgs = []string{"-querier.max-concurrent-tail-requests=2000", "-server.grpc-max-concurrent-streams=10000"}

// ownStage is a Loki that a test may kill, and a logfence before it.
func ownStage(t *testing.T, settings ...string) (*demo.Loki, *gateway) {
	t.Helper()
	return stageWith(t, liveArgs, settings...)
}

// needsIngester skips a test that reads what it has just written, where only the store is queried.
func needsIngester(t *testing.T) {
	t.Helper()
	if on.configuration.StoreOnly {
		t.Skipf("in the configuration %s, queries do not reach what was just written", on.configuration.Name)
	}
}

func stageWith(t *testing.T, args []string, settings ...string) (*demo.Loki, *gateway) {
	t.Helper()
	needsIngester(t)
	l, err := on.startLoki(t.Context(), demo.LokiOptions{Args: args})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	g, err := startGateway(t.Context(), on.binary, on.issuer, l.URL(), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Error(err)
		}
	})
	return l, g
}

// met counts a response that has no end, so that contract.check can't.
func (c *contract) metLive(operation string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.met[operation] == nil {
		c.met[operation] = map[int]int{}
	}
	c.met[operation][status]++
}

// liveTail is a client of server-sent events.
type liveTail struct {
	events *bufio.Scanner
	leave  func()
	last   string
	told   []liveEvent // interruptions, and their ends
}

// liveEvent is one event of it.
type liveEvent struct {
	name  string
	lines []string
	data  string
}

func (g *gateway) openTail(ctx context.Context, token, last string, params url.Values) (*liveTail, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	// Opened by a context that ends, so that a line that never comes fails its test.
	r, err := request{path: "/api/v1/logs/tail", params: params, method: http.MethodGet}.build(ctx, g.public)
	if err != nil {
		cancel()
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := httpClient.Do(r)
	if err != nil {
		cancel()
		return nil, err
	}
	leave := func() { cancel(); resp.Body.Close() }
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		leave()
		return nil, fmt.Errorf("tail: %d %s", resp.StatusCode, text)
	}
	on.contract.metLive("tailLogs", resp.StatusCode)
	s := bufio.NewScanner(resp.Body)
	s.Buffer(nil, 16<<20)
	return &liveTail{events: s, leave: leave, last: last}, nil
}

func openTail(t *testing.T, g *gateway, last string, params ...string) *liveTail {
	t.Helper()
	tl, err := g.openTail(t.Context(), tokenOf(t, demo.Claims{Tenant: demo.Alpha}), last, with(url.Values{}, params...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tl.leave)
	return tl
}

// next gives the next event, comments left out.
func (l *liveTail) next() (liveEvent, error) {
	var e liveEvent
	for l.events.Scan() {
		name, value, _ := strings.Cut(l.events.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case l.events.Text() == "" && (e.name == "interrupted" || e.name == "resumed"):
			l.told = append(l.told, e)
			e = liveEvent{}
		case l.events.Text() == "" && e.name != "":
			return e, nil
		case name == "event":
			e.name = value
		case name == "id":
			l.last = value
		case name == "data":
			e.data = value
			var frame struct {
				Streams []struct{ Values [][]any }
			}
			if err := json.Unmarshal([]byte(value), &frame); err != nil {
				return e, err
			}
			for _, s := range frame.Streams {
				for _, v := range s.Values {
					e.lines = append(e.lines, fmt.Sprint(v[1]))
				}
			}
		}
	}
	if err := l.events.Err(); err != nil {
		return e, err
	}
	return e, io.ErrUnexpectedEOF
}

// want reads until so many lines have come.
func (l *liveTail) want(t *testing.T, n int) (lines []string) {
	t.Helper()
	for len(lines) < n {
		e, err := l.next()
		if err != nil || e.name != "entries" {
			t.Fatalf("after %d of %d lines: %v %+v", len(lines), n, err, e)
		}
		lines = append(lines, e.lines...)
	}
	return lines
}

// pusher writes numbered lines of alpha's, and beta's beside them, until it is stopped. Loki may be away:
// like an agent it tries again, with the lines' own timestamps.
type pusher struct {
	sent atomic.Int64
	stop func()
}

// pushing starts a pusher: every so often a line in each of some streams, all with the same timestamp.
func pushing(t *testing.T, l *demo.Loki, app string, streams int, every time.Duration) *pusher {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &pusher{}
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for n := 0; ; {
			var batch []demo.Stream
			at := time.Now()
			for s := range streams {
				// Where each tenant has an organization, alpha's lines are the last request: none of it is repeated after it succeeded.
				for _, tenant := range []string{demo.Beta, demo.Alpha} {
					text := fmt.Sprintf("%s %d", tenant, n+s)
					batch = append(batch, demo.Stream{
						Labels:  map[string]string{tenantLabel: tenant, "app": app, "part": strconv.Itoa(s)},
						Entries: []demo.Entry{{Time: at, Line: text}},
					})
				}
			}
			for l.Push(ctx, batch...) != nil {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
			n += streams
			p.sent.Store(int64(n))
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	p.stop = func() { cancel(); done.Wait() }
	t.Cleanup(p.stop)
	return p
}

// exactlyOnce says which of alpha's lines are missing, repeated or another's.
func exactlyOnce(t *testing.T, got []string, from, to int) {
	t.Helper()
	seen := map[string]int{}
	for _, line := range got {
		seen[line]++
	}
	wrong := 0
	for n := from; n < to; n++ {
		if line := fmt.Sprintf("alpha %d", n); seen[line] != 1 {
			if wrong++; wrong < 10 {
				t.Errorf("%q came %d times", line, seen[line])
			}
		}
	}
	for line := range seen {
		if !strings.HasPrefix(line, "alpha ") {
			t.Fatalf("another's line: %q", line)
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d lines are wrong", wrong, to-from)
	}
}

// untilSent waits for the pusher.
func (p *pusher) untilSent(t *testing.T, n int) int {
	t.Helper()
	poll.Wait(t, fmt.Sprintf("%d lines are pushed", n), func() bool { return p.sent.Load() >= int64(n) })
	return int(p.sent.Load())
}

// upTo reads until there are so many lines in all.
func (l *liveTail) upTo(t *testing.T, n int, got *[]string) {
	t.Helper()
	for len(*got) < n {
		e, err := l.next()
		if err != nil || e.name != "entries" {
			t.Errorf("after %d lines of %d: %v %+v", len(*got), n, err, e)
			return
		}
		*got = append(*got, e.lines...)
	}
}

// TestTailSurvivesRestarts guarantees that a tail loses and repeats no line when its Loki is killed and
// comes back, and when the client comes back with Last-Event-ID, while two tenants' lines arrive all the
// time, several with the same timestamp.
func TestTailSurvivesRestarts(t *testing.T) {
	t.Parallel()
	l, g := ownStage(t)
	tl := openTail(t, g, "", "query", `{app="restart"}`)
	p := pushing(t, l, "restart", 3, 20*time.Millisecond)
	var got []string
	tl.upTo(t, 300, &got)

	l.Kill()
	if err := l.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	tl.upTo(t, p.untilSent(t, int(p.sent.Load())+300), &got)

	for range 5 { // and the client leaves and comes back
		tl.leave()
		at := p.untilSent(t, int(p.sent.Load())+50)
		tl = openTail(t, g, tl.last, "query", `{app="restart"}`)
		tl.upTo(t, at, &got)
	}
	p.stop()
	sent := int(p.sent.Load())
	tl.upTo(t, sent, &got)
	exactlyOnce(t, got, 0, sent)
}

// TestTailEndsWithItsToken guarantees that a tail ends, visibly, when its token expires, by either route.
func TestTailEndsWithItsToken(t *testing.T) {
	t.Parallel()
	_, g := ownStage(t, "LOGFENCE_JWT_LEEWAY=0s")
	token := tokenOf(t, demo.Claims{Tenant: demo.Alpha, Lifetime: 4 * time.Second})
	tl, err := g.openTail(t.Context(), token, "", with(url.Values{}, "query", `{app="x"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer tl.leave()
	conn := dialTail(t, g, token, `{app="x"}`)
	if e, err := tl.next(); err != nil || e.name != "end" || !strings.Contains(e.data, `"token_expired"`) {
		t.Errorf("got %+v, %v", e, err)
	}
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != -1 || !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

// TestTailEndsWithTheServer guarantees that logfence tells its tails when it stops, and does not wait for
// what has no end.
func TestTailEndsWithTheServer(t *testing.T) {
	t.Parallel()
	_, g := ownStage(t)
	tl := openTail(t, g, "", "query", `{app="x"}`)
	conn := dialTail(t, g, tokenOf(t, demo.Claims{Tenant: demo.Alpha}), `{app="x"}`)
	stopped := make(chan time.Duration, 1)
	go func() {
		began := time.Now()
		_ = g.stop() // ownStage looks at it again
		stopped <- time.Since(began)
	}()
	if e, err := tl.next(); err != nil || e.name != "end" || !strings.Contains(e.data, `"server_shutdown"`) {
		t.Errorf("got %+v, %v", e, err)
	}
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != -1 || !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	if took := <-stopped; took > 10*time.Second {
		t.Errorf("logfence took %s to stop", took)
	}
}

func dialTail(t *testing.T, g *gateway, token, query string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), g.public+"/loki/api/v1/tail?"+url.Values{"query": {query}}.Encode(),
		&websocket.DialOptions{HTTPClient: httpClient, HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		t.Fatal(err)
	}
	on.contract.metLive("lokiTail", http.StatusSwitchingProtocols)
	conn.SetReadLimit(16 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// TestLogcliTails guarantees that the real logcli follows what another process writes, through logfence, and
// sees no line of another tenant.
func TestLogcliTails(t *testing.T) {
	t.Parallel()
	l, g := ownStage(t)
	cmd := exec.CommandContext(t.Context(), on.binaries.Logcli, "query", "--tail", "--no-labels", "--output=raw", `{app="logcli"}`)
	cmd.Env = []string{"LOKI_ADDR=" + g.public, "LOKI_BEARER_TOKEN=" + tokenOf(t, demo.Claims{Tenant: demo.Alpha}), "HOME=" + t.TempDir()}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // should it never print a line
		select {
		case <-time.After(patience):
			_ = cmd.Process.Kill()
		case <-ended:
		}
	}()
	defer close(ended)
	p := pushing(t, l, "logcli", 1, 50*time.Millisecond)
	var got []string
	for lines := bufio.NewScanner(out); len(got) < 100 && lines.Scan(); {
		got = append(got, lines.Text())
	}
	_ = cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil || len(got) < 100 {
		t.Fatalf("%d lines, %v\n%s", len(got), err, complaints.String())
	}
	p.stop()
	var first int
	if _, err := fmt.Sscanf(got[0], "alpha %d", &first); err != nil {
		t.Fatal(err)
	}
	exactlyOnce(t, got, first, first+100)
	if !slices.IsSorted(lineNumbers(got)) {
		t.Error("not in order")
	}
}

func lineNumbers(lines []string) (all []int) {
	for _, line := range lines {
		_, number, _ := strings.Cut(line, " ")
		n, _ := strconv.Atoi(number)
		all = append(all, n)
	}
	return all
}

// TestStalledClient guarantees that a client that stops reading costs logfence no more memory than its
// buffers, and is told what it missed when it reads again.
func TestStalledClient(t *testing.T) {
	t.Parallel()
	l, g := ownStage(t)
	tl := openTail(t, g, "", "query", `{app="stalled"}`)
	long := strings.Repeat("x", 2000)
	sent := 0
	push := func(n int) {
		t.Helper()
		var entries []demo.Entry
		for range n {
			entries = append(entries, demo.Entry{Time: time.Now(), Line: fmt.Sprintf("alpha %d %s", sent, long)})
			sent++
		}
		if err := l.Push(t.Context(), demo.Stream{Labels: map[string]string{tenantLabel: demo.Alpha, "app": "stalled"}, Entries: entries}); err != nil {
			t.Fatal(err)
		}
	}
	push(1)
	tl.want(t, 1)
	before := rss(t, g.cmd.Process.Pid)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for range 160 { // 8 s, 16,000 lines, 32 MB
		push(100)
		<-tick.C
	}
	if grown := rss(t, g.cmd.Process.Pid) - before; grown > 48<<20 {
		t.Errorf("logfence has grown by %d MiB", grown>>20)
	}
	received, dropped, cutOff := 1, 0, false
	for received+dropped < sent*9/10 {
		e, err := tl.next()
		if err != nil {
			cutOff = true // by the time-out of a client that takes nothing: also an end that it can tell
			break
		}
		received += len(e.lines)
		if e.name == "dropped" {
			var d struct{ Count int }
			if err := json.Unmarshal([]byte(e.data), &d); err != nil {
				t.Fatal(err)
			}
			dropped += d.Count
		}
	}
	t.Logf("sent %d, received %d, told of %d dropped", sent, received, dropped)
	if received == sent {
		t.Error("nothing was held back: the test tests nothing")
	}
	if dropped == 0 && !cutOff {
		t.Error("the client was not told")
	}
}

// rss is the memory of a process, as the system counts it.
func rss(t *testing.T, pid int) int {
	t.Helper()
	return status(t, pid, "VmRSS")
}

func status(t *testing.T, pid int, field string) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("memory of a process cannot be read here: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("no %s", field)
	return 0
}

// TestManyTails opens 500 tails and has 1,000 lines a second arrive. It takes both cores of a small machine
// for half a minute, so it runs on request only: LOGFENCE_TEST_LOAD=each has every tail follow one of 50
// streams, LOGFENCE_TEST_LOAD=all has every tail follow all lines, which is more than Loki can do.
func TestManyTails(t *testing.T) {
	mode := os.Getenv("LOGFENCE_TEST_LOAD")
	if mode == "" {
		t.Skip("LOGFENCE_TEST_LOAD is not set to each or all")
	}
	const tails, streams, seconds = 500, 50, 20 // twenty times a second a line in each stream
	l, g := ownStage(t, "LOGFENCE_TENANT_MAX_TAILS=500", "LOGFENCE_LOKI_MAX_TAILS=500")
	atRest := rss(t, g.cmd.Process.Pid)
	token := tokenOf(t, demo.Claims{Tenant: demo.Alpha})
	var received, dropped, beta atomic.Int64
	var readers sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	for i := range tails {
		query := `{app="load"}`
		if mode == "each" {
			query = fmt.Sprintf(`{app="load", part="%d"}`, i%streams)
		}
		tl, err := g.openTail(ctx, token, "", with(url.Values{}, "query", query))
		if err != nil {
			t.Fatalf("tail %d: %v\n%s", i, err, tail(g.said()))
		}
		readers.Go(func() {
			for tl.events.Scan() {
				text := tl.events.Text()
				received.Add(int64(strings.Count(text, `"alpha `)))
				beta.Add(int64(strings.Count(text, `"beta `)))
				var d struct{ Count int64 }
				if data, ok := strings.CutPrefix(text, `data: {"count"`); ok && json.Unmarshal([]byte(`{"count"`+data), &d) == nil {
					dropped.Add(d.Count)
				}
			}
			tl.leave()
		})
	}
	opened := rss(t, g.cmd.Process.Pid)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	sent := 0
	for range seconds * 20 {
		<-tick.C
		var batch []demo.Stream
		for s := range streams {
			for _, tenant := range []string{demo.Alpha, demo.Beta} {
				batch = append(batch, demo.Stream{
					Labels:  map[string]string{tenantLabel: tenant, "app": "load", "part": strconv.Itoa(s)},
					Entries: []demo.Entry{{Time: time.Now(), Line: fmt.Sprintf("%s %d %s", tenant, sent, strings.Repeat("x", 100))}},
				})
			}
			sent++
		}
		if err := l.Push(t.Context(), batch...); err != nil {
			t.Fatal(err)
		}
	}
	want := int64(sent) * tails
	if mode == "each" {
		want /= streams
	}
	for last := int64(-1); received.Load() < want && last != received.Load(); {
		last = received.Load()
		for range 60 { // three seconds without a line: no more will come
			<-tick.C
		}
	}
	peak := status(t, g.cmd.Process.Pid, "VmHWM")
	stop()
	readers.Wait()
	t.Logf("%d tails, %d lines sent in %d s: %d of %d deliveries received (%.2f%%), %d told as dropped; memory %d MiB at rest, %d MiB with the tails open, %d MiB at its peak",
		tails, sent, seconds, received.Load(), want, 100*float64(received.Load())/float64(want), dropped.Load(), atRest>>20, opened>>20, peak>>20)
	if beta.Load() > 0 {
		t.Errorf("%d of beta's lines were seen", beta.Load())
	}
	if received.Load() > want {
		t.Error("more than was sent")
	}
}
