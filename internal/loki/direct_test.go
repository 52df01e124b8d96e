package loki

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// script is a server that says word for word what it is told to: for each connection, answer by answer. Each
// is given when a request's header has come.
type script struct {
	listener net.Listener
	accepted atomic.Int32
	serving  sync.WaitGroup
}

func newScript(t *testing.T, connections ...[]string) *script {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{listener: l}
	s.serving.Go(func() {
		for _, answers := range connections {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			s.serving.Go(func() { play(conn, answers) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.serving.Wait()
	})
	return s
}

// closing at an answer's end has the server close the connection after it.
const closing = "\x00"

func play(conn net.Conn, answers []string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for _, answer := range answers {
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		text, ends := strings.CutSuffix(answer, closing)
		if _, err := io.WriteString(conn, text); err != nil || ends {
			return
		}
	}
	_, _ = io.Copy(io.Discard, in) // until the client closes it
}

func plainDirect(t *testing.T) *direct {
	t.Helper()
	d := newDirect((&Client{}).newTransport())
	t.Cleanup(d.CloseIdleConnections)
	return d
}

func (s *script) ask(ctx context.Context, t *testing.T, d *direct) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.listener.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return d.RoundTrip(r)
}

// read is an answer's body, or the error on the way to its end.
func (s *script) read(t *testing.T, d *direct) (string, error) {
	t.Helper()
	response, err := s.ask(t.Context(), t, d)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func said(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// TestDirectNeverMixesAnswers guarantees that what a server sends beyond an answer comes to nobody who asks
// next, and which connections are used again.
func TestDirectNeverMixesAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		first       string
		body        string // of the first answer; "-": it fails
		connections int32  // after the second
	}{
		{"kept", said("one"), "one", 1},
		{"kept, in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n", "one", 1},
		{"kept, no body", "HTTP/1.1 204 No Content\r\n\r\n", "", 1},
		{"kept, interim answers", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + said("one"), "one", 1},
		{"a second answer behind the first", said("one") + said("foreign"), "one", 2},
		{"a body behind none", "HTTP/1.1 204 No Content\r\n\r\n" + said("foreign"), "", 2},
		{"more than its length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none, and foreign", "one", 2},
		{"more than its chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n" + said("foreign"), "one", 2},
		{"said to close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\none", "one", 2},
		{"of HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\none", "one", 2},
		{"closed after it", said("one") + closing, "one", 2},
		{"of no length", "HTTP/1.1 200 OK\r\n\r\none" + closing, "one", 2},
		{"broken off", "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\none" + closing, "-", 2},
		{"of two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\none", "-", 2},
		{"for another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nforeign", "-", 2},
		{"nothing but interim answers", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 9), "-", 2},
		{"a header without an end", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10), "-", 2},
		{"no HTTP", "what?\r\n\r\n", "-", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, d := newScript(t, []string{tt.first, said("two")}, []string{said("two")}), plainDirect(t)
			switch body, err := s.read(t, d); {
			case tt.body == "-" && err == nil:
				t.Fatalf("the first answer is %q, and no error", body)
			case tt.body != "-" && (err != nil || body != tt.body):
				t.Fatalf("the first answer is %q, %v; want %q", body, err, tt.body)
			}
			if body, err := s.read(t, d); err != nil || body != "two" {
				t.Fatalf("the second answer is %q, %v", body, err)
			}
			if n := s.accepted.Load(); n != tt.connections {
				t.Errorf("%d connections, want %d", n, tt.connections)
			}
		})
	}
}

// TestDirectUnread guarantees that a connection whose answer was not read to its end, or whose asker left,
// is not used again.
func TestDirectUnread(t *testing.T) {
	t.Parallel()
	half := "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none"
	for _, tt := range []struct {
		name  string
		first string
		leave func(response *http.Response, cancel func())
	}{
		{"closed before it is read", said("foreign"), func(r *http.Response, _ func()) { _ = r.Body.Close() }},
		{"closed in its middle", said("foreign"), func(r *http.Response, _ func()) {
			_, _ = r.Body.Read(make([]byte, 2))
			_ = r.Body.Close()
			if n, err := r.Body.Read(make([]byte, 2)); n > 0 || err == nil {
				panic("there is more after Close")
			}
		}},
		{"its asker leaves", half, func(r *http.Response, cancel func()) {
			cancel()
			if _, err := io.ReadAll(r.Body); err == nil {
				panic("half an answer looks whole")
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, d := newScript(t, []string{tt.first, said("foreign")}, []string{said("two")}), plainDirect(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			response, err := s.ask(ctx, t, d)
			if err != nil {
				t.Fatal(err)
			}
			tt.leave(response, cancel)
			_ = response.Body.Close()
			if body, err := s.read(t, d); err != nil || body != "two" {
				t.Fatalf("the second answer is %q, %v", body, err)
			}
		})
	}
}

// TestDirectSweep guarantees that a connection that has idled for too long is closed, that one that has not is
// kept, and that a sweep may find that all idle connections were closed and others kept since it began.
func TestDirectSweep(t *testing.T) {
	t.Parallel()
	s, d := newScript(t, []string{said("one"), said("two")}, []string{said("three")}), plainDirect(t)
	want := func(body string, connections int32) {
		t.Helper()
		if got, err := s.read(t, d); err != nil || got != body || s.accepted.Load() != connections {
			t.Fatalf("got %q, %v over %d connections; want %q over %d", got, err, s.accepted.Load(), body, connections)
		}
	}
	want("one", 1)
	d.mu.Lock()
	d.sweeping.Stop()
	d.sweeping = nil // as it is when all were closed just now
	d.mu.Unlock()
	d.sweep()
	want("two", 1)
	for _, links := range d.idle {
		links[0].rests = time.Now().Add(-d.next.IdleConnTimeout)
	}
	d.sweep()
	if len(d.idle) > 0 || d.sweeping != nil {
		t.Errorf("after the sweep: %d addresses, a next sweep: %t", len(d.idle), d.sweeping != nil)
	}
	want("three", 2)
}

// TestDirectLeft guarantees that who leaves before an answer gets the reason, and at once.
func TestDirectLeft(t *testing.T) {
	t.Parallel()
	s, d := newScript(t, []string{""}), plainDirect(t)
	reason := errors.New("left")
	ctx, cancel := context.WithCancelCause(t.Context())
	a := &asking{Context: ctx, deadline: time.Now().Add(time.Minute), slow: func() {}}
	time.AfterFunc(time.Millisecond, func() { cancel(reason) })
	if _, err := s.ask(a, t, d); !errors.Is(err, reason) || a.answered.Load() {
		t.Errorf("got %v; there was an answer: %t", err, a.answered.Load())
	}
}

// TestDirectSlow guarantees that who waits for an answer learns that it lets itself be waited for, that the
// time that they have ends the waiting, and that of neither anything is left for who comes next.
func TestDirectSlow(t *testing.T) {
	t.Parallel()
	s, d := newScript(t, []string{said("one"), ""}, []string{said("two"), said("three")}), plainDirect(t)
	d.slow = time.Millisecond
	waits := func(patience time.Duration) *asking {
		return &asking{Context: t.Context(), deadline: time.Now().Add(patience), slow: func() {}}
	}
	read := func(a *asking) (string, error) {
		response, err := s.ask(a, t, d)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	if body, err := read(waits(time.Minute)); err != nil || body != "one" {
		t.Fatalf("the first answer is %q, %v", body, err)
	}
	var told atomic.Int32
	a := waits(50 * time.Millisecond)
	a.slow = func() { told.Add(1) }
	if _, err := read(a); !errors.Is(err, os.ErrDeadlineExceeded) || time.Now().Before(a.deadline) || a.answered.Load() {
		t.Errorf("no answer: %v, %s before the deadline", err, time.Until(a.deadline))
	}
	if told.Load() == 0 { // a second time it may be that the first request's timer was late
		t.Error("not told that there is no answer yet")
	}
	if body, err := read(waits(time.Minute)); err != nil || body != "two" {
		t.Errorf("the second answer is %q, %v", body, err)
	}
	for _, links := range d.idle {
		for _, l := range links {
			if l.asked.Load() != nil {
				t.Error("a connection at rest keeps who asked")
			}
			_ = l.conn.SetDeadline(longAgo) // as it is when it has rested for longer than its last request had
		}
	}
	if body, err := read(waits(time.Minute)); err != nil || body != "three" || s.accepted.Load() != 2 {
		t.Errorf("the third answer is %q, %v, over %d connections", body, err, s.accepted.Load())
	}
}

// TestDirectDial guarantees that connecting is within a request's time, whatever it waits for, such as a name.
func TestDirectDial(t *testing.T) {
	t.Parallel()
	s, d := newScript(t), plainDirect(t)
	d.dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Second):
			return nil, errors.New("waited for longer than there is time")
		}
	}
	a := &asking{Context: t.Context(), deadline: time.Now().Add(10 * time.Millisecond), slow: func() {}}
	if _, err := s.ask(a, t, d); !errors.Is(err, ErrTimeout) {
		t.Errorf("got %v", err)
	}
}

// TestDirectMany guarantees that everybody gets the answer to what they asked, however many ask over the same
// connections, and however many of them leave in the middle.
func TestDirectMany(t *testing.T) {
	t.Parallel()
	server := http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 40 { // beyond net/http's buffers, so in chunks
			_, _ = io.WriteString(w, strings.Repeat(r.URL.RawQuery+";", 20))
		}
	})}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		_ = server.Close()
		running.Wait()
	})
	d := plainDirect(t)
	var asking sync.WaitGroup
	for caller := range 16 {
		asking.Go(func() {
			for i := range 150 {
				mine := fmt.Sprintf("tenant-%d-%d", caller, i)
				ctx, cancel := context.WithCancel(t.Context())
				r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String()+"/?"+mine, nil)
				leaves := rand.IntN(3) == 0
				if leaves {
					time.AfterFunc(time.Duration(rand.IntN(300))*time.Microsecond, cancel)
				}
				response, err := d.RoundTrip(r)
				if err == nil {
					var body []byte
					body, err = io.ReadAll(response.Body)
					_ = response.Body.Close()
					if strings.Trim(strings.ReplaceAll(string(body), mine, ""), ";") != "" && err == nil {
						t.Errorf("%s got %.80s", mine, body)
					}
				}
				if err != nil && !leaves {
					t.Errorf("%s: %v", mine, err)
				}
				cancel()
			}
		})
	}
	asking.Wait()
}
