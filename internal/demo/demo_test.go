package demo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/logfence/logfence/internal/poll"
)

// TestDemo guarantees that Start gives both tenants logs, old ones and new ones, and valid tokens, and
// that Close leaves nothing.
func TestDemo(t *testing.T) {
	found, err := realLoki()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	var told bytes.Buffer
	began := time.Now()
	d, err := Start(t.Context(), Options{Loki: found.Loki, Progress: &told})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	ready := time.Now()
	t.Logf("started in %s", ready.Sub(began))
	if !strings.Contains(told.String(), "Starting Loki "+found.Version) {
		t.Errorf("told %q", told.String())
	}

	for name, tenants := range map[string]string{Ana: "alpha", Ben: "[alpha beta]"} {
		token := verify(t, d.Issuer, d.Tokens[name])
		if got, _ := token.Get("tenant_id"); fmt.Sprint(got) != tenants {
			t.Errorf("the token of %s is for %v", name, got)
		}
	}
	for _, tenant := range []string{Alpha, Beta} {
		query := `{tenant_id="` + tenant + `"}`
		if old := lines(t, d.Loki, "", query, ready.Add(-time.Hour), began); len(old) < 3000 {
			t.Errorf("%s has %d lines", tenant, len(old))
		}
		poll.Wait(t, "new lines of "+tenant, func() bool {
			return len(lines(t, d.Loki, "", query, ready, time.Now())) > 0
		})
	}

	address := strings.TrimPrefix(d.Loki.URL(), "http://")
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if listening(t, address) {
		t.Error("Loki still listens")
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDemoNoticesLokiDying guarantees that a demo without Loki is not kept up in silence.
func TestDemoNoticesLokiDying(t *testing.T) {
	found, err := realLoki()
	if err != nil {
		t.Fatal(err)
	}
	d, err := Start(t.Context(), Options{Loki: found.Loki})
	if err != nil {
		t.Fatal(err)
	}
	d.Loki.Kill()
	if err := <-d.Failed(); err == nil {
		t.Error("failed without an error")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestLokiDiesWithUs guarantees that Loki does not outlive a process that is killed.
func TestLokiDiesWithUs(t *testing.T) {
	found, err := realLoki()
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "linux" {
		t.Skip("this system cannot tie a child's life to ours")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"=start", EnvLoki+"="+found.Loki, "TMPDIR="+t.TempDir())
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdin, err := cmd.StdinPipe() // kept open: the helper waits on it
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(strings.TrimSpace(url), "http://")
	if !listening(t, address) {
		t.Errorf("nobody listens at %s", address)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed, as it says
	poll.Wait(t, "Loki's death", func() bool { return !listening(t, address) })
}

func listening(t *testing.T, address string) bool {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp4", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// TestInstructions guarantees that the printed lines, pasted into a shell as they are, send what they
// seem to send, and that no command repeats a token.
func TestInstructions(t *testing.T) {
	d := &Demo{Tokens: map[string]string{Ana: "token-of-ana", Ben: "token-of-ben", betaService: "token-of-beta"}}
	var text strings.Builder
	if err := d.Instructions(&text, "http://127.0.0.1:8080/it's/"); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	fake := "#!/bin/sh\nfor word; do printf '[%s]' \"$word\"; done; echo\n"
	if err := os.WriteFile(filepath.Join(bin, "curl"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh")
	cmd.Env = []string{"PATH=" + bin}
	cmd.Stdin = strings.NewReader(text.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	line := func(token, narrowed, path string, params ...string) string {
		s := "[-sSG][http://127.0.0.1:8080/it's/api/v1/" + path + "][-H][Authorization: Bearer token-of-" + token + "]"
		if narrowed != "" {
			s += "[-H][X-Logfence-Tenant: " + narrowed + "]"
		}
		for _, p := range params {
			s += "[--data-urlencode][" + p + "]"
		}
		return s + "[-w][\\n]\n"
	}
	const query, apps, checkout = "logs/query", "logs/labels/app/values", `query={app="checkout"}`
	want := line(Ana, "", apps) + line(Beta, "", apps) +
		line(Ana, "", query, checkout, "limit=3") + line(Ben, "", query, checkout, "limit=3") + line(Ben, Beta, query, checkout, "limit=3") +
		line(Ana, "", query, `query={tenant_id="beta"}`) + line(Ana, "", query, `query={tenant_id!="alpha"}`) +
		line(Ana, Beta, query, checkout) + line(Ben, "", "me")
	if string(out) != want {
		t.Errorf("ran\n%s\nwant\n%s", out, want)
	}
	for _, token := range d.Tokens {
		if n := strings.Count(text.String(), token); n != 1 {
			t.Errorf("%s is printed %d times, want once", token, n)
		}
	}
	first, _, _ := strings.Cut(text.String(), "\nexport ")
	for _, want := range []string{"/explore\n", "Sign in as " + Ana, Ben, "The password is the name."} {
		if !strings.Contains(first, want) {
			t.Errorf("the text before the first command lacks %q:\n%s", want, first)
		}
	}
	for _, l := range strings.Split(text.String(), "\n") {
		if strings.HasPrefix(l, "#") && strings.ContainsAny(l, "'\"`$") {
			t.Errorf("a shell without comments would trip over %q", l)
		}
	}
}

// verify checks a token as a stranger would: by discovery, with the published key.
func verify(t *testing.T, i *Issuer, token string) jwt.Token {
	t.Helper()
	parsed, err := parse(t, i, token)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func parse(t *testing.T, i *Issuer, token string) (jwt.Token, error) {
	t.Helper()
	var about struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(fetch(t, i.URL()+"/.well-known/openid-configuration"), &about); err != nil {
		t.Fatal(err)
	}
	if about.Issuer != i.URL() || about.JWKS != i.JWKSURL() {
		t.Errorf("discovery says %+v", about)
	}
	keys, err := jwk.Parse(fetch(t, about.JWKS))
	if err != nil {
		t.Fatal(err)
	}
	return jwt.ParseString(token, jwt.WithKeySet(keys), jwt.WithIssuer(i.URL()), jwt.WithAudience(Audience))
}

// fetch gets a document without leaving a connection open.
func fetch(t *testing.T, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return body
}

// TestIssuer guarantees that its tokens are valid to a stranger, say what they were told to say, expire
// when told to, and are worth nothing after a rotation; and that no private key is published.
func TestIssuer(t *testing.T) {
	i, err := StartIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(i.Close(), i.Close()); err != nil {
			t.Error(err)
		}
	}()
	sign := func(c Claims) string {
		t.Helper()
		token, err := i.Token(c)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	valid := sign(Claims{Subject: "ida", Tenant: []string{Alpha, Beta}, Extra: map[string]any{"role": "admin", "iat": nil}})
	token := verify(t, i, valid)
	if token.Subject() != "ida" || !token.IssuedAt().IsZero() {
		t.Errorf("subject %q, issued at %s", token.Subject(), token.IssuedAt())
	}
	if tenants, _ := token.Get("tenant_id"); len(tenants.([]any)) != 2 {
		t.Errorf("tenants %v", tenants)
	}
	if _, has := verify(t, i, sign(Claims{})).Get("tenant_id"); has {
		t.Error("a token of no tenant has the claim")
	}
	if _, err := parse(t, i, sign(Claims{Lifetime: -time.Minute})); !errors.Is(err, jwt.ErrTokenExpired()) {
		t.Errorf("expired token: %v", err)
	}

	published := string(fetch(t, i.JWKSURL()))
	if !strings.Contains(published, `"kid":"demo-1"`) || strings.Contains(published, `"d":`) {
		t.Errorf("published %s, want the public half of key demo-1", published)
	}

	if err := i.RotateGently(); err != nil {
		t.Fatal(err)
	}
	verify(t, i, valid)
	verify(t, i, sign(Claims{Subject: "ida"}))
	if published := string(fetch(t, i.JWKSURL())); strings.Count(published, `"kid"`) != 2 || strings.Contains(published, `"d":`) {
		t.Errorf("published %s, want the public halves of both keys", published)
	}

	if err := i.Rotate(); err != nil {
		t.Fatal(err)
	}
	if _, err := parse(t, i, valid); err == nil {
		t.Error("a token of the old key is still valid")
	}
	verify(t, i, sign(Claims{Subject: "ida"}))
}
