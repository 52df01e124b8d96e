package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
)

// pauses sends a piece of a response, nothing for a time, and the rest.
func pauses(pause time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"streams",`)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-time.After(pause):
		case <-r.Context().Done():
			return
		}
		_, _ = io.WriteString(w, `"result":[]}}`)
	})
}

// TestQuietIsNoStall guarantees that a client has its time for each piece that there is to take, and that it
// does not run while there is nothing, in HTTP/1.1 or in HTTP/2.
func TestQuietIsNoStall(t *testing.T) {
	t.Parallel()
	const stall = 400 * time.Millisecond
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, func(c *Config, _ *loki.Config) { c.ClientTimeout, c.Heartbeat = stall, 2*stall })
			server := httptest.NewUnstartedServer(g.server.Public())
			server.EnableHTTP2 = protocol == "HTTP/2.0"
			server.StartTLS()
			t.Cleanup(server.Close)
			g.url = server.URL
			stream := func(path, query string) *bufio.Reader {
				r := g.request(http.MethodGet, path, "query", query)
				r.Header.Set("Authorization", "Bearer "+alphaToken)
				response, err := server.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = response.Body.Close() })
				if response.StatusCode != http.StatusOK || response.Proto != protocol {
					t.Fatalf("%s %s", response.Proto, response.Status)
				}
				return bufio.NewReader(response.Body)
			}

			// Loki's pause.
			g.loki.Instead(pauses(2 * stall))
			if text, err := io.ReadAll(stream("/api/v1/logs/query", `{app="api"}`)); err != nil || !strings.HasSuffix(string(text), `"result":[]}}`) {
				t.Errorf("%s, %v", text, err)
			}
			g.loki.Behave()

			// A tail's: the second beat comes after the first.
			events := stream("/api/v1/logs/tail", `{app="nothing"}`)
			for beats := 0; beats < 3; {
				line, err := events.ReadString('\n')
				if err != nil {
					t.Fatalf("after %d beats: %v", beats, err)
				}
				if strings.HasPrefix(line, ":") {
					beats++
				}
			}
		})
	}
}

// TestEveryResponseHasADeadline guarantees that no client keeps a connection by not reading a response, whatever
// it is, how short it may be, and whatever the client is.
func TestEveryResponseHasADeadline(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *Config, _ *loki.Config) {
		c.ClientTimeout, c.CORSOrigins, c.Heartbeat = 50*time.Millisecond, []string{"https://logs.example"}, time.Hour
	})
	authorized := "Host: x\r\nAuthorization: Bearer " + alphaToken + "\r\n"
	for name, request := range map[string]string{
		"query":        "GET /api/v1/logs/query?query=%7B%7D HTTP/1.1\r\n" + authorized,
		"labels":       "GET /api/v1/logs/labels HTTP/1.1\r\n" + authorized,
		"export":       "GET /api/v1/logs/export?query=%7B%7D HTTP/1.1\r\n" + authorized,
		"tail":         "GET /api/v1/logs/tail?query=%7B%7D HTTP/1.1\r\n" + authorized,
		"unauthorized": "GET /api/v1/logs/query?query=%7B%7D HTTP/1.1\r\nHost: x\r\n",
		"not found":    "GET / HTTP/1.1\r\nHost: x\r\n",
		"not allowed":  "DELETE /api/v1/logs/query HTTP/1.1\r\nHost: x\r\n",
		"preflight":    "OPTIONS /api/v1/logs/query HTTP/1.1\r\nHost: x\r\nOrigin: https://logs.example\r\nAccess-Control-Request-Method: GET\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan struct{})
			server := &http.Server{
				Handler: g.server.Public(), ReadHeaderTimeout: time.Minute,
				ConnState: func(_ net.Conn, s http.ConnState) {
					if s == http.StateClosed {
						close(ended)
					}
				},
			}
			l := bufconn.Listen(1) // byte: what nobody reads is not written
			served := make(chan error)
			go func() { served <- server.Serve(l) }()
			here, err := l.DialContext(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(here, request+"\r\n"); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("the connection is held")
			}
			_ = here.Close()
			_ = server.Close()
			if err := <-served; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		})
	}
}

// TestStalledStreamsAreCutOff guarantees that in HTTP/2, too, a client that does not read a response does not
// keep Loki at work, while the connection serves other requests.
func TestStalledStreamsAreCutOff(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *Config, _ *loki.Config) { c.ClientTimeout = 100 * time.Millisecond })
	server := httptest.NewUnstartedServer(g.server.Public())
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	g.url = server.URL
	lokiLeft := make(chan struct{})
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(lokiLeft)
		r.Header.Del("Accept-Encoding") // compressed, it would be much of this to fill the connection
		lokitest.Generate(1<<30).ServeHTTP(w, r)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	get := func(path string) *http.Response {
		r := g.request(http.MethodGet, path, "query", `{app="api"}`).WithContext(ctx)
		r.Header.Set("Authorization", "Bearer "+alphaToken)
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	idle := get("/api/v1/logs/query")
	defer idle.Body.Close()
	<-lokiLeft
	g.loki.Behave()
	other := get("/api/v1/logs/query")
	defer other.Body.Close()
	if other.StatusCode != http.StatusOK || other.ProtoMajor != 2 {
		t.Errorf("%s %s", other.Proto, other.Status)
	}
	if _, err := io.Copy(io.Discard, idle.Body); err == nil {
		t.Error("half a response looks complete")
	}
}

// TestSteadyClientsAreServed guarantees that a client which reads slowly and steadily has a response in full, however long one write of it
// is, and that one which stops reading is disconnected as too slow, over HTTP and on a hijacked connection.
func TestSteadyClientsAreServed(t *testing.T) {
	const timeout, size = 30 * time.Second, 1 << 20
	write := func(w io.Writer) error {
		_, err := w.Write(make([]byte, size))
		return err
	}
	over := map[string]func(http.ResponseWriter) error{
		"HTTP": func(w http.ResponseWriter) error { return write(w) },
		"hijacked": func(w http.ResponseWriter) error {
			gate := &auditGate{ResponseWriter: w, begin: func() error { return nil }, timeout: timeout}
			conn, _, err := gate.Hijack()
			if err != nil {
				return err
			}
			_ = write(conn)
			return errors.Join(gate.outcome(nil), conn.Close())
		},
	}
	for name, respond := range over {
		for reads, want := range map[int]error{size: nil, size / 2: errTooSlow} {
			t.Run(fmt.Sprint(name, " ", reads), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ended := make(chan error, 1)
					conn := dialed(t, withWriteDeadlines(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						w.Header().Set("Content-Length", strconv.Itoa(size))
						ended <- respond(w)
					}), timeout))
					if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
						t.Fatal(err)
					}
					for read, piece := 0, make([]byte, 4<<10); read < reads; {
						n, err := conn.Read(piece)
						if err != nil {
							t.Fatalf("after %d bytes: %v", read, err)
						}
						read += n
						time.Sleep(timeout / 10) // of the bubble's clock
					}
					if want == nil {
						go func() { _, _ = io.Copy(io.Discard, conn) }() // the header comes on top
					}
					if err := <-ended; !errors.Is(err, want) {
						t.Errorf("got %v, want %v", err, want)
					}
				})
			})
		}
	}
}

// TestTooSlowIsTheClients guarantees that a client which is disconnected as too slow, or has left, is recorded as that and not as an internal
// error, whatever the response is.
func TestTooSlowIsTheClients(t *testing.T) {
	for name, path := range map[string]string{
		"query": "/api/v1/logs/query?query=%7B%7D", "export": "/api/v1/logs/export?query=%7B%7D", "lines": "/api/v1/logs/lines?query=%7B%7D",
		"tail": "/api/v1/logs/tail?query=%7B%7D", "websocket": "/loki/api/v1/tail?query=%7B%7D",
	} {
		for _, leaves := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", leaves: ", leaves), func(t *testing.T) {
				inBubble(t, func(g *gateway) { testTooSlow(g, path, leaves) }, func(c *Config, _ *loki.Config) { c.Heartbeat = time.Second })
			})
		}
	}
}

func testTooSlow(g *gateway, path string, leaves bool) {
	if !strings.Contains(path, "tail") {
		g.loki.Instead(lokitest.Generate(1 << 20))
	}
	conn := dialed(g.T, g.server.Public())
	head := "GET " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + alphaToken + "\r\n"
	if strings.Contains(path, "/loki/") {
		head += "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		g.Fatal(err)
	}
	for header, piece := "", make([]byte, 1); !strings.HasSuffix(header, "\r\n\r\n"); header += string(piece) {
		if _, err := conn.Read(piece); err != nil {
			g.Fatal(err)
		}
	}
	want := `"status":499,"code":"client_too_slow"`
	if leaves {
		_ = conn.Close()
		want = `"code":"client_closed_request"`
		if strings.Contains(path, "tail") {
			want = `"operation"` // every tail ends with its client
		}
	}
	time.Sleep(5 * DefaultClientTimeout) // of the bubble's clock
	synctest.Wait()
	if got := g.log.String(); !strings.Contains(got, want) || strings.Contains(got, `"code":"internal"`) {
		g.Errorf("the log lacks %s:\n%s", want, got)
	}
}

// deadlines notes the write deadlines that are set.
type deadlines struct {
	http.ResponseWriter

	set []time.Duration // from now; 0: cleared
}

func (d *deadlines) FlushError() error { return nil }

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		d.set = append(d.set, 0)
	} else {
		d.set = append(d.set, time.Until(t))
	}
	return nil
}

// TestWriteDeadlines guarantees that each write has the timeout at least, that the deadline is renewed once in
// a quarter of it, and that in HTTP/2 there is none while nothing is to be read.
func TestWriteDeadlines(t *testing.T) {
	t.Parallel()
	const timeout, most = 40 * time.Second, 50 * time.Second
	for protocol, want := range map[int][]time.Duration{
		1: {most, most, most},
		2: {most, most, 0, most},
	} {
		synctest.Test(t, func(t *testing.T) {
			noted := &deadlines{ResponseWriter: httptest.NewRecorder()}
			h := withWriteDeadlines(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for range 2 { // the second is within a quarter
					_, _ = io.WriteString(w, "piece")
					time.Sleep(timeout/4 - 1) // of the bubble's clock
				}
				_, _ = io.WriteString(w, "piece")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(timeout)
			}), timeout)
			h.ServeHTTP(noted, &http.Request{ProtoMajor: protocol})
			if !slices.Equal(noted.set, want) {
				t.Errorf("HTTP/%d: %v, want %v", protocol, noted.set, want)
			}
		})
	}
}

// TestStalledResponsesAreTimeouts guarantees that a response of Loki's which stalls is reported as a time-out
// where lines are decoded, too, wherever it stalls.
func TestStalledResponsesAreTimeouts(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(_ *Config, l *loki.Config) { l.Timeout = 50 * time.Millisecond }, withLimits(t, func(c *limits.Config) { c.Timeout = 50 * time.Millisecond }))
	for _, text := range []string{
		`{`, `{"status":"success","data":{"resultType":"streams","result":[`,
		`{"status":"success","data":{"resultType":"streams","result":[]`,
	} {
		g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))
		for path, parameters := range map[string][]string{
			"/api/v1/logs/context": {"stream", `{app="api"}`, "timestamp", "2026-01-31T12:00:00Z"},
			"/api/v1/logs/export":  {"query", `{app="api"}`},
		} {
			r := g.request(http.MethodGet, path, parameters...)
			r.Header.Set("Authorization", "Bearer "+alphaToken)
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if err != nil || response.StatusCode != http.StatusGatewayTimeout || !strings.Contains(string(body), `"loki_timeout"`) {
				t.Errorf("%s after %s: %s %s %v", path, text, response.Status, body, err)
			}
		}
	}
}
