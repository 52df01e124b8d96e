package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
)

// sse is a client of a tail. It reads as a browser does.
type sse struct {
	*gateway

	response *http.Response
	lines    *bufio.Scanner
	leave    context.CancelFunc
	last     string // the id of the last event
}

// event is one event, or a comment.
type event struct{ name, data, comment string }

// tail opens a tail as the holder of a token.
func (g *gateway) tail(token, lastID string, params ...string) *sse {
	g.Helper()
	r := g.request(http.MethodGet, "/api/v1/logs/tail", params...)
	r.Header.Set("Authorization", "Bearer "+token)
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	r, leave := cancelable(r)
	transport := g.transport()
	response, err := transport.RoundTrip(r)
	if err != nil {
		leave()
		g.Fatal(err)
	}
	s := &sse{gateway: g, response: response, lines: bufio.NewScanner(response.Body), leave: leave, last: lastID}
	s.lines.Buffer(nil, 8<<20)
	g.Cleanup(func() {
		leave()
		response.Body.Close()
		transport.CloseIdleConnections()
	})
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		g.Fatalf("tail: %d %s", response.StatusCode, text)
	}
	return s
}

// next reads one event; false at the end.
func (s *sse) next() (e event, ok bool) {
	s.Helper()
	for s.lines.Scan() {
		name, value, _ := strings.Cut(s.lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case s.lines.Text() == "":
			return e, true
		case name == "":
			e.comment = "comment " + value
		case name == "event":
			e.name = value
		case name == "data":
			e.data = value
		case name == "id":
			s.last = value
		}
	}
	return event{}, false
}

// texts reads until so many lines have come; other events than entries are a failure, but comments.
func (s *sse) texts(n int) (texts []string) {
	s.Helper()
	for len(texts) < n {
		e, ok := s.next()
		if !ok || !slices.Contains([]string{"", "entries", "interrupted", "resumed"}, e.name) {
			s.Fatalf("after %d of %d lines: %+v %v", len(texts), n, e, ok)
		}
		if e.name != "entries" {
			continue
		}
		texts = append(texts, linesOf(s.T, e.data)...)
	}
	return texts
}

// linesOf are the lines of a frame, in order.
func linesOf(t *testing.T, data string) (texts []string) {
	t.Helper()
	var frame struct {
		Streams []struct {
			Stream map[string]string
			Values [][]any
		}
	}
	if err := json.Unmarshal([]byte(data), &frame); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	for _, st := range frame.Streams {
		for _, v := range st.Values {
			texts = append(texts, fmt.Sprint(v[1]))
		}
	}
	return texts
}

// quiet reads heartbeats, and fails if anything else comes.
func (s *sse) quiet() {
	s.Helper()
	for range 3 {
		if e, ok := s.next(); !ok || e.comment == "" || e.name != "" {
			s.Fatalf("unexpected %+v %v", e, ok)
		}
	}
}

func labels(tenant, app string) map[string]string {
	return map[string]string{"tenant_id": tenant, "app": app}
}

// following waits until Loki's tail is joined: the fake sends no ping, so that takes a second and a half.
func (g *gateway) following(s *sse, app string) {
	g.Helper()
	g.loki.Push(lokitest.Lines(labels("alpha", app), now, "joined"))
	if got := s.texts(1); got[0] != "joined" {
		g.Fatalf("got %v", got)
	}
}

// TestTailShowsOwnLinesOnly guarantees that a tail begins with the newest lines and goes on with those that
// arrive, all of the caller's tenant; that Last-Event-ID goes on where it ended; and the headers that keep
// proxies from holding it back.
func TestTailShowsOwnLinesOnly(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	s := g.tail(alphaToken, "", "query", `{app=~"api|live"}`, "limit", "1")
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", "Cache-Control": "no-store",
	} {
		if got := s.response.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := s.texts(1); got[0] != `{"level":"warn","msg":"alpha two"}` {
		t.Fatalf("got %v", got)
	}
	g.following(s, "live")
	g.loki.Push(
		lokitest.Lines(labels("beta", "live"), now.Add(time.Second), "beta's"),
		lokitest.Lines(labels("alpha", "live"), now.Add(time.Second), "alpha's"),
		lokitest.Lines(map[string]string{"app": "live"}, now.Add(time.Second), "nobody's"),
	)
	if got := s.texts(1); got[0] != "alpha's" {
		t.Fatalf("got %v", got)
	}
	s.quiet()
	s.leave()
	for _, q := range g.loki.Tails() {
		if !strings.HasPrefix(q, `{tenant_id="alpha",`) {
			t.Errorf("Loki got a request to tail %s", q)
		}
	}
	// While nobody listens; one of them in the nanosecond of the last one seen.
	g.loki.Add(
		lokitest.Lines(labels("alpha", "live"), now.Add(time.Second), "missed at the same time"),
		lokitest.Lines(labels("alpha", "live"), now.Add(2*time.Second), "missed"),
		lokitest.Lines(labels("beta", "live"), now.Add(2*time.Second), "beta's again"),
	)
	s = g.tail(alphaToken, s.last, "query", `{app=~"api|live"}`)
	if got := s.texts(2); !slices.Equal(got, []string{"missed at the same time", "missed"}) {
		t.Errorf("got %v", got)
	}
	s.quiet()
}

// TestTailBeforeAnyLine guarantees that who has seen no line yet can go on without losing one either.
func TestTailBeforeAnyLine(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	s := g.tail(alphaToken, "", "query", `{app="new"}`, "limit", "1")
	s.quiet()
	s.leave()
	if s.last == "" {
		t.Fatal("no id")
	}
	g.loki.Add(lokitest.Lines(labels("alpha", "new"), now.Add(time.Second), "one", "two"))
	if got := g.tail(alphaToken, s.last, "query", `{app="new"}`, "limit", "1").texts(2); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("got %v", got)
	}
}

// TestTailTellsDrops guarantees that what Loki says it dropped is told.
func TestTailTellsDrops(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	s := g.tail(alphaToken, "", "query", `{app="live"}`)
	g.following(s, "live")
	g.loki.Drop(lokitest.Lines(labels("alpha", "live"), now, "a", "b"))
	for {
		e, ok := s.next()
		if !ok {
			t.Fatal("no more events")
		}
		if e.name == "" {
			continue
		}
		if e.name != "dropped" || e.data != `{"count":2,"slow_reader":0,"loki":2}` {
			t.Errorf("got %+v", e)
		}
		return
	}
}

// end reads to the end, and gives why.
func (s *sse) end() (reason string) {
	s.Helper()
	for {
		e, ok := s.next()
		if !ok {
			s.Fatal("the response ended without an end event")
		}
		if e.name == "end" {
			var why struct{ Reason, Detail string }
			if err := json.Unmarshal([]byte(e.data), &why); err != nil || why.Detail == "" {
				s.Fatalf("%v in %s", err, e.data)
			}
			if e, ok := s.next(); ok {
				s.Errorf("after the end: %+v", e)
			}
			return why.Reason
		}
	}
}

// expiring is an option by which alpha's token expires a while after a tail has begun.
func expiring(c *Config, _ *loki.Config) {
	who := everybody()
	p, _ := who[alphaToken].(auth.Principal)
	p.Expiry = now.Add(3 * time.Second)
	who[alphaToken] = p
	c.Verifier = who
}

// TestTailEndsVisibly guarantees that each end of a tail says why by an event, and that a WebSocket ends without a close
// frame, after its last frame: Loki's clients reconnect after nothing else.
func TestTailEndsVisibly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, reason string
		option       option
		end          func(g *gateway)
	}{
		{"the token expires", "token_expired", expiring, func(*gateway) {}},
		{"the server stops", "server_shutdown", nil, func(g *gateway) { g.server.Drain(g.Context()) }},
		{"Loki refuses to go on", "loki_unavailable", nil, func(g *gateway) {
			g.loki.Instead(lokitest.Fail(http.StatusBadRequest, "the query is too wide by now"))
			g.loki.CloseTails()
		}},
	} {
		var options []option
		if tt.option != nil {
			options = append(options, tt.option)
		}
		t.Run(tt.name+"/events", func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, options...)
			s := g.tail(alphaToken, "", "query", `{app="api"}`)
			s.texts(2)
			go tt.end(g)
			if reason := s.end(); reason != tt.reason {
				t.Errorf("got %s", reason)
			}
		})
		t.Run(tt.name+"/WebSocket", func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, options...)
			conn := g.dial(alphaToken, nil, "query", `{app="api"}`)
			if _, _, err := conn.Read(t.Context()); err != nil {
				t.Fatal(err)
			}
			go tt.end(g)
			var err error
			for err == nil {
				_, _, err = conn.Read(t.Context())
			}
			if code := websocket.CloseStatus(err); code != -1 || !errors.Is(err, io.EOF) {
				t.Errorf("got %v, want the end of the connection", err)
			}
		})
	}
}

// dial opens Loki's tail.
func (g *gateway) dial(token string, header http.Header, params ...string) *websocket.Conn {
	g.Helper()
	conn, response, err := g.tryDial(token, header, params...)
	if err != nil {
		text, _ := io.ReadAll(response.Body)
		g.Fatalf("%v: %s", err, text)
	}
	g.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func (g *gateway) tryDial(token string, header http.Header, params ...string) (*websocket.Conn, *http.Response, error) {
	g.Helper()
	r := g.request(http.MethodGet, "/loki/api/v1/tail", params...)
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return websocket.Dial(g.Context(), r.URL.String(), &websocket.DialOptions{HTTPHeader: r.Header, HTTPClient: &http.Client{Transport: g.transport()}})
}

// TestLokiTailIsLokis guarantees the frames of Loki's own protocol, with all labels on the stream unless the
// client wants them apart.
func TestLokiTailIsLokis(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.loki.Add(lokitest.Stream{Labels: labels("alpha", "meta"), Entries: []lokitest.Entry{
		{Time: now.Add(-time.Second), Line: `k="<v>"`, Metadata: map[string]string{"trace": "t"}},
	}})
	for header, want := range map[string]string{
		"": `{"streams":[{"stream":{"app":"meta","k":"<v>","tenant_id":"alpha","trace":"t"},` +
			`"values":[["1772366399000000000","k=\"<v>\""]]}]}`,
		"categorize-labels": `{"streams":[{"stream":{"app":"meta","tenant_id":"alpha"},` +
			`"values":[["1772366399000000000","k=\"<v>\"",{"structuredMetadata":{"trace":"t"},"parsed":{"k":"<v>"}}]]}],"encodingFlags":["categorize-labels"]}`,
	} {
		h := http.Header{}
		if header != "" {
			h.Set("X-Loki-Response-Encoding-Flags", header)
		}
		conn := g.dial(alphaToken, h, "query", `{app="meta"} | logfmt`, "delay_for", "0", "limit", "30", "start", "1772362800000000000")
		_, got, err := conn.Read(t.Context())
		if err != nil || string(got) != want {
			t.Errorf("%q: %v\ngot  %s\nwant %s", header, err, got, want)
		}
	}
}

// TestLokiTailChecksOrigins guarantees that pages of no other origins than those named open a tail, and
// clients that are no browsers do.
func TestLokiTailChecksOrigins(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *Config, _ *loki.Config) { c.CORSOrigins = []string{"https://logs.example"} })
	for origin, want := range map[string]int{
		"": 101, "https://logs.example": 101, "https://evil.example": 403, "http://logs.example": 403, "null": 403,
		"https://logs.example.evil": 403, "own": 101,
	} {
		h := http.Header{}
		if origin == "own" {
			origin = g.url
		}
		if origin != "" {
			h.Set("Origin", origin)
		}
		conn, response, err := g.tryDial(alphaToken, h, "query", `{app="api"}`)
		if err == nil {
			_ = conn.CloseNow()
		}
		if response.StatusCode != want {
			t.Errorf("%q: got %d, want %d", origin, response.StatusCode, want)
		}
	}
}

// TestLokiTailOfLibraries guarantees that a library that sends the server's own address as the origin opens a tail, and
// a page of that origin does not: what only browsers send gives it away.
func TestLokiTailOfLibraries(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	own := g.url
	for _, tt := range []struct {
		origin, extra string
		want          int
	}{
		{own, "", 101},
		{strings.ToUpper(own), "", 101},
		{own + "0", "", 403},
		{own, "Cookie: a=b", 403},
		{own, "Sec-Fetch-Site: same-origin", 403},
		{own, "Sec-Fetch-Mode: websocket", 403},
		{"http://evil.example", "", 403},
		{"null", "", 403},
		{"", "", 101},
	} {
		h := http.Header{}
		if tt.origin != "" {
			h.Set("Origin", tt.origin)
		}
		if name, value, ok := strings.Cut(tt.extra, ": "); ok {
			h.Set(name, value)
		}
		conn, response, err := g.tryDial(alphaToken, h, "query", `{app="api"}`)
		if err == nil {
			_ = conn.CloseNow()
		}
		if response.StatusCode != tt.want {
			t.Errorf("%q %s: got %d, want %d", tt.origin, tt.extra, response.StatusCode, tt.want)
		}
	}
}

// TestTailFromNow guarantees that a client whose clock is ahead of ours by seconds tails from now on.
func TestTailFromNow(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	ahead := now.Add(200 * time.Millisecond).Format(time.RFC3339Nano)
	g.dial(alphaToken, nil, "query", `{app="api"}`, "start", ahead)
	g.tail(alphaToken, "", "query", `{app="api"}`, "start", ahead)
}

// TestTailHonoursLeeway guarantees that a token which every other operation still accepts opens a tail.
func TestTailHonoursLeeway(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *Config, _ *loki.Config) {
		who := everybody()
		p, _ := who[alphaToken].(auth.Principal)
		p.Expiry = now.Add(-24 * time.Second)
		who[alphaToken] = p
		c.Verifier, c.Leeway = who, 30*time.Second
	})
	g.dial(alphaToken, nil, "query", `{app="api"}`)
	g.tail(alphaToken, "", "query", `{app="api"}`)
}

// TestLokiTailTakesWholeHandshakes guarantees that what is no handshake of a WebSocket is told so, and that
// no tail is opened for it.
func TestLokiTailTakesWholeHandshakes(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for name, spoil := range map[string]func(http.Header){
		"no upgrade":         func(h http.Header) { h.Del("Upgrade") },
		"another protocol":   func(h http.Header) { h.Set("Upgrade", "h2c") },
		"no connection":      func(h http.Header) { h.Del("Connection") },
		"no version":         func(h http.Header) { h.Del("Sec-WebSocket-Version") },
		"an older version":   func(h http.Header) { h.Set("Sec-WebSocket-Version", "8") },
		"a list of versions": func(h http.Header) { h.Set("Sec-WebSocket-Version", "13, 8") },
		"two versions":       func(h http.Header) { h["Sec-Websocket-Version"] = []string{"8", "13"} },
		"no key":             func(h http.Header) { h.Del("Sec-WebSocket-Key") },
		"two keys":           func(h http.Header) { h.Add("Sec-WebSocket-Key", h.Get("Sec-WebSocket-Key")) },
		"a short key":        func(h http.Header) { h.Set("Sec-WebSocket-Key", "c2hvcnQ=") },
		"a key not encoded":  func(h http.Header) { h.Set("Sec-WebSocket-Key", "!") },
	} {
		r := g.request(http.MethodGet, "/loki/api/v1/tail", "query", `{app="api"}`)
		asWebSocket(r)
		spoil(r.Header)
		if a := g.send(alphaToken, r); a.StatusCode != http.StatusUpgradeRequired || a.err != nil {
			t.Errorf("%s: %d %q %v", name, a.StatusCode, a.text, a.err)
		}
	}
	if n := len(g.loki.Requests()); n > 0 {
		t.Errorf("%d requests arrived at Loki", n)
	}
}

// TestTailRefusals guarantees that what is wrong is told before anything is opened.
func TestTailRefusals(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for _, tt := range []struct {
		params []string
		status int
		code   string
	}{
		{[]string{"query", `count_over_time({app="api"}[1m])`}, 400, "kind_wrong"},
		{[]string{"query", `{app="api"`}, 400, "query_invalid"},
		{[]string{"query", `{app="api"}`, "delay_for", "6"}, 400, "parameter_invalid"},
		{[]string{"query", `{app="api"}`, "start", "2030-01-01T00:00:00Z"}, 400, "parameter_invalid"},
		{[]string{"query", `{app="api"}`, "start", now.Add(11 * time.Second).Format(time.RFC3339Nano)}, 400, "parameter_invalid"},
		{[]string{"query", `{app="api"}`, "limit", "1001"}, 422, "too_many_lines"},
		{[]string{"query", `{app="api"}`, "start", "2020-01-01T00:00:00Z"}, 422, "query_too_wide"},
		{[]string{"query", `{app="api"}`, "end", "2020-01-01T00:00:00Z"}, 400, "parameter_invalid"},
	} {
		a := g.get(alphaToken, "/api/v1/logs/tail", tt.params...)
		if a.StatusCode != tt.status || !strings.Contains(a.text, `"`+tt.code+`"`) {
			t.Errorf("%v: got %d %s", tt.params, a.StatusCode, a.text)
		}
	}
	for _, id := range []string{"x", "5", "5-A", "1772366399000000000-AAAAAAAAA"} {
		r := g.request(http.MethodGet, "/api/v1/logs/tail", "query", `{app="api"}`)
		r.Header.Set("Last-Event-ID", id)
		if a := g.send(alphaToken, r); a.StatusCode != http.StatusBadRequest {
			t.Errorf("Last-Event-ID %q: got %d %s", id, a.StatusCode, a.text)
		}
	}
	if n := len(g.loki.Requests()); n > 0 {
		t.Errorf("Loki got %d requests", n)
	}
}

// TestTailsPerTenant guarantees that a tenant's tails are counted by both doors, given back when they end,
// and never another tenant's.
func TestTailsPerTenant(t *testing.T) { inBubble(t, testTailsPerTenant) }

func testTailsPerTenant(g *gateway) {
	var open []*sse
	for range 3 {
		open = append(open, g.tail(alphaToken, "", "query", `{app="api"}`))
	}
	g.dial(alphaToken, nil, "query", `{app="api"}`)
	if a := g.get(alphaToken, "/api/v1/logs/tail", "query", `{app="api"}`); a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" || !strings.Contains(a.text, "too_many_tails") {
		g.Errorf("a fifth: %d %s", a.StatusCode, a.text)
	}
	if _, response, err := g.tryDial(alphaToken, nil, "query", `{app="api"}`); err == nil || response.StatusCode != http.StatusTooManyRequests {
		g.Errorf("a fifth WebSocket: %v", err)
	}
	g.tail(betaToken, "", "query", `{app="api"}`)
	open[0].leave()
	synctest.Wait()
	if a := g.get(alphaToken, "/api/v1/logs/tail", "query", `{app="api"}`); a.StatusCode != http.StatusOK {
		g.Errorf("after one has ended: %d %s", a.StatusCode, a.text)
	}
}

// TestStalledClientsAreCutOff guarantees that a client that stops reading holds neither its tail nor its
// place, by either door.
func TestStalledClientsAreCutOff(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("x", 200_000)
	for name, open := range map[string]func(g *gateway){
		"events": func(g *gateway) { g.following(g.tail(alphaToken, "", "query", `{app="live"}`), "live") },
		"WebSocket": func(g *gateway) {
			conn := g.dial(alphaToken, nil, "query", `{app="live"}`)
			g.loki.Push(lokitest.Lines(labels("alpha", "live"), now, "joined"))
			if _, _, err := conn.Read(g.Context()); err != nil {
				g.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(g *gateway) {
				open(g)
				// It reads no more.
				for range 10 {
					g.loki.Push(lokitest.Lines(labels("alpha", "live"), now, line, line, line, line))
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if tails := g.loki.Tails(); len(tails) != 0 {
					g.Errorf("%d tails are open", len(tails))
				}
			}, func(c *Config, _ *loki.Config) { c.ClientTimeout = 300 * time.Millisecond })
		})
	}
}

// TestTailsLeaveNothing guarantees that nothing runs on after clients have left and the server has drained,
// and that a server that drains opens no more.
func TestTailsLeaveNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Run("", func(t *testing.T) {
		g := newGateway(t)
		s := g.tail(alphaToken, "", "query", `{app="api"}`)
		s.texts(2)
		conn := g.dial(alphaToken, nil, "query", `{app="api"}`)
		s.leave()
		_ = conn.Close(websocket.StatusNormalClosure, "")
		g.server.Drain(t.Context())
		if a := g.get(alphaToken, "/api/v1/logs/tail", "query", `{app="api"}`); a.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("while it drains: %d %s", a.StatusCode, a.text)
		}
	})
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// TestTailTellsInterruptions guarantees that the end of Loki's tail is told before the next attempt, and its end after
// what was missed.
func TestTailTellsInterruptions(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	s := g.tail(alphaToken, "", "query", `{app="live"}`)
	g.following(s, "live")
	g.loki.Instead(lokitest.Fail(http.StatusServiceUnavailable, "away"))
	g.loki.CutTails()
	s.await("interrupted", `"next_try":"2026-`)
	g.loki.Add(lokitest.Lines(labels("alpha", "live"), now.Add(time.Second), "while it was away"))
	g.loki.Behave()
	if got := s.texts(1); got[0] != "while it was away" {
		t.Errorf("got %v", got)
	}
	s.await("resumed", `"lines":1,`)
	s.quiet()
}

// await reads until an event comes, past heartbeats and interruptions.
func (s *sse) await(name, part string) {
	s.Helper()
	for {
		e, ok := s.next()
		if ok && e.name == name && strings.Contains(e.data, part) {
			return
		}
		if !ok || e.name != "" && e.name != "interrupted" {
			s.Fatalf("got %+v, want %s with %s", e, name, part)
		}
	}
}

// TestTailSurvivesLoki guarantees that Loki's end in the middle loses and repeats nothing.
func TestTailSurvivesLoki(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	s := g.tail(alphaToken, "", "query", `{app="live"}`)
	g.following(s, "live")
	g.loki.CutTails()
	g.loki.Add(lokitest.Lines(labels("alpha", "live"), now.Add(time.Second), "while it was away"))
	if got := s.texts(1); got[0] != "while it was away" {
		t.Errorf("got %v", got)
	}
	s.quiet()
	s.leave()
	if _, ok := s.next(); ok {
		t.Error("the client had left")
	}
	if err := s.lines.Err(); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
