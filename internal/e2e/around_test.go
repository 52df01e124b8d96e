package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/logfence/logfence/internal/demo"
	"github.com/logfence/logfence/internal/poll"
)

// around is a fault of something else than Loki, and what callers get of it.
type around struct {
	name string
	want reply
	try  func(*testing.T, reply)
}

var (
	keysUnavailable  = reply{status: http.StatusServiceUnavailable, code: "keys_unavailable"}
	auditUnavailable = reply{status: http.StatusServiceUnavailable, code: "audit_unavailable"}
)

var aroundLoki = []around{
	{"a reverse proxy in front of Loki does not pass on WebSockets, and the request is a live tail", reply{status: http.StatusBadGateway, code: "websocket_blocked"}, tailBlocked},
	{"the identity provider is down", fine, providerGoes},
	{"the identity provider is down, or does not respond, since before logfence started", keysUnavailable, providerComes},
	{"Redis is down, or does not respond", fine, redisGoes},
	{"the disk of the audit log is full", fine, auditLost},
	{"the disk of the audit log is full, with LOGFENCE_AUDIT_REQUIRED=true", auditUnavailable, auditRequired},
}

// TestFaultsAround guarantees the same of the services around it: the response that docs/faults.md names, and
// that service is back by itself.
func TestFaultsAround(t *testing.T) {
	t.Parallel()
	for _, f := range aroundLoki {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			f.try(t, f.want)
		})
	}
}

// gets requests labels, and compares the reply with the one wanted.
func (g *gateway) gets(t *testing.T, token string, want reply) bool {
	t.Helper()
	a := g.send(t, request{path: "/api/v1/logs/labels", token: token})
	got := reply{status: a.status}
	if a.status != http.StatusOK {
		got.code = problemOf(t, a).Code
	}
	if retry := a.header.Get("Retry-After"); (a.status == http.StatusServiceUnavailable) != (retry != "") {
		t.Errorf("%s with Retry-After %q", got, retry)
	}
	return got == want
}

// untilGets repeats the request until the reply is the one wanted.
func (g *gateway) untilGets(t *testing.T, want reply) {
	t.Helper()
	poll.Wait(t, "the reply "+want.String(), func() bool { return g.gets(t, "", want) })
}

// tailBlocked: Loki gets a handshake without Upgrade, and queries work.
func tailBlocked(t *testing.T, want reply) {
	behind, err := url.Parse(on.mixed.URL())
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(behind)
		r.Out.Header.Del("Connection")
		r.Out.Header.Del("Upgrade")
	}}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	g, err := startGateway(t.Context(), on.binary, on.issuer, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, g)
	a := g.send(t, request{path: "/api/v1/logs/tail", params: url.Values{"query": {`{app="checkout"}`}}})
	if got := (reply{status: a.status, code: problemOf(t, a).Code}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !g.gets(t, "", fine) {
		t.Error("a query fails as well")
	}
}

// behindWire is a logfence, not started, whose keys come over a wire.
func behindWire(t *testing.T) (*gateway, *wire) {
	t.Helper()
	w := newWire(t, on.issuer.URL())
	g := &gateway{exited: make(chan struct{}), cmd: exec.Command(on.binary, "serve")}
	g.cmd.Env = append(settingsFor(on.issuer, on.mixed.URL()), "LOGFENCE_ADDR=127.0.0.1:0", "LOGFENCE_ADMIN_ADDR=127.0.0.1:0",
		"LOGFENCE_JWT_JWKS_URL="+strings.Replace(on.issuer.JWKSURL(), on.issuer.URL(), w.url(), 1))
	g.cmd.Env = lastOfEach(g.cmd.Env)
	return g, w
}

// lastOfEach drops a variable that is given again.
func lastOfEach(env []string) []string {
	seen := map[string]int{}
	for i, v := range env {
		name, _, _ := strings.Cut(v, "=")
		seen[name] = i
	}
	var kept []string
	for i, v := range env {
		if name, _, _ := strings.Cut(v, "="); seen[name] == i {
			kept = append(kept, v)
		}
	}
	return kept
}

func stopAtEnd(t *testing.T, g *gateway) {
	t.Helper()
	t.Cleanup(func() {
		if err := g.stop(); err != nil {
			t.Error(err)
		}
	})
}

// providerGoes: keys are kept, for tokens that were never seen as well.
func providerGoes(t *testing.T, want reply) {
	g, w := behindWire(t)
	if err := g.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, g)
	w.Stop()
	for n := range 3 {
		token := tokenOf(t, demo.Claims{Subject: fmt.Sprint("stranger ", n), Tenant: demo.Alpha})
		if !g.gets(t, token, want) {
			t.Errorf("not %s", want)
		}
	}
}

// providerComes: nobody is taken unverified, and the provider is found when it is there.
func providerComes(t *testing.T, want reply) {
	g, w := behindWire(t)
	w.poison(t, "timeout", `"timeout":0`)
	if err := g.launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, g)
	if !g.gets(t, "", want) {
		t.Errorf("while it says nothing: not %s", want)
	}
	w.Stop()
	if !g.gets(t, "", want) {
		t.Errorf("while it is down: not %s", want)
	}
	w.Toxics.ResetToxics(t.Context())
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	g.untilGets(t, fine)
}

// redisGoes: each replica counts for itself meanwhile, says so, and counts with the others again.
func redisGoes(t *testing.T, want reply) {
	shared := miniredis.RunT(t)
	w := newWire(t, shared.Addr())
	g := own(t, on.issuer, "LOGFENCE_REDIS_URL=redis://"+w.Listen)
	counting := func(with string) {
		t.Helper()
		poll.Wait(t, "logfence_limits_shared is "+with, func() bool {
			if !g.gets(t, "", want) {
				t.Fatalf("not %s", want)
			}
			_, metrics, err := get(t.Context(), g.admin+"/metrics")
			if err != nil {
				t.Fatal(err)
			}
			return bytes.Contains(metrics, []byte("\nlogfence_limits_shared "+with+"\n"))
		})
	}
	counting("1")
	w.poison(t, "timeout", `"timeout":0`)
	counting("0")
	w.Stop()
	counting("0")
	w.Toxics.ResetToxics(t.Context())
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	counting("1")
}

func full(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	return "LOGFENCE_AUDIT_LOG=/dev/full"
}

// auditLost: callers are served, and operators are told how many records are missing.
func auditLost(t *testing.T, want reply) {
	g := own(t, on.issuer, full(t))
	for range 3 {
		if !g.gets(t, "", want) {
			t.Errorf("not %s", want)
		}
	}
	_, metrics, err := get(t.Context(), g.admin+"/metrics")
	if lost := regexp.MustCompile(`(?m)^logfence_audit_lost_total [1-9]`); err != nil || !lost.Match(metrics) {
		t.Errorf("no records are said to be lost: %v", err)
	}
}

// auditRequired: nobody is served, until there is room. The file is a link that is turned to a disk with
// room, and reopened as log rotation has it.
func auditRequired(t *testing.T, want reply) {
	full(t)
	link := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.Symlink("/dev/full", link); err != nil {
		t.Fatal(err)
	}
	g := &gateway{exited: make(chan struct{}), cmd: exec.Command(on.binary, "serve")}
	g.cmd.Env = append(settingsFor(on.issuer, on.mixed.URL()), "LOGFENCE_ADDR=127.0.0.1:0", "LOGFENCE_ADMIN_ADDR=127.0.0.1:0",
		"LOGFENCE_AUDIT_LOG="+link, "LOGFENCE_AUDIT_REQUIRED=true")
	if err := g.launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, g)
	if !g.gets(t, "", want) {
		t.Errorf("not %s", want)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := g.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	g.untilGets(t, fine)
}

// TestFaultsAreDocumented guarantees that docs/faults.md has the table of what the tests hold.
func TestFaultsAreDocumented(t *testing.T) {
	t.Parallel()
	var table strings.Builder
	table.WriteString("| what is wrong | callers get | while Loki is known to be down |\n| --- | --- | --- |\n")
	for _, f := range faults {
		fmt.Fprintf(&table, "| %s | %s | %s |\n", f.name, f.first, f.then)
	}
	for _, f := range aroundLoki {
		fmt.Fprintf(&table, "| %s | %s | %s |\n", f.name, f.want, reply{})
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(page, []byte(table.String())) {
		t.Errorf("docs/faults.md lacks this table:\n%s", table.String())
	}
}
