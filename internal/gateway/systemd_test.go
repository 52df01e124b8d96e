package gateway

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// manager is the socket of a service manager.
func manager(t *testing.T) (received <-chan string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "logfence") // not t.TempDir(): the path of a socket has room for 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	all := make(chan string, 1000)
	go func() {
		for b := make([]byte, 1000); ; {
			n, err := socket.Read(b)
			if err != nil {
				return
			}
			all <- string(b[:n])
		}
	}()
	return all
}

// TestServiceManager guarantees that a service manager is notified when logfence listens, while /healthz responds, and when
// it begins to stop.
func TestServiceManager(t *testing.T) {
	received := manager(t)
	t.Setenv("WATCHDOG_USEC", "400000")
	ctx, signal := context.WithCancel(t.Context())
	g := &Gateway{life: &lifecycle{}, log: slog.New(slog.DiscardHandler), public: http.NotFoundHandler(), addrs: anyPorts, drain: drain{timeout: time.Minute}}
	g.admin = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			t.Errorf("the watchdog requests %s", r.URL.Path)
		}
		_, _ = io.WriteString(w, "alive")
	})
	if err := g.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	end := g.managed(ctx)
	ended := make(chan error, 1)
	go func() { ended <- g.Serve(ctx) }()
	if first := <-received; first != "READY=1" {
		t.Errorf("the first is %q", first)
	}
	if second := <-received; second != "WATCHDOG=1" {
		t.Errorf("the second is %q", second)
	}
	signal()
	for state := range received {
		if state == "STOPPING=1" {
			break
		}
		if state != "WATCHDOG=1" {
			t.Errorf("%q before STOPPING=1", state)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	end()
}

// TestWatchdogOfASickProcess guarantees that the watchdog is served only while /healthz responds.
func TestWatchdogOfASickProcess(t *testing.T) {
	t.Parallel()
	requests := make(chan struct{}, 1000)
	var sick atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if sick.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			requests <- struct{}{}
		}
	}))
	t.Cleanup(server.Close)
	ctx, stop := context.WithCancel(t.Context())
	alive, ended := make(chan struct{}, 1000), make(chan struct{})
	go func() {
		watch(ctx, server.URL, 400*time.Millisecond, func() { alive <- struct{}{} })
		close(ended)
	}()
	<-alive
	sick.Store(true)
	<-requests
	for len(alive) > 0 {
		<-alive
	}
	for range 3 {
		<-requests
	}
	stop()
	<-ended
	if len(alive) > 0 {
		t.Errorf("alive %d times while /healthz failed", len(alive))
	}
}
