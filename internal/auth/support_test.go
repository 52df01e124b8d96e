package auth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/oauth2-proxy/mockoidc"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testIssuer   = "https://id.example.com/"
	testAudience = "logfence"
	testJWKS     = "https://id.example.com/keys"
)

// now is when the tests happen.
var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// signer is a key pair with the name that it goes by.
type signer struct {
	id, alg string
	private crypto.Signer
}

// The genuine key is one that is always the same, so that fuzzing can keep the tokens it finds.
var genuine = sync.OnceValue(func() signer {
	pair, err := mockoidc.DefaultKeypair()
	if err != nil {
		panic(err)
	}
	return signer{"k1", "RS256", pair.PrivateKey}
})

var foreign = sync.OnceValue(func() signer {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return signer{"k1", "RS256", private}
})

var edSigner = signer{"ed", "EdDSA", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))}

func ecSigner(tb testing.TB, id, alg string, curve elliptic.Curve) signer {
	tb.Helper()
	private, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return signer{id, alg, private}
}

// sign makes a token of any header and claims, valid JSON or not.
func (s signer) sign(tb testing.TB, header, claims string) string {
	tb.Helper()
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	signer, err := jws.NewSigner(jwa.SignatureAlgorithm(s.alg))
	if err != nil {
		tb.Fatal(err)
	}
	signature, err := signer.Sign([]byte(text), s.private)
	if err != nil {
		tb.Fatal(err)
	}
	return text + "." + b64(signature)
}

// header is the one that a provider writes for this key.
func (s signer) header() string { return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"JWT"}`, s.alg, s.id) }

// token is a good token for the claims, on top of good ones.
func (s signer) token(tb testing.TB, changes map[string]any) string {
	tb.Helper()
	return s.sign(tb, s.header(), claims(tb, changes))
}

// jwk is the public half as a provider publishes it, with members changed.
func (s signer) jwk(tb testing.TB, changes map[string]any) map[string]any {
	tb.Helper()
	k, err := jwk.FromRaw(s.private.Public())
	if err != nil {
		tb.Fatal(err)
	}
	text, err := json.Marshal(k)
	if err != nil {
		tb.Fatal(err)
	}
	fields := map[string]any{}
	if err := json.Unmarshal(text, &fields); err != nil {
		tb.Fatal(err)
	}
	fields["kid"], fields["alg"], fields["use"] = s.id, s.alg, "sig"
	return changed(fields, changes)
}

// hmacToken is signed with a secret.
func hmacToken(header, claims string, secret []byte) string {
	text := b64([]byte(header)) + "." + b64([]byte(claims))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(text))
	return text + "." + b64(mac.Sum(nil))
}

// claims are good ones as JSON, with some changed; nil leaves one out.
func claims(tb testing.TB, changes map[string]any) string {
	tb.Helper()
	text, err := json.Marshal(changed(map[string]any{
		"iss": testIssuer, "aud": testAudience, "sub": "jane", "exp": now.Add(time.Hour).Unix(),
		"iat": now.Unix(), "tenant_id": "alpha",
	}, changes))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func changed(m, changes map[string]any) map[string]any {
	for name, v := range changes {
		if v == nil {
			delete(m, name)
		} else {
			m[name] = v
		}
	}
	return m
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func jwksOf(tb testing.TB, keys ...map[string]any) string {
	tb.Helper()
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// provider is an issuer's web site that does as it is told: documents by URL, an outage, a hang. It
// is a RoundTripper, so that a test needs no network and sees every request.
type provider struct {
	mu       sync.Mutex
	pages    map[string]page
	down     bool
	hang     chan struct{} // closed to let go; nil: no hang
	hanging  chan struct{} // sent to by each request that hangs; has room for a few
	requests map[string]int
}

type page struct {
	status int
	body   string
	header http.Header
}

func newProvider(jwks string) *provider {
	p := &provider{pages: map[string]page{}, requests: map[string]int{}, hanging: make(chan struct{}, 8)}
	p.serve(testJWKS, jwks)
	return p
}

func (p *provider) serve(url, body string) { p.servePage(url, page{status: 200, body: body}) }

func (p *provider) servePage(url string, pg page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages[url] = pg
}

func (p *provider) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *provider) setHang() (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	hang := make(chan struct{})
	p.hang = hang
	return func() {
		p.mu.Lock()
		p.hang = nil
		p.mu.Unlock()
		close(hang)
	}
}

func (p *provider) count(url string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[url]
}

func (p *provider) RoundTrip(req *http.Request) (*http.Response, error) {
	url := req.URL.String()
	p.mu.Lock()
	p.requests[url]++
	pg, ok := p.pages[url] // as it is when requested, however late the response
	hang, down := p.hang, p.down
	p.mu.Unlock()
	if hang != nil {
		p.hanging <- struct{}{}
		select {
		case <-hang:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	switch {
	case down:
		return nil, io.ErrUnexpectedEOF
	case !ok:
		pg = page{status: 404}
	}
	header := pg.header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		StatusCode: pg.status, Header: header, Request: req, ContentLength: -1,
		Body: io.NopCloser(bytes.NewReader([]byte(pg.body))),
	}, nil
}

// fakeClock stands still until it is moved.
type fakeClock struct {
	mu      sync.Mutex
	moved   *sync.Cond
	now     time.Time
	waiting []waiter
	pauses  int // how often a keyring has begun to wait for its next fetch
	waits   int // how often a request has begun to wait for keys
}

type waiter struct {
	at time.Time
	c  chan time.Time
}

func newClock() *fakeClock {
	c := &fakeClock{now: now}
	c.moved = sync.NewCond(&c.mu)
	return c
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := waiter{c.now.Add(d), make(chan time.Time, 1)}
	c.waiting = append(c.waiting, w)
	if d > maxWait {
		c.pauses++
	} else {
		c.waits++
	}
	c.moved.Broadcast()
	return w.c
}

// advance moves the time, and wakes the waiters that are due.
func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	var still []waiter
	for _, w := range c.waiting {
		if w.at.After(c.now) {
			still = append(still, w)
			continue
		}
		w.c <- c.now
	}
	c.waiting = still
}

// awaitPauses blocks until a keyring has begun to wait for its next fetch for the nth time.
func (c *fakeClock) awaitPauses(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.pauses < n {
		c.moved.Wait()
	}
}

// awaitWaits does the same for requests that wait for keys.
func (c *fakeClock) awaitWaits(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.waits < n {
		c.moved.Wait()
	}
}

// nextRefresh is past any jitter.
const nextRefresh = refreshInterval + refreshInterval/5

// fixture is a Verifier with all around it.
type fixture struct {
	*Verifier
	clock    *fakeClock
	provider *provider
}

// start runs a Verifier for the test's time, and waits for its first fetch.
func start(tb testing.TB, p *provider, change func(*Config)) *fixture {
	tb.Helper()
	c := Defaults()
	c.Issuers = []Issuer{{URL: testIssuer, Audiences: []string{testAudience}, JWKSURL: testJWKS, TenantClaim: "tenant_id"}}
	if change != nil {
		change(&c)
	}
	clock := newClock()
	v, err := New(context.Background(), c, WithClock(clock), WithTransport(p))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(v.Close)
	clock.awaitPauses(len(c.Issuers))
	return &fixture{v, clock, p}
}

// refresh moves the time past the next fetch unasked, and blocks until that is over. A keyring pauses
// once after each fetch, so it is known when it is ready for the time to move, and when it is done.
func (f *fixture) refresh(d time.Duration) {
	fetched := int(f.Stats().Issuers[0].Fetches)
	f.clock.awaitPauses(fetched)
	f.clock.advance(d)
	f.clock.awaitPauses(fetched + 1)
}

// genuineVerifier is one whose issuer has the genuine key.
func genuineVerifier(tb testing.TB, change func(*Config)) *fixture {
	tb.Helper()
	return start(tb, newProvider(jwksOf(tb, genuine().jwk(tb, nil), edSigner.jwk(tb, nil))), change)
}
