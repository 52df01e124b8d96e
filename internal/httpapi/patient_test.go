package httpapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/test/bufconn"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/lokitest"
)

// pauses sends a piece of an answer, nothing for a time, and the rest.
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
			g := newGateway(t, func(c *Config, _ *loki.Config) { c.Stall, c.Heartbeat = stall, 2*stall })
			server := httptest.NewUnstartedServer(g.server.Public())
			server.EnableHTTP2 = protocol == "HTTP/2.0"
			server.StartTLS()
			t.Cleanup(server.Close)
			g.url = server.URL
			ask := func(path, query string) *bufio.Reader {
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
			if text, err := io.ReadAll(ask("/api/v1/logs/query", `{app="api"}`)); err != nil || !strings.HasSuffix(string(text), `"result":[]}}`) {
				t.Errorf("%s, %v", text, err)
			}
			g.loki.Behave()

			// A tail's: the second beat comes after the first.
			events := ask("/api/v1/logs/tail", `{app="nothing"}`)
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

// TestEveryAnswerHasItsTime guarantees that no client keeps a connection by not reading an answer, whatever
// it is, how short it may be, and whoever the client is.
func TestEveryAnswerHasItsTime(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *Config, _ *loki.Config) {
		c.Stall, c.CORSOrigins, c.Heartbeat = 50*time.Millisecond, []string{"https://logs.example"}, time.Hour
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

// TestStalledStreamsAreCutOff guarantees that in HTTP/2, too, a client that does not read an answer does not
// keep Loki at work, while the connection serves other requests.
func TestStalledStreamsAreCutOff(t *testing.T) {
	t.Parallel()
	g := newGateway(t, func(c *Config, _ *loki.Config) { c.Stall = 100 * time.Millisecond })
	server := httptest.NewUnstartedServer(g.server.Public())
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	g.url = server.URL
	lokiLeft := make(chan struct{})
	g.loki.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(lokiLeft)
		lokitest.Generate(1<<30).ServeHTTP(w, r)
	}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ask := func(path string) *http.Response {
		r := g.request(http.MethodGet, path, "query", `{app="api"}`).WithContext(ctx)
		r.Header.Set("Authorization", "Bearer "+alphaToken)
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	idle := ask("/api/v1/logs/query")
	defer idle.Body.Close()
	<-lokiLeft
	g.loki.Behave()
	other := ask("/api/v1/logs/query")
	defer other.Body.Close()
	if other.StatusCode != http.StatusOK || other.ProtoMajor != 2 {
		t.Errorf("%s %s", other.Proto, other.Status)
	}
	if _, err := io.Copy(io.Discard, idle.Body); err == nil {
		t.Error("half an answer looks whole")
	}
}
