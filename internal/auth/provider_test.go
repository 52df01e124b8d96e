package auth

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"

	"github.com/logfence/logfence/internal/tenant"
)

// idp is a real OpenID Connect provider: it logs users in by the code flow, publishes discovery and
// keys over HTTP, and rotates them as a real one does, the old key staying published for a while.
type idp struct {
	*mockoidc.MockOIDC
	client *http.Client

	mu        sync.RWMutex // held for reading by every request, for writing to change what it sees
	published []json.RawMessage
	down      bool
}

func startIDP(t *testing.T, clock *fakeClock) *idp {
	t.Helper()
	mockoidc.NowFunc = clock.Now
	m, err := mockoidc.NewServer(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{MockOIDC: m, client: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	p.publish(t)
	if err := m.AddMiddleware(p.guard); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Start(ln, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Shutdown(); err != nil {
			t.Error(err)
		}
		mockoidc.NowFunc = time.Now
	})
	return p
}

func (p *idp) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.RLock()
		defer p.mu.RUnlock()
		switch {
		case p.down:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == mockoidc.JWKSEndpoint:
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": p.published})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// publish adds the provider's present key to those it shows, and leaves the last two there.
func (p *idp) publish(t *testing.T) {
	t.Helper()
	document, err := p.Keypair.JWKS()
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(document, &set); err != nil {
		t.Fatal(err)
	}
	p.published = append(p.published, set.Keys...)
	p.published = p.published[max(0, len(p.published)-2):]
}

// rotate signs with a new key from now on, and publishes it in the same moment.
func (p *idp) rotate(t *testing.T) {
	t.Helper()
	pair, err := mockoidc.RandomKeypair(2048)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Keypair = pair
	p.publish(t)
}

func (p *idp) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// person is a user whose identity token names tenants.
type person struct {
	*mockoidc.MockUser
	tenants []string
}

type personClaims struct {
	*mockoidc.IDTokenClaims
	Groups []string `json:"https://acme.example/tenants"`
}

func (u person) Claims(_ []string, base *mockoidc.IDTokenClaims) (jwt.Claims, error) {
	return personClaims{base, u.tenants}, nil
}

// login signs a person in as a browser would, and returns the identity token.
func (p *idp) login(t *testing.T, tenants ...string) string {
	t.Helper()
	p.QueueUser(person{&mockoidc.MockUser{Subject: "jane"}, tenants})
	query := url.Values{
		"scope": {"openid"}, "response_type": {"code"}, "state": {"s"},
		"client_id": {p.ClientID}, "redirect_uri": {"https://app.example/back"},
	}
	resp := p.do(t, http.MethodGet, p.AuthorizationEndpoint()+"?"+query.Encode(), nil)
	defer resp.Body.Close()
	back, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	resp = p.do(t, http.MethodPost, p.TokenEndpoint(), url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")},
		"client_id": {p.ClientID}, "client_secret": {p.ClientSecret},
	})
	defer resp.Body.Close()
	var body struct {
		IDToken string `json:"id_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || body.IDToken == "" {
		t.Fatalf("no identity token: %v", err)
	}
	return body.IDToken
}

func (p *idp) do(t *testing.T, method, to string, form url.Values) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// trust runs a Verifier that knows nothing of the provider but its issuer.
func (p *idp) trust(t *testing.T, clock *fakeClock, change func(*Config)) *fixture {
	t.Helper()
	c := Defaults()
	c.Issuers = []Issuer{{URL: p.Issuer(), Audiences: []string{p.ClientID}, TenantClaim: "https://acme.example/tenants"}}
	c.DangerouslyAllowHTTPJWKS = true // on the loopback
	if change != nil {
		change(&c)
	}
	v, err := New(context.Background(), c, WithClock(clock))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return &fixture{Verifier: v, clock: clock}
}

// TestProviderLogin guarantees that the issuer alone is enough to configure: a person who has just
// signed in is known by the tenants that the provider gave them.
func TestProviderLogin(t *testing.T) {
	clock := newClock()
	p := startIDP(t, clock)
	v := p.trust(t, clock, nil)
	// The first fetch may still be in progress: the request waits for it.
	got, err := v.Verify(t.Context(), p.login(t, "beta", "alpha"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != p.Issuer() || got.Subject != "jane" || !slices.Equal(tenant.Texts(got.Tenants), []string{"alpha", "beta"}) {
		t.Errorf("principal %+v", got)
	}
	clock.advance(p.AccessTTL + 30*time.Second)
	if _, err := v.Verify(t.Context(), p.login(t, "alpha")); err != nil {
		t.Errorf("signed in again: %v", err)
	}
}

// TestProviderRotationUnderLoad guarantees that not one request is refused while the provider
// changes its keys, those with tokens of the key before included.
func TestProviderRotationUnderLoad(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cache int
	}{{"every token verified anew", 0}, {"tokens remembered", 16384}} {
		t.Run(tt.name, func(t *testing.T) { rotateUnderLoad(t, tt.cache) })
	}
}

func rotateUnderLoad(t *testing.T, cacheEntries int) {
	const workers, rotations, each = 8, 5, 50
	clock := newClock()
	p := startIDP(t, clock)
	v := p.trust(t, clock, func(c *Config) { c.CacheEntries = cacheEntries })

	type tokens struct{ before, after string }
	var current atomic.Pointer[tokens]
	first := p.login(t, "alpha")
	current.Store(&tokens{first, first})
	if _, err := v.Verify(t.Context(), first); err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	verified := make(chan *tokens)
	var load sync.WaitGroup
	for range workers {
		load.Go(func() {
			for {
				now := current.Load()
				for _, token := range []string{now.after, now.before} {
					if _, err := v.Verify(t.Context(), token); err != nil {
						t.Errorf("refused during a rotation: %v", err)
					}
				}
				select {
				case verified <- now:
				case <-ctx.Done():
					return
				}
			}
		})
	}
	for range rotations {
		clock.advance(demandInterval)
		p.rotate(t)
		now := &tokens{current.Load().after, p.login(t, "alpha")}
		current.Store(now)
		for n := 0; n < each; {
			if <-verified == now {
				n++
			}
		}
	}
	stop()
	load.Wait()
	if s := v.Stats().Issuers[0]; s.Fetches != rotations+1 || s.Failures != 0 {
		t.Errorf("%d fetches, %d failures; want one at the start and one a rotation", s.Fetches, s.Failures)
	}
}

// TestProviderDown guarantees that a provider's outage is noticed by nobody with a token of a known
// key, and that a key which could not be fetched from it is reported as such.
func TestProviderDown(t *testing.T) {
	clock := newClock()
	p := startIDP(t, clock)
	v := p.trust(t, clock, nil)
	token := p.login(t, "alpha")
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	p.rotate(t)
	fresh := p.login(t, "alpha")
	p.setDown(true)
	v.refresh(nextRefresh)
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Errorf("known key: %v", err)
	}
	if _, err := v.Verify(t.Context(), fresh); !errors.Is(err, ErrKeysUnavailable) {
		t.Errorf("a key that could not be fetched: %v; want %v", err, ErrKeysUnavailable)
	}
	p.setDown(false)
	clock.advance(demandInterval)
	if _, err := v.Verify(t.Context(), fresh); err != nil {
		t.Errorf("back again: %v", err)
	}
}
