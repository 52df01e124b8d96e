package httpapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// oneConnection is a listener that has one connection.
type oneConnection struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l *oneConnection) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConnection) Close() error   { close(l.closed); return nil }
func (l *oneConnection) Addr() net.Addr { return &net.TCPAddr{} }

// dialed serves h on one connection of a bubble of synctest, and returns the client's end.
func dialed(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	l := &oneConnection{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conn <- server
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = client.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return client
}

// TestUnsentBodiesEnd guarantees for requests whose body never comes, to a handler that does not read it and
// to one that does, that they have a response, and that the connection ends with the timeout.
func TestUnsentBodiesEnd(t *testing.T) {
	const timeout = 30 * time.Second
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err == nil {
			t.Error("the body ended")
		}
		w.WriteHeader(http.StatusBadRequest)
	})
	for name, tt := range map[string]struct {
		h         http.Handler
		head      string
		responded time.Duration // at most
	}{
		"POST, not read":        {refuse, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", 0},
		"GET, not read":         {refuse, "GET /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", 0},
		"huge, not read":        {refuse, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000000\r\n\r\n", 0},
		"chunked, not read":     {refuse, "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", 0},
		"POST, read":            {read, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", timeout},
		"chunked, read":         {read, "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n", timeout},
		"unfinished chunk size": {read, "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5", timeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := dialed(t, withReadDeadlines(tt.h, timeout))
				start := time.Now()
				go func() { _, _ = io.WriteString(conn, tt.head) }()
				in := bufio.NewReader(conn)
				response, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took > tt.responded {
					t.Errorf("a response after %s", took)
				}
				if !response.Close {
					t.Error("the response does not end the connection")
				}
				if _, err := io.Copy(io.Discard, in); err != nil {
					t.Error(err)
				}
				// net/http lingers for half a second after a response that ends a connection.
				if took := time.Since(start); took > timeout+time.Second {
					t.Errorf("the connection ended after %s", took)
				}
			})
		})
	}
}

// TestReadDeadlineEndsWithTheBody guarantees that a response may take longer than the body's timeout, and
// that the connection serves another request after it.
func TestReadDeadlineEndsWithTheBody(t *testing.T) {
	const timeout = 30 * time.Second
	for name, head := range map[string]string{
		"length":  "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"chunked": "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"no body": "GET /x HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn := dialed(t, withReadDeadlines(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.ReadAll(r.Body); err != nil {
						t.Error(err)
					}
					select {
					case <-time.After(3 * timeout):
					case <-r.Context().Done():
						t.Error("the request was canceled: ", context.Cause(r.Context()))
					}
					_, _ = io.WriteString(w, "done")
				}), timeout))
				in := bufio.NewReader(conn)
				for range 2 {
					go func() { _, _ = io.WriteString(conn, head) }()
					response, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatal(err)
					}
					text, err := io.ReadAll(response.Body)
					if err != nil || string(text) != "done" || response.Close {
						t.Errorf("%s %q, %v, close %t", response.Status, text, err, response.Close)
					}
				}
			})
		})
	}
}

// TestUnsentBodiesOfStrangers guarantees the same for the gateway's own handlers, without a token, on any
// path, and for the operators' listener.
func TestUnsentBodiesOfStrangers(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	for name, h := range map[string]http.Handler{"public": g.server.Public(), "admin": g.server.Admin()} {
		for _, target := range []string{"POST /loki/api/v1/query", "GET /api/v1/logs/query", "POST /nowhere", "PUT /docs", "GET /healthz", "POST /metrics"} {
			t.Run(name+"/"+target, func(t *testing.T) {
				t.Parallel()
				client, conn := net.Pipe()
				l := &oneConnection{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
				l.conn <- conn
				s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
				go func() { _ = s.Serve(l) }()
				t.Cleanup(func() { _ = client.Close(); _ = s.Close() })
				go func() { _, _ = io.WriteString(client, target+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n") }()
				response, err := http.ReadResponse(bufio.NewReader(client), nil)
				if err != nil {
					t.Fatal(err)
				}
				if !response.Close || strings.HasPrefix(response.Status, "5") {
					t.Errorf("%s, close %t", response.Status, response.Close)
				}
			})
		}
	}
}
