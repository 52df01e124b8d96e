package deploy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/logfence/logfence/internal/lokitest"
	"github.com/logfence/logfence/internal/poll"
)

// testQuery holds for a URL of some KB, too.
func (x *proxied) testQuery(t *testing.T, protocol string) {
	for _, filter := range []string{"", ` != "` + strings.Repeat("x", 6000) + `"`} {
		text, _, err := x.read(t, protocol, "/loki/api/v1/query_range", "query", `{app="shop"}`+filter, "limit", "1000")
		if err != nil || strings.Count(text, "of alpha") != 100 || strings.Contains(text, "beta") {
			t.Errorf("%v after %.200s", err, text)
		}
	}
}

// testPieces has Loki wait for the client to receive a first piece before it sends the rest.
func (x *proxied) testPieces(t *testing.T, protocol string) {
	received := make(chan struct{})
	x.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"streams","result":[`)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-received:
		case <-time.After(20 * time.Second):
			t.Error("nothing has arrived after 20 s")
		}
		_, _ = io.WriteString(w, `]}}`)
	}))
	defer x.loki.Behave()
	response, err := x.get(t, protocol, "/loki/api/v1/query_range", nil, "query", `{app="shop"}`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := response.Body.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	close(received)
	if _, err := io.ReadAll(response.Body); err != nil {
		t.Error(err)
	}
}

func (x *proxied) testLarge(t *testing.T, protocol string) {
	x.loki.Instead(lokitest.Generate(50 << 20))
	defer x.loki.Behave()
	response, err := x.get(t, protocol, "/loki/api/v1/query_range", nil, "query", `{app="shop"}`)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil || n < 50<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func (x *proxied) testEvents(t *testing.T, protocol string) {
	response, err := x.get(t, protocol, "/api/v1/logs/tail", nil, "query", `{app="shop"}`, "start", fmt.Sprint(time.Now().Add(-time.Hour).UnixNano()))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if strings.Contains(lines.Text(), "of beta") {
			t.Fatal(lines.Text())
		}
		if strings.Contains(lines.Text(), "of alpha") {
			return
		}
	}
	t.Error("the tail ended without a line")
}

func (x *proxied) testWebSocket(t *testing.T) {
	conn, response, err := websocket.Dial(t.Context(), "wss"+strings.TrimPrefix(x.url, "https")+"/loki/api/v1/tail?query=%7Bapp%3D%22shop%22%7D", &websocket.DialOptions{
		HTTPClient: x.clients["HTTP/1.1"], HTTPHeader: http.Header{"Authorization": {"Bearer " + x.token}},
	})
	if err != nil {
		t.Fatalf("%v, %v", response, err)
	}
	defer conn.CloseNow() //nolint:errcheck // it is only read
	_, message, err := conn.Read(t.Context())
	if err != nil || !strings.Contains(string(message), "of alpha") {
		t.Errorf("%v after %s", err, message)
	}
}

// testAddress forges both headers.
func (x *proxied) testAddress(t *testing.T, protocol string) {
	id := fmt.Sprintf("address-%d", time.Now().UnixNano())
	header := http.Header{"X-Forwarded-For": {"203.0.113.7"}, "Forwarded": {"for=203.0.113.9"}, "X-Request-Id": {id}}
	response, err := x.get(t, protocol, "/api/v1/logs/labels", header)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	id = response.Header.Get("X-Request-Id")
	poll.Wait(t, "the request is in the log", func() bool { return strings.Contains(x.log.String(), id) })
	for line := range strings.Lines(x.log.String()) {
		var record struct {
			Client    string
			RequestID string `json:"request_id"`
		}
		if json.Unmarshal([]byte(line), &record) == nil && record.RequestID == id && record.Client != "127.0.0.2" {
			t.Errorf("the client is %q in %s", record.Client, line)
		}
	}
}

func (x *proxied) testExport(t *testing.T, protocol string, trailers bool) {
	for _, format := range []string{"ndjson", "csv", "text"} {
		text, trailer, err := x.read(t, protocol, exportPath, "query", `{app="shop"}`, "format", format)
		if err != nil || strings.Count(text, "of alpha") != 100 || strings.Contains(text, "beta") {
			t.Errorf("%s: %v after %.200s", format, err, text)
		}
		if trailers && trailer != "100" {
			t.Errorf("%s: the trailer is %q", format, trailer)
		}
	}
}

// testLokiCut has Loki fail after an export's first page, and cut off the response to a query.
func (x *proxied) testLokiCut(t *testing.T, protocol string, hidden bool) {
	defer x.loki.Behave()
	for _, format := range []string{"csv", "text"} {
		x.loki.Instead(newTwoPages(lokitest.Fail(http.StatusInternalServerError, "gone")))
		text, trailer, err := x.read(t, protocol, exportPath, "query", `{app="shop"}`, "format", format, "since", "3h")
		if (err == nil) != hidden || trailer != "" {
			t.Errorf("%s: %v, %q after %.300s", format, err, trailer, text)
		}
	}
	x.loki.Behave()
	x.loki.CutAfter(200)
	if text, _, err := x.read(t, protocol, "/loki/api/v1/query_range", "query", `{app="shop"}`); (err == nil) != hidden || json.Valid([]byte(text)) {
		t.Errorf("query: %v after %.300s", err, text)
	}
}

// twoPages gives an export the page that has its only line, however often it is requested, and serves the later ones
// with then.
type twoPages struct {
	then http.Handler
	line time.Time
}

// newTwoPages puts the line into the first hour of an export of three.
func newTwoPages(then http.Handler) *twoPages {
	return &twoPages{then: then, line: time.Now().Add(-170 * time.Minute)}
}

func (p *twoPages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/query_range") { // a health check
		return
	}
	if start, err := strconv.ParseInt(r.FormValue("start"), 10, 64); err != nil || start > p.line.UnixNano() {
		p.then.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"tenant_id":"alpha"},"values":[["%d","first page"]]}]}}`, p.line.UnixNano())
}

// testDead has logfence's connections end as those of a killed process do, behind the first page of an export. Where the
// proxy hides that, the last record is missing.
func (x *proxied) testDead(t *testing.T, protocol string, r *relay, hidden bool) {
	defer x.loki.Behave()
	x.loki.Instead(newTwoPages(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })))
	r.killBehind("first page")
	text, trailer, err := x.read(t, protocol, exportPath, "query", `{app="shop"}`, "since", "3h", "end_record", "true")
	if (err == nil) != hidden || trailer != "" || !strings.Contains(text, "first page") || strings.Contains(text, `{"end":`) {
		t.Errorf("%v, %q after %q", err, trailer, text)
	}
}

// relay passes bytes on between a proxy and logfence until it is killed.
type relay struct {
	mu     sync.Mutex
	conns  []*net.TCPConn
	behind []byte // nil: go on
}

// start listens until the test ends; the caller connects to what is returned.
func (r *relay) start(t *testing.T) func(string) string {
	return func(upstream string) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.WithoutCancel(t.Context())
		t.Cleanup(func() { l.Close(); r.kill() })
		go func() {
			for {
				from, err := l.Accept()
				if err != nil {
					return
				}
				r.pass(ctx, from.(*net.TCPConn), upstream)
			}
		}()
		return l.Addr().String()
	}
}

func (r *relay) pass(ctx context.Context, from *net.TCPConn, upstream string) {
	to, err := (&net.Dialer{}).DialContext(ctx, "tcp", upstream)
	if err != nil {
		from.Close()
		return
	}
	r.mu.Lock()
	r.conns = append(r.conns, from, to.(*net.TCPConn))
	r.mu.Unlock()
	go r.pump(to.(*net.TCPConn), from)
	go r.pump(from, to.(*net.TCPConn))
}

// pump copies until one side ends, and passes on how it ended: a reset stays a reset.
func (r *relay) pump(to, from *net.TCPConn) {
	defer to.Close()
	for piece := make([]byte, 64<<10); ; {
		n, err := from.Read(piece)
		if _, failed := to.Write(piece[:n]); failed != nil {
			return
		}
		r.mu.Lock()
		end := r.behind != nil && bytes.Contains(piece[:n], r.behind)
		r.mu.Unlock()
		switch {
		case end:
			r.kill()
			return
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			_ = to.SetLinger(0) // it fails where the other direction has closed it
			return
		}
	}
}

// killBehind has the relay killed as soon as it has passed on a text.
func (r *relay) killBehind(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.behind = []byte(text)
}

// kill closes every connection in order, as the system does for a process that has died.
func (r *relay) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns, r.behind = nil, nil
}
