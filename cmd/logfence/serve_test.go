package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/config"
)

// startGateway serves the handler until the context ends, and gives the URL and how serving ended.
func startGateway(ctx context.Context, t *testing.T, d drain, h http.HandlerFunc) (url string, ended <-chan error) {
	t.Helper()
	l, err := listen(ctx, "127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{log: slog.New(slog.DiscardHandler), public: h, admin: http.NotFoundHandler(), drain: d}
	done := make(chan error, 1)
	go func() { done <- g.serve(ctx, l) }()
	return "http://" + l.public.Addr().String(), done
}

// getAll is the whole answer.
func getAll(url string) (string, error) {
	response, err := http.Get(url)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	return string(body), errors.Join(err, response.Body.Close())
}

// TestStopLetsAnswersEnd guarantees that an answer under way when the signal comes is sent whole.
func TestStopLetsAnswersEnd(t *testing.T) {
	ctx, signal := context.WithCancel(t.Context())
	url, ended := startGateway(ctx, t, drain{timeout: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first ")
		_ = http.NewResponseController(w).Flush()
		signal()
		<-ctx.Done()
		if r.Context().Err() != nil {
			t.Error("the signal ended a request under way")
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
// taken while balancers learn of it, and that each is closed politely, after its answer.
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
		t.Error("it is answered after the end")
	}
}

// TestStopCutsOffEndlessAnswers guarantees that an answer without an end, such as a tail, does not keep
// logfence from ending: its context ends, so that it can say so.
func TestStopCutsOffEndlessAnswers(t *testing.T) {
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
	l, err := listen(t.Context(), "127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.admin.Close()
	g := &gateway{log: slog.New(slog.DiscardHandler), public: http.NotFoundHandler(), admin: http.NotFoundHandler(), drain: drain{delay: time.Hour, timeout: time.Minute}}
	if err := g.serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
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

// TestPrintVersion guarantees what a report of a bug needs: which build it was.
func TestPrintVersion(t *testing.T) {
	var out bytes.Buffer
	info := &debug.BuildInfo{
		GoVersion: "go1.26.5",
		Main:      debug.Module{Version: "v1.2.3"},
		Deps:      []*debug.Module{{Path: "github.com/grafana/loki/pkg/push", Version: "v9"}, {Path: syntaxModule, Version: "v3.7.8"}},
		Settings:  []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
	}
	if err := printVersion(&out, buildOf(info)); err != nil {
		t.Fatal(err)
	}
	want := "logfence v1.2.3\nrevision abc (modified)\ngo       go1.26.5\nlogql    Loki v3.7.8\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// TestDemoEnvironment guarantees that the demo's own Loki and issuer are used whatever is set outside,
// and that the rest of what is set outside holds.
func TestDemoEnvironment(t *testing.T) {
	outside := []string{
		"LOGFENCE_LOKI_URL=https://production", "LOGFENCE_JWT_KEYS_FILE=/production.pem", "LOGFENCE_JWT_ISSUER=https://production",
		"LOGFENCE_LOG_FORMAT=json", "LOGFENCE_MAX_LINES=7",
	}
	own := demoSettings{loki: "http://127.0.0.1:1", issuer: "http://127.0.0.1:2", jwks: "http://127.0.0.1:2/jwks.json"}
	env := own.environment(slices.Clone(outside), "127.0.0.1:8080", "127.0.0.1:9090")
	c, err := config.Load(env, "")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.Join(env, " "), "production") {
		t.Errorf("what is set outside reached the demo: %q", env)
	}
	if c.Loki.URL != "http://127.0.0.1:1" || c.Auth.Issuers[0].URL != "http://127.0.0.1:2" || c.Addr != "127.0.0.1:8080" ||
		c.LogFormat != "json" || c.Limits.MaxLines != 7 {
		t.Errorf("%+v", c)
	}
}

// TestPublicURL guarantees that the lines to paste lead somewhere.
func TestPublicURL(t *testing.T) {
	for _, tt := range []struct{ addr, certificate, want string }{
		{"127.0.0.1:8080", "", "http://127.0.0.1:8080"},
		{"[::]:8080", "", "http://127.0.0.1:8080"},
		{"0.0.0.0:1", "cert.pem", "https://127.0.0.1:1"},
		{"[::1]:8080", "", "http://[::1]:8080"},
	} {
		addr, err := net.ResolveTCPAddr("tcp", tt.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := publicURL(config.Config{TLSCertFile: tt.certificate}, addr); got != tt.want {
			t.Errorf("publicURL(%s) = %s, want %s", tt.addr, got, tt.want)
		}
	}
}
