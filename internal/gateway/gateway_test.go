package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/loki"
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

// TestVersionWarning guarantees which Lokis are refused, and which are served with a warning, since isolation is not tested with them.
func TestVersionWarning(t *testing.T) {
	for _, tt := range []struct{ version, warning, refused string }{
		{"3.7.8", "", ""},
		{"v3.1.0", "", ""},
		{"3.1.0-rc.1", "", ""},
		{"3.8.0", "Loki is 3.8.0; logfence's isolation is tested with 3.1 to 3.7", ""},
		{"4.0.0", "Loki is 4.0.0; logfence's isolation is tested with 3.1 to 3.7", ""},
		{"10.2", "Loki is 10.2; logfence's isolation is tested with 3.1 to 3.7", ""},
		{"3.0.1", "", "the Loki at LOGFENCE_LOKI_URL is 3.0.1; 3.1 or newer is needed"},
		{"2.9.10", "", "the Loki at LOGFENCE_LOKI_URL is 2.9.10; 3.1 or newer is needed"},
		{"main-1a2b3c4", `Loki's version "main-1a2b3c4" is not a release; logfence's isolation is tested with 3.1 to 3.7`, ""},
		{"", `Loki's version "" is not a release; logfence's isolation is tested with 3.1 to 3.7`, ""},
	} {
		warning, err := versionWarning(tt.version)
		refused := ""
		if err != nil {
			refused = err.Error()
		}
		if warning != tt.warning || refused != tt.refused {
			t.Errorf("%q: %q, %q", tt.version, warning, refused)
		}
	}
}

// TestLokiTestedOnly guarantees that with this setting logfence starts in front of a Loki that is tested, and of no other.
func TestLokiTestedOnly(t *testing.T) {
	for _, tt := range []struct {
		version       string
		warns, starts bool // starts with the setting
	}{{"3.7.8", false, true}, {"4.0.0", true, false}, {"", true, false}} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if tt.version == "" {
				w.WriteHeader(http.StatusServiceUnavailable) // it is starting
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"version":"`+tt.version+`"}`)
		}))
		client, err := loki.New(loki.Config{URL: server.URL})
		if err != nil {
			t.Fatal(err)
		}
		for _, only := range []bool{false, true} {
			warning, reached, err := checkLoki(t.Context(), client, only, slog.New(slog.DiscardHandler))
			if reached != (tt.version != "") {
				t.Errorf("%q: reached %t", tt.version, reached)
			}
			if starts := !only || tt.starts; (err == nil) != starts || starts && (warning != "") != tt.warns {
				t.Errorf("%q, tested only %t: %q, %v", tt.version, only, warning, err)
			}
		}
		client.Close()
		server.Close()
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
