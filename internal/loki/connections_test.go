package loki_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// closing at a response's end has the server close the connection after it.
const closing = "\x00"

// scripted is a server that sends word for word what it is told to: the first query gets the first response,
// every later one the second. Health checks succeed.
type scripted struct {
	url    string
	late   chan string   // sent on the first query's connection, after its response
	closed chan struct{} // closed when the client has closed that connection
	served sync.WaitGroup

	mu          sync.Mutex
	responses   []string
	connections []int // of each query
}

func newScripted(t *testing.T, responses ...string) *scripted {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{
		url: "http://" + l.Addr().String(), late: make(chan string, 1), closed: make(chan struct{}), responses: responses,
	}
	s.served.Go(func() {
		for id := 1; ; id++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.served.Go(func() { s.serve(conn, id) })
		}
	})
	t.Cleanup(func() {
		drop(l)
		s.served.Wait()
	})
	return s
}

func (s *scripted) serve(conn net.Conn, id int) {
	defer drop(conn)
	in := bufio.NewReader(conn)
	first := false
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			break // the client has closed it
		}
		if r.URL.Path == "/ready" {
			say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		s.mu.Lock()
		s.connections = append(s.connections, id)
		response := s.responses[min(len(s.connections), len(s.responses))-1]
		first = first || len(s.connections) == 1
		s.mu.Unlock()
		text, ends := strings.CutSuffix(response, closing)
		say(conn, text)
		if ends {
			break
		}
		if len(s.late) > 0 {
			say(conn, <-s.late)
		}
	}
	if first {
		close(s.closed)
	}
}

// reused tells whether the last query came on the connection of the first.
func (s *scripted) reused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections[len(s.connections)-1] == s.connections[0]
}

// fetch sends a query and returns its response's body, or the error on the way to its end.
func fetch(ctx context.Context, t *testing.T, c *loki.Client) (string, error) {
	t.Helper()
	a, err := c.QueryRange(ctx, loki.RequestOptions{}, query(t, `{app="web"}`), rangeOf(noon))
	if err != nil {
		return "", err
	}
	defer drop(a.Body)
	body, err := io.ReadAll(a.Body)
	return string(body), err
}

const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

func complete(body string) string {
	return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", ok, len(body), body)
}

// TestResponsesAreNeverMixed guarantees that what a server sends beyond a response is never part of the next
// one, and which connections are used again.
func TestResponsesAreNeverMixed(t *testing.T) {
	t.Parallel()
	const chunked = ok + "Transfer-Encoding: chunked\r\n\r\n3\r\n{1}\r\n0\r\n\r\n"
	for _, tt := range []struct {
		name   string
		first  string
		body   string // of the first response; "-": it fails
		reused bool
	}{
		{"complete", complete("{1}"), "{1}", true},
		{"complete, in chunks", chunked, "{1}", true},
		{"no body", "HTTP/1.1 204 No Content\r\n\r\n", "-", true},
		{"interim responses", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + complete("{1}"), "{1}", true},
		{"a second response behind the first", complete("{1}") + complete("foreign"), "{1}", false},
		{"a body behind none", "HTTP/1.1 204 No Content\r\n\r\n" + complete("foreign"), "-", false},
		{"more than its length", ok + "Content-Length: 3\r\n\r\n{1}, and foreign", "{1}", false},
		{"more than its chunks", chunked + complete("foreign"), "{1}", false},
		{"marked as the last", ok + "Connection: close\r\nContent-Length: 3\r\n\r\n{1}", "{1}", false},
		{"of HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{1}", "{1}", false},
		{"closed after it", complete("{1}") + closing, "{1}", false},
		{"of no length", ok + "\r\n{1}" + closing, "-", false},
		{"cut off", ok + "Content-Length: 30\r\n\r\n{1}" + closing, "-", false},
		{"cut off in its chunks", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\n{1}\r\n" + closing, "-", false},
		{"of two lengths", ok + "Content-Length: 3\r\nContent-Length: 4\r\n\r\n{1}", "-", false},
		{"of another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nforeign", "-", false},
		{"nothing but interim responses", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 4000), "-", false},
		{"a header without an end", ok + "X: " + strings.Repeat("x", 70<<10), "-", false},
		{"no HTTP", "what?\r\n\r\n", "-", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScripted(t, tt.first, complete("{2}"))
			c := client(t, loki.Config{URL: s.url})
			switch body, err := fetch(t.Context(), t, c); {
			case tt.body == "-" && err == nil:
				t.Fatalf("the first response is %q, and no error", body)
			case tt.body != "-" && (err != nil || body != tt.body):
				t.Fatalf("the first response is %q, %v; want %q", body, err, tt.body)
			}
			if !tt.reused {
				<-s.closed // before that the race is on that docs/isolation.md describes
			}
			if body, err := fetch(t.Context(), t, c); err != nil || body != "{2}" {
				t.Errorf("the second response is %q, %v", body, err)
			}
			if s.reused() != tt.reused {
				t.Errorf("the connection was used again: %t", !tt.reused)
			}
		})
	}
}

// TestBytesOnAnIdleConnection guarantees that what comes on a connection that no request uses is read by none.
func TestBytesOnAnIdleConnection(t *testing.T) {
	t.Parallel()
	s := newScripted(t, complete("{1}"), complete("{2}"))
	c := client(t, loki.Config{URL: s.url})
	if body, err := fetch(t.Context(), t, c); err != nil || body != "{1}" {
		t.Fatalf("%q, %v", body, err)
	}
	s.late <- complete("foreign")
	if body, err := fetch(t.Context(), t, c); err != nil || body != "{2}" || !s.reused() {
		t.Fatalf("%q, %v", body, err)
	}
	<-s.closed // the second response was read to its end, and the foreign one came without a request
	if body, err := fetch(t.Context(), t, c); err != nil || body != "{2}" || s.reused() {
		t.Errorf("%q, %v, on the same connection: %t", body, err, s.reused())
	}
}

// TestAbortedConnectionsAreNotReused guarantees that the rest of a response that was not read to its end comes
// to nobody.
func TestAbortedConnectionsAreNotReused(t *testing.T) {
	t.Parallel()
	half := ok + "Content-Length: 60\r\n\r\n{1}"
	for _, tt := range []struct {
		name  string
		first string
		abort func(t *testing.T, a *loki.Response, cancel func())
	}{
		{"closed before it is read", complete("foreign"), func(*testing.T, *loki.Response, func()) {}},
		{"closed in its middle", complete("foreign"), func(t *testing.T, a *loki.Response, _ func()) {
			_, _ = a.Body.Read(make([]byte, 2))
			drop(a.Body)
			if n, err := a.Body.Read(make([]byte, 2)); n > 0 || err == nil {
				t.Error("there is more after Close")
			}
		}},
		{"its caller leaves", half, func(t *testing.T, a *loki.Response, cancel func()) {
			cancel()
			if _, err := io.ReadAll(a.Body); !errors.Is(err, context.Canceled) {
				t.Errorf("half a response ends with %v", err)
			}
		}},
		{"it times out", half, func(t *testing.T, a *loki.Response, _ func()) {
			_, err := io.ReadAll(a.Body)
			failsWith(t, err, loki.ErrTimeout)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScripted(t, tt.first, complete("{2}"))
			c := client(t, loki.Config{URL: s.url})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			a, err := c.QueryRange(ctx, loki.RequestOptions{Timeout: time.Second}, query(t, `{app="web"}`), rangeOf(noon))
			if err != nil {
				t.Fatal(err)
			}
			tt.abort(t, a, cancel)
			drop(a.Body)
			<-s.closed
			if body, err := fetch(t.Context(), t, c); err != nil || body != "{2}" || s.reused() {
				t.Errorf("the second response is %q, %v, on the same connection: %t", body, err, s.reused())
			}
		})
	}
}

// TestWithoutKeepAlives guarantees that without keep-alives no response comes to another request, whatever a
// server sends behind it, since no connection carries two.
func TestWithoutKeepAlives(t *testing.T) {
	t.Parallel()
	s := newScripted(t, complete("{m}")+complete("foreign"))
	c := client(t, loki.Config{URL: s.url, DisableKeepAlives: true})
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 25 {
				if body, err := fetch(t.Context(), t, c); err != nil || body != "{m}" {
					t.Errorf("%q, %v", body, err)
				}
			}
		})
	}
	callers.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[int]bool{}
	for _, id := range s.connections {
		if seen[id] {
			t.Errorf("connection %d carried two requests", id)
		}
		seen[id] = true
	}
	if len(seen) != 200 {
		t.Errorf("%d connections", len(seen))
	}
}

// TestManyCallers guarantees that every caller gets the response to its own request, however many share the
// connections, and however many of them leave in the middle.
func TestManyCallers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for range 40 { // beyond net/http's buffers, so in chunks
			say(w, strings.Repeat(url.QueryEscape(r.FormValue("query"))+";", 20))
		}
		say(w, "}") // as JSON ends
	}))
	t.Cleanup(server.Close)
	c := client(t, loki.Config{URL: server.URL})
	var callers sync.WaitGroup
	for caller := range 16 {
		callers.Go(func() {
			for i := range 100 {
				q := query(t, fmt.Sprintf(`{app="caller-%d-%d"}`, caller, i))
				ctx, cancel := context.WithCancel(t.Context())
				leaves := rand.IntN(3) == 0
				if leaves {
					time.AfterFunc(time.Duration(rand.IntN(300))*time.Microsecond, cancel)
				}
				var body []byte
				a, err := c.QueryRange(ctx, loki.RequestOptions{}, q, loki.RangeParams{})
				if err == nil {
					body, err = io.ReadAll(a.Body)
					drop(a.Body)
				}
				if err == nil && strings.Trim(strings.ReplaceAll(string(body), url.QueryEscape(q.LogQL()), ""), ";}") != "" {
					t.Errorf("%s got %.80s", q.LogQL(), body)
				}
				if err != nil && !leaves {
					t.Errorf("%s: %v", q.LogQL(), err)
				}
				cancel()
			}
		})
	}
	callers.Wait()
}
