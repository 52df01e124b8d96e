package auth

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var errStop = errors.New("the caller left")

// TestRotation guarantees that a token of a new key passes at the first try, and one of a key that
// the provider withdrew is refused from the next fetch on.
func TestRotation(t *testing.T) {
	old, fresh := genuine(), edSigner
	p := newProvider(jwksOf(t, old.jwk(t, nil)))
	v := start(t, p, nil)
	mustPass(t, v, old)

	p.serve(testJWKS, jwksOf(t, old.jwk(t, nil), fresh.jwk(t, nil)))
	mustPass(t, v, fresh) // not yet known: fetched at once
	mustPass(t, v, old)

	p.serve(testJWKS, jwksOf(t, fresh.jwk(t, nil)))
	v.refresh(nextRefresh)
	mustFail(t, v, old, ErrInvalidToken)
	mustPass(t, v, fresh)
}

// TestUnknownKeyStorm guarantees that tokens of unknown keys, however many at once, cost the
// provider at most one fetch per interval, and harm no other token.
func TestUnknownKeyStorm(t *testing.T) {
	v := genuineVerifier(t, nil)
	unknown := foreign()
	for interval := range 3 {
		before := v.provider.count(testJWKS)
		var wg sync.WaitGroup
		for i := range 200 {
			unknown.id = strings.Repeat("x", i%7+1)
			token := unknown.token(t, nil)
			wg.Go(func() {
				if _, err := v.Verify(t.Context(), token); !errors.Is(err, ErrInvalidToken) {
					t.Errorf("an unknown key: %v; want %v", err, ErrInvalidToken)
				}
			})
		}
		wg.Wait()
		if n := v.provider.count(testJWKS) - before; n != 1 {
			t.Errorf("interval %d: %d fetches; want 1", interval, n)
		}
		mustPass(t, v, genuine())
		v.clock.advance(demandInterval)
	}
}

// TestUnknownKeyOfRefusedToken guarantees that a token that would be refused anyway fetches nothing,
// so that none is used up that a rotation needs.
func TestUnknownKeyOfRefusedToken(t *testing.T) {
	v := genuineVerifier(t, nil)
	unknown := foreign()
	unknown.id = "unknown"
	before := v.provider.count(testJWKS)
	for _, changes := range []map[string]any{
		{"exp": now.Add(-time.Hour).Unix()}, {"aud": "other"}, {"iss": "other"}, {"nbf": now.Add(time.Hour).Unix()},
	} {
		if _, err := v.Verify(t.Context(), unknown.token(t, changes)); !errors.Is(err, ErrInvalidToken) {
			t.Errorf("%v: %v", changes, err)
		}
	}
	if n := v.provider.count(testJWKS) - before; n != 0 {
		t.Errorf("%d fetches; want none", n)
	}
}

// TestOutage guarantees that keys outlive the provider until they are too stale, that not being
// ready is then told without secrets, and that all is well again once the provider is back.
func TestOutage(t *testing.T) {
	var logged bytes.Buffer
	p := newProvider(jwksOf(t, genuine().jwk(t, nil)))
	p.serve(testJWKS+"?secret=hunter2", jwksOf(t, genuine().jwk(t, nil)))
	clock := newClock()
	c := Defaults()
	c.Issuers = []Issuer{{URL: testIssuer, Audiences: []string{testAudience}, JWKSURL: testJWKS + "?secret=hunter2", TenantClaim: "tenant_id"}}
	c.KeysMaxStale = 30 * time.Minute
	inner, err := New(t.Context(), c, WithClock(clock), WithTransport(p), WithLogger(slog.New(slog.NewTextHandler(&logged, nil))))
	if err != nil {
		t.Fatal(err)
	}
	clock.awaitPauses(1)
	v := &fixture{inner, clock, p}

	p.setDown(true)
	for range 5 { // 5 × 6 min: exactly as stale as they may be
		v.refresh(nextRefresh)
		mustPass(t, v, genuine())
	}
	if err := v.Ready(); err != nil {
		t.Errorf("within the limit: %v", err)
	}
	v.refresh(nextRefresh)
	mustFail(t, v, genuine(), ErrKeysUnavailable)
	want := "issuer https://id.example.com/: verification keys unavailable: last fetched 36m0s ago, more than 30m0s; last fetch: keys: unexpected EOF"
	if err := v.Ready(); err == nil || err.Error() != want {
		t.Errorf("ready: %v\nwant %s", err, want)
	}
	if s := v.Stats().Issuers[0]; s.Usable || s.KeysAge != 36*time.Minute || s.Failures < 6 || s.Fetches != s.Failures+1 || s.Keys != 1 {
		t.Errorf("stats %+v", s)
	}

	p.setDown(false)
	v.refresh(nextRefresh)
	mustPass(t, v, genuine())
	if err := v.Ready(); err != nil {
		t.Errorf("back again: %v", err)
	}
	v.Close()
	if text := logged.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "age=") {
		t.Errorf("aging keys are not logged, or not louder with time:\n%s", text)
	}
	if strings.Contains(logged.String(), "hunter2") {
		t.Errorf("the log holds what is secret in the URL:\n%s", logged.String())
	}
}

// TestStaleKeysComeBackOnDemand guarantees that the first request after an outage need not wait for
// the next fetch unasked.
func TestStaleKeysComeBackOnDemand(t *testing.T) {
	v := genuineVerifier(t, func(c *Config) { c.KeysMaxStale = minMaxStale })
	v.provider.setDown(true)
	v.refresh(nextRefresh)
	v.refresh(nextRefresh)
	mustFail(t, v, genuine(), ErrKeysUnavailable)
	v.provider.setDown(false)
	v.clock.mu.Lock()
	v.clock.now = v.clock.now.Add(demandInterval) // and nobody due is woken
	v.clock.mu.Unlock()
	mustPass(t, v, genuine())
}

// TestDownAtStart guarantees that a provider that is down delays no start, and that its absence is
// told as such, not as a bad token.
func TestDownAtStart(t *testing.T) {
	p := newProvider(jwksOf(t, genuine().jwk(t, nil)))
	p.setDown(true)
	v := start(t, p, nil)
	mustFail(t, v, genuine(), ErrKeysUnavailable)
	want := "issuer https://id.example.com/: verification keys unavailable: none fetched yet; last fetch: keys: unexpected EOF"
	if err := v.Ready(); err == nil || err.Error() != want {
		t.Errorf("ready: %v\nwant %s", err, want)
	}
	p.setDown(false)
	v.refresh(2 * (retryInterval + retryInterval/5)) // two have failed: this one unasked, that one for a request
	mustPass(t, v, genuine())
	if err := v.Ready(); err != nil {
		t.Error(err)
	}
}

// TestBadDocumentReplacesNothing guarantees that good keys are replaced by good keys only.
func TestBadDocumentReplacesNothing(t *testing.T) {
	good := jwksOf(t, genuine().jwk(t, nil))
	for _, tt := range []struct {
		name string
		page page
	}{
		{"empty", page{status: 200}},
		{"no keys", page{status: 200, body: `{"keys":[]}`}},
		{"private keys alone", page{status: 200, body: jwksOf(t, genuine().jwk(t, map[string]any{"d": "AAAA"}))}},
		{"an HTML page", page{status: 200, body: "<html>"}},
		{"not found, with keys", page{status: 404, body: jwksOf(t, edSigner.jwk(t, nil))}},
		{"failing, with keys", page{status: 500, body: jwksOf(t, edSigner.jwk(t, nil))}},
		{"too large", page{status: 200, body: good + strings.Repeat(" ", maxDocument)}},
		{"elsewhere", page{status: 302, header: http.Header{"Location": {"https://evil.example/keys"}}}},
		{"elsewhere on the host, over http", page{status: 302, header: http.Header{"Location": {"http://id.example.com/http"}}}},
		{"in a circle", page{status: 302, header: http.Header{"Location": {testJWKS}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(good)
			p.serve("https://evil.example/keys", jwksOf(t, edSigner.jwk(t, nil)))
			p.serve("http://id.example.com/http", jwksOf(t, edSigner.jwk(t, nil)))
			v := start(t, p, nil)
			p.servePage(testJWKS, tt.page)
			v.refresh(nextRefresh)
			mustPass(t, v, genuine())
			if s := v.Stats().Issuers[0]; s.Failures != 1 || s.Fetches != 2 {
				t.Errorf("stats %+v; want one failure of two fetches", s)
			}
			mustFail(t, v, edSigner, ErrKeysUnavailable)
		})
	}
}

// TestRedirectWithinProvider guarantees that a provider may move its keys on its own host.
func TestRedirectWithinProvider(t *testing.T) {
	p := newProvider("")
	p.servePage(testJWKS, page{status: 307, header: http.Header{"Location": {"/keys/v2"}}})
	p.serve("https://id.example.com/keys/v2", jwksOf(t, genuine().jwk(t, nil)))
	mustPass(t, start(t, p, nil), genuine())
}

// TestHangingProvider guarantees that a provider that hangs delays no token of a known key, the
// others for two seconds at most, and those that come later not at all.
func TestHangingProvider(t *testing.T) {
	v := genuineVerifier(t, nil)
	release := v.provider.setHang()
	unknown := edSigner
	unknown.id = "unknown"
	waits := v.clock.waits
	result := make(chan error)
	go func() {
		_, err := v.Verify(t.Context(), unknown.token(t, nil))
		result <- err
	}()
	v.clock.awaitWaits(waits + 1) // it waits for the fetch
	mustPass(t, v, genuine())
	v.clock.advance(maxWait)
	if err := <-result; !errors.Is(err, ErrKeysUnavailable) {
		t.Errorf("after the wait: %v; want %v", err, ErrKeysUnavailable)
	}
	mustFail(t, v, unknown, ErrKeysUnavailable)
	if n := v.clock.waits - waits; n != 1 {
		t.Errorf("%d requests waited; want the first alone", n)
	}
	release()
	v.Close() // and the fetch in progress ends
}

// TestFetchInProgressIsTooEarly guarantees that a token of a new key is not refused because a fetch was
// in progress that began before there was one.
func TestFetchInProgressIsTooEarly(t *testing.T) {
	old, fresh := genuine(), edSigner
	v := start(t, newProvider(jwksOf(t, old.jwk(t, nil))), nil)
	release := v.provider.setHang()
	v.clock.advance(nextRefresh)
	<-v.provider.hanging
	v.provider.serve(testJWKS, jwksOf(t, old.jwk(t, nil), fresh.jwk(t, nil)))
	token := fresh.token(t, nil)
	result := make(chan error)
	go func() {
		_, err := v.Verify(t.Context(), token)
		result <- err
	}()
	v.clock.awaitWaits(1)
	release()
	if err := <-result; err != nil {
		t.Error(err)
	}
	if n := v.provider.count(testJWKS); n != 3 {
		t.Errorf("%d fetches; want 3", n)
	}
}

// TestDemandAfterFetch guarantees that a request which looked just before a fetch ended looks again,
// and has no other made.
func TestDemandAfterFetch(t *testing.T) {
	v := genuineVerifier(t, nil)
	ring := v.order[0].keys
	seen := ring.current.Load()
	v.refresh(nextRefresh)
	again, err := ring.refreshOnDemand(t.Context(), seen)
	if n := v.provider.count(testJWKS); !again || err != nil || n != 2 {
		t.Errorf("again %t, %v, %d fetches; want true after 2", again, err, n)
	}
	newest := ring.current.Load()
	for range 2 { // the second comes with a look that is as old by then, and no fetch is due
		again, err = ring.refreshOnDemand(t.Context(), newest)
		if n := v.provider.count(testJWKS); !again || err != nil || n != 3 {
			t.Errorf("again %t, %v, %d fetches; want true after 3", again, err, n)
		}
	}
	if again, err = ring.refreshOnDemand(t.Context(), ring.current.Load()); again || err != nil {
		t.Errorf("with the newest look: again %t, %v", again, err)
	}
}

// TestCallerLeaves guarantees that a request that is over waits no longer.
func TestCallerLeaves(t *testing.T) {
	v := genuineVerifier(t, nil)
	release := v.provider.setHang()
	defer release()
	unknown := edSigner
	unknown.id = "unknown"
	waits := v.clock.waits
	ctx, leave := context.WithCancelCause(t.Context())
	result := make(chan error)
	go func() {
		_, err := v.Verify(ctx, unknown.token(t, nil))
		result <- err
	}()
	v.clock.awaitWaits(waits + 1)
	leave(errStop)
	if err := <-result; !errors.Is(err, ErrKeysUnavailable) || !errors.Is(err, errStop) {
		t.Errorf("%v; want %v because %v", err, ErrKeysUnavailable, errStop)
	}
}

// TestCloseEndsAHangingFetch guarantees that Close waits on no provider, and that the keys go on
// verifying afterward.
func TestCloseEndsAHangingFetch(t *testing.T) {
	v := genuineVerifier(t, nil)
	defer v.provider.setHang()()
	v.clock.advance(nextRefresh)
	v.Close()
	mustPass(t, v, genuine())
	v.clock.advance(demandInterval)
	unknown := edSigner
	unknown.id = "unknown"
	mustFail(t, v, unknown, ErrKeysUnavailable)
}

// TestDiscovery guarantees that keys are taken from where the issuer's own document says, and from
// no document of anybody else.
func TestDiscovery(t *testing.T) {
	const at = "https://id.example.com/.well-known/openid-configuration"
	for _, tt := range []struct {
		name, issuer, document string
		ok                     bool
	}{
		{"good", "https://id.example.com", `{"issuer":"https://id.example.com","jwks_uri":"` + testJWKS + `"}`, true},
		{"a slash at the end is not doubled", "https://id.example.com/", `{"issuer":"https://id.example.com/","jwks_uri":"` + testJWKS + `"}`, true},
		{"keys on another host", "https://id.example.com", `{"issuer":"https://id.example.com","jwks_uri":"https://keys.example.net/"}`, true},
		{"of another issuer", "https://id.example.com", `{"issuer":"https://evil.example","jwks_uri":"` + testJWKS + `"}`, false},
		{"the issuer with a slash too many", "https://id.example.com", `{"issuer":"https://id.example.com/","jwks_uri":"` + testJWKS + `"}`, false},
		{"the issuer with a slash too few", "https://id.example.com/", `{"issuer":"https://id.example.com","jwks_uri":"` + testJWKS + `"}`, false},
		{"the issuer in capitals", "https://id.example.com", `{"issuer":"https://ID.example.com","jwks_uri":"` + testJWKS + `"}`, false},
		{"issuer in another letter case", "https://id.example.com", `{"Issuer":"https://id.example.com","jwks_uri":"` + testJWKS + `"}`, false},
		{"issuer twice", "https://id.example.com", `{"issuer":"https://evil.example","issuer":"https://id.example.com","jwks_uri":"` + testJWKS + `"}`, false},
		{"no issuer", "https://id.example.com", `{"jwks_uri":"` + testJWKS + `"}`, false},
		{"no jwks_uri", "https://id.example.com", `{"issuer":"https://id.example.com"}`, false},
		{"keys over http", "https://id.example.com", `{"issuer":"https://id.example.com","jwks_uri":"http://id.example.com/keys"}`, false},
		{"keys in a file", "https://id.example.com", `{"issuer":"https://id.example.com","jwks_uri":"file:///etc/passwd"}`, false},
		{"relative", "https://id.example.com", `{"issuer":"https://id.example.com","jwks_uri":"/keys"}`, false},
		{"garbage", "https://id.example.com", `<html>`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys := jwksOf(t, genuine().jwk(t, nil))
			p := newProvider(keys)
			p.serve("http://id.example.com/keys", keys)
			p.serve("https://keys.example.net/", keys)
			p.serve(at, tt.document)
			v := start(t, p, func(c *Config) { c.Issuers[0].URL, c.Issuers[0].JWKSURL = tt.issuer, "" })
			_, err := v.Verify(t.Context(), genuine().token(t, map[string]any{"iss": tt.issuer}))
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, ErrKeysUnavailable) {
				t.Errorf("Verify: %v", err)
			}
			if (v.Ready() == nil) != tt.ok {
				t.Errorf("Ready: %v", v.Ready())
			}
		})
	}
}

// TestKeysWithoutNames guarantees that a provider that names no keys can rotate too.
func TestKeysWithoutNames(t *testing.T) {
	old, fresh := genuine(), foreign()
	unnamed := map[string]any{"kid": nil}
	p := newProvider(jwksOf(t, old.jwk(t, unnamed)))
	v := start(t, p, nil)
	sign := func(s signer) string { return s.sign(t, `{"alg":"RS256"}`, claims(t, nil)) }
	if _, err := v.Verify(t.Context(), sign(old)); err != nil {
		t.Fatal(err)
	}
	p.serve(testJWKS, jwksOf(t, old.jwk(t, unnamed), fresh.jwk(t, unnamed)))
	if _, err := v.Verify(t.Context(), sign(fresh)); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if _, err := v.Verify(t.Context(), sign(old)); err != nil {
		t.Errorf("the old key: %v", err)
	}
}

// TestTooManyKeysToTry guarantees that a token which names no key is not tried against any number.
func TestTooManyKeysToTry(t *testing.T) {
	var keys []map[string]any
	for range maxTries {
		keys = append(keys, foreign().jwk(t, nil))
	}
	v := start(t, newProvider(jwksOf(t, append(keys, genuine().jwk(t, map[string]any{"kid": "last"}))...)), nil)
	last := genuine()
	last.id = "last"
	mustPass(t, v, last)
	_, err := v.Verify(t.Context(), last.sign(t, `{"alg":"RS256"}`, claims(t, nil)))
	if !errors.Is(err, ErrInvalidToken) || !strings.Contains(err.Error(), "17 keys might have signed it") {
		t.Errorf("without a key ID: %v", err)
	}
}

// TestHTTPSIsVerified guarantees that keys are taken from nobody whose certificate is not trusted.
func TestHTTPSIsVerified(t *testing.T) {
	keys := jwksOf(t, genuine().jwk(t, nil))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, keys)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it says that we hang up
	server.StartTLS()
	defer server.Close()
	for _, tt := range []struct {
		name string
		opts []Option
		want error
	}{
		{"not trusted", nil, ErrKeysUnavailable},
		{"trusted", []Option{WithTransport(server.Client().Transport)}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Defaults()
			c.Issuers = []Issuer{{URL: testIssuer, Audiences: []string{testAudience}, JWKSURL: server.URL, TenantClaim: "tenant_id"}}
			v, err := New(t.Context(), c, append(tt.opts, WithClock(newClock()))...)
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			if _, err := v.Verify(t.Context(), genuine().token(t, nil)); !errors.Is(err, tt.want) {
				t.Errorf("Verify: %v; want %v", err, tt.want)
			}
		})
	}
}

// TestSystemClock guarantees that without a clock passed in it is the system's that counts.
func TestSystemClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(path, []byte(jwksOf(t, genuine().jwk(t, nil))), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Defaults()
	c.Issuers = []Issuer{{URL: testIssuer, Audiences: []string{testAudience}, KeysFile: path, TenantClaim: "tenant_id"}}
	v, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for want, lifetime := range map[error]time.Duration{nil: time.Hour, ErrInvalidToken: -time.Hour} {
		token := genuine().token(t, map[string]any{"iat": nil, "exp": time.Now().Add(lifetime).Unix()})
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, want) {
			t.Errorf("a token of %s: %v; want %v", lifetime, err, want)
		}
	}
}

func mustPass(t *testing.T, v *fixture, s signer) {
	t.Helper()
	token := s.token(t, map[string]any{"exp": v.clock.Now().Add(time.Hour).Unix()})
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("%s: %v", s.id, err)
	}
}

func mustFail(t *testing.T, v *fixture, s signer, want error) {
	t.Helper()
	token := s.token(t, map[string]any{"exp": v.clock.Now().Add(time.Hour).Unix()})
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, want) {
		t.Errorf("%s: %v; want %v", s.id, err, want)
	}
}

// TestSameKeyIDNewKey guarantees that a provider which gives a new key the name of the earlier one is followed with the
// first token of the new key, that a flood of badly signed tokens makes no more than one fetch in ten seconds, and
// that a badly signed token stays one while the provider is down.
func TestSameKeyIDNewKey(t *testing.T) {
	fresh := ecSigner(t, genuine().id, "ES256", elliptic.P256())
	for name, next := range map[string]signer{"of another kind": fresh, "of the same kind": foreign()} {
		v := genuineVerifier(t, nil)
		v.clock.advance(demandInterval)
		v.provider.serve(testJWKS, jwksOf(t, next.jwk(t, nil)))
		mustPass(t, v, next)
		mustFail(t, v, genuine(), ErrInvalidToken)
		if n := v.provider.count(testJWKS); n != 2 {
			t.Errorf("%s: %d fetches; want 2", name, n)
		}
	}

	v := genuineVerifier(t, nil)
	for round := range 3 {
		for range 1000 {
			mustFail(t, v, foreign(), ErrInvalidToken)
		}
		if n := v.provider.count(testJWKS); n != 2+round {
			t.Errorf("round %d: %d fetches; want %d", round, n, 2+round)
		}
		v.clock.mu.Lock()
		v.clock.now = v.clock.now.Add(demandInterval) // and no background fetch is due
		v.clock.mu.Unlock()
	}
	v.provider.setDown(true)
	mustFail(t, v, foreign(), ErrInvalidToken)
	mustPass(t, v, genuine())
}
