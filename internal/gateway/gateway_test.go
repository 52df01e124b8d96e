package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"testing"
	"time"
)

// anyPorts are two free ports of the loopback interface.
var anyPorts = addrs{public: "127.0.0.1:0", admin: "127.0.0.1:0"}

// startGateway serves the handler until the context ends, and gives the URL and how serving ended.
func startGateway(ctx context.Context, t *testing.T, d drain, h http.HandlerFunc) (url string, ended <-chan error) {
	t.Helper()
	g := &Gateway{life: &lifecycle{}, log: slog.New(slog.DiscardHandler), public: h, admin: http.NotFoundHandler(), addrs: anyPorts, drain: d}
	if err := g.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx) }()
	return g.PublicURL(), done
}

// getAll is the complete response.
func getAll(url string) (string, error) {
	response, err := http.Get(url)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	return string(body), errors.Join(err, response.Body.Close())
}

// TestStopLetsResponsesEnd guarantees that a response in flight when the signal arrives is sent completely.
func TestStopLetsResponsesEnd(t *testing.T) {
	ctx, signal := context.WithCancel(t.Context())
	url, ended := startGateway(ctx, t, drain{timeout: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first ")
		_ = http.NewResponseController(w).Flush()
		signal()
		<-ctx.Done()
		if r.Context().Err() != nil {
			t.Error("the signal ended a request in flight")
		}
		_, _ = io.WriteString(w, "last")
	})
	if body, err := getAll(url); err != nil || body != "first last" {
		t.Errorf("got %q, %v", body, err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
}

// TestStopTurnsAway guarantees that after the signal /readyz is told first, that connections are still
// taken while balancers learn of it, and that each is closed gracefully, after its response.
func TestStopTurnsAway(t *testing.T) {
	ctx, signal := context.WithCancel(t.Context())
	announced, learned := make(chan struct{}), make(chan time.Time)
	d := drain{timeout: time.Minute, announce: func() { close(announced) }, after: func(time.Duration) <-chan time.Time { return learned }}
	url, ended := startGateway(ctx, t, d, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })
	before, err := http.Get(url)
	if err != nil || before.Close {
		t.Fatalf("before the signal: %+v, %v", before, err)
	}
	_ = before.Body.Close()
	signal()
	<-announced
	http.DefaultClient.CloseIdleConnections() // so that the next one is new
	after, err := http.Get(url)
	if err != nil || after.StatusCode != http.StatusOK || !after.Close {
		t.Errorf("after the signal: %+v, %v", after, err)
	} else {
		_ = after.Body.Close()
	}
	close(learned)
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
	if _, err := getAll(url); err == nil {
		t.Error("it is served after the end")
	}
}

// TestStopCutsOffEndlessResponses guarantees that a response without an end, such as a tail, does not keep
// logfence from ending: its context ends, so that it can say so.
func TestStopCutsOffEndlessResponses(t *testing.T) {
	ctx, signal := context.WithCancel(t.Context())
	url, ended := startGateway(ctx, t, drain{timeout: time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		signal()
		<-r.Context().Done()
		_, _ = io.WriteString(w, "the server stops")
	})
	if body, err := getAll(url); err != nil || body != "the server stops" {
		t.Errorf("got %q, %v", body, err)
	}
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
}

// TestServeFails guarantees that a listener that breaks ends everything, with its error.
func TestServeFails(t *testing.T) {
	g := &Gateway{life: &lifecycle{}, log: slog.New(slog.DiscardHandler), public: http.NotFoundHandler(), admin: http.NotFoundHandler(), addrs: anyPorts, drain: drain{delay: time.Hour, timeout: time.Minute}}
	if err := g.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	_ = g.listeners.admin.Close()
	if err := g.Serve(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("serve: %v, want net.ErrClosed", err)
	}
}

// TestTooOld guarantees which versions of Loki are served before.
func TestTooOld(t *testing.T) {
	for _, tt := range []struct {
		version    string
		old, known bool
	}{
		{"3.7.8", false, true},
		{"v3.1.0", false, true},
		{"3.1.0-rc.1", false, true},
		{"4.0.0", false, true},
		{"10.2", false, true},
		{"3.0.1", true, true},
		{"2.9.10", true, true},
		{"1.6.1", true, true},
		{"main-1a2b3c4", false, false},
		{"k255-aaaaaaa", false, false},
		{"", false, false},
	} {
		if old, known := tooOld(tt.version); old != tt.old || known != tt.known {
			t.Errorf("tooOld(%q) = %t, %t", tt.version, old, known)
		}
	}
}

// TestBuildOf guarantees what a report of a bug needs: which build it was.
func TestBuildOf(t *testing.T) {
	got := buildOf(&debug.BuildInfo{
		GoVersion: "go1.26.5",
		Main:      debug.Module{Version: "v1.2.3"},
		Deps:      []*debug.Module{{Path: "github.com/grafana/loki/pkg/push", Version: "v9"}, {Path: syntaxModule, Version: "v3.7.8"}},
		Settings:  []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
	})
	if want := (Build{Version: "v1.2.3", Revision: "abc (modified)", Go: "go1.26.5", LogQL: "v3.7.8"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := buildOf(&debug.BuildInfo{}), (Build{"unknown", "unknown", "unknown", "unknown"}); got != want {
		t.Errorf("of nothing: got %+v, want %+v", got, want)
	}
}

// TestLocalURL guarantees that this machine reaches the URL of an address that is listened on.
func TestLocalURL(t *testing.T) {
	for _, tt := range []struct {
		addr string
		tls  bool
		want string
	}{
		{"127.0.0.1:8080", false, "http://127.0.0.1:8080"},
		{"[::]:8080", false, "http://127.0.0.1:8080"},
		{"0.0.0.0:1", true, "https://127.0.0.1:1"},
		{"[::1]:8080", false, "http://[::1]:8080"},
	} {
		addr, err := net.ResolveTCPAddr("tcp", tt.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := localURL(addr, tt.tls); got != tt.want {
			t.Errorf("localURL(%s, %t) = %s, want %s", tt.addr, tt.tls, got, tt.want)
		}
	}
}
