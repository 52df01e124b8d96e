package demo

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// browser is somebody before a browser, who stops where the client would take over.
type browser struct {
	*testing.T

	issuer *Issuer
	http   *http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	i, err := StartIssuer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return &browser{t, i, &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), i.URL()) {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

// page is what came back.
type page struct {
	status int
	header http.Header
	url    *url.URL // where it was found, after redirects
	text   string
}

func (b *browser) do(r *http.Request) page {
	b.Helper()
	response, err := b.http.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.Fatal(err)
	}
	return page{response.StatusCode, response.Header, response.Request.URL, string(text)}
}

func (b *browser) get(u string) page {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, u, nil)
	if err != nil {
		b.Fatal(err)
	}
	return b.do(r)
}

func (b *browser) post(u string, form url.Values) page {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, u, strings.NewReader(form.Encode()))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

const (
	verifier = "a-verifier-of-at-least-43-characters-0123456789"
	callback = "http://127.0.0.1:49152/callback"
)

// authorizationURL is an authorization request as a client sends it; changes replace or, where empty, take out
// parameters.
func (b *browser) authorizationURL(changes ...string) string {
	sum := sha256.Sum256([]byte(verifier))
	q := url.Values{
		"client_id": {ClientID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid"}, "state": {"a state"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(changes); i += 2 {
		q.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			q.Del(changes[i])
		}
	}
	var about struct {
		Authorize string `json:"authorization_endpoint"`
	}
	if err := json.Unmarshal([]byte(b.get(b.issuer.URL()+"/.well-known/openid-configuration").text), &about); err != nil {
		b.Fatal(err)
	}
	return about.Authorize + "?" + q.Encode()
}

var requestField = regexp.MustCompile(`name="request" value="([^"]+)"`)

// signIn fills in the page, as far as the code.
func (b *browser) signIn(name, password string) (code string) {
	b.Helper()
	form := b.get(b.authorizationURL())
	m := requestField.FindStringSubmatch(form.text)
	if form.status != http.StatusOK || m == nil {
		b.Fatalf("the page to sign in: %d %s", form.status, form.text)
	}
	sent := b.post(form.url.Scheme+"://"+form.url.Host+"/sign-in", url.Values{"request": {m[1]}, "name": {name}, "password": {password}})
	to, err := url.Parse(sent.header.Get("Location"))
	if err != nil || sent.status != http.StatusFound || !strings.HasPrefix(to.String(), callback+"?") || to.Query().Get("state") != "a state" {
		b.Fatalf("sent back to %s: %d %s", to, sent.status, sent.text)
	}
	return to.Query().Get("code")
}

// exchange is the client's part.
func (b *browser) exchange(code, verifier string) (token string, p page) {
	b.Helper()
	p = b.post(b.issuer.URL()+"/oauth/token", url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "client_id": {ClientID}, "code_verifier": {verifier},
	})
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(p.text), &got); err != nil && p.status == http.StatusOK {
		b.Fatal(err)
	}
	return got.Token, p
}

// TestSignIn guarantees that the users of the demo get tokens with their tenants by authorization code
// and PKCE, signed by the issuer's key, also after it has changed.
func TestSignIn(t *testing.T) {
	b := newBrowser(t)
	for name, tenants := range map[string]string{Ana: "alpha", Ben: "[alpha beta]"} {
		token, p := b.exchange(b.signIn(name, name), verifier)
		if token == "" {
			t.Fatalf("%s: no token: %d %s", name, p.status, p.text)
		}
		claims, err := parse(t, b.issuer, token)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := claims.Get("tenant_id"); fmt.Sprint(got) != tenants || claims.Subject() != name+"@demo.example" {
			t.Errorf("%s got a token of %s for %v", name, claims.Subject(), got)
		}
		if err := b.issuer.Rotate(); err != nil {
			t.Fatal(err)
		}
		if _, err := parse(t, b.issuer, token); err == nil {
			t.Error("the old key is still published")
		}
	}
}

// TestSignInRefuses guarantees that the page and the provider are real: nobody gets in by a wrong
// password, and a code is nothing without its verifier, twice, or for another place.
func TestSignInRefuses(t *testing.T) {
	b := newBrowser(t)
	form := b.get(b.authorizationURL())
	id := requestField.FindStringSubmatch(form.text)[1]
	action := b.issuer.URL() + "/sign-in"
	for _, who := range []url.Values{
		{"request": {id}, "name": {Ana}, "password": {Ben}},
		{"request": {id}, "name": {"eve"}, "password": {"eve"}},
		{"request": {id}, "name": {""}, "password": {""}},
	} {
		if p := b.post(action, who); p.status != http.StatusUnauthorized || !strings.Contains(p.text, `role="alert"`) {
			t.Errorf("%v: %d %s", who, p.status, p.text)
		}
	}
	if p := b.post(action, url.Values{"request": {"forged"}, "name": {Ana}, "password": {Ana}}); p.status != http.StatusBadRequest {
		t.Errorf("a sign-in that nobody requested: %d", p.status)
	}
	if p := b.get(action + "?request=%22%3E%3Cscript%3E"); p.status != http.StatusBadRequest || strings.Contains(p.text, "script") {
		t.Errorf("a page for no request: %d %s", p.status, p.text)
	}

	code := b.signIn(Ana, Ana)
	if token, p := b.exchange(code, "another-verifier-of-at-least-43-characters-01"); token != "" || p.status == http.StatusOK {
		t.Errorf("a code with another verifier: %d %s", p.status, p.text)
	}
	if token, p := b.exchange(code, verifier); token != "" || p.status == http.StatusOK {
		t.Errorf("a code for a second time: %d %s", p.status, p.text)
	}

	for name, changes := range map[string][]string{
		"no PKCE":         {"code_challenge", "", "code_challenge_method", ""},
		"plain PKCE":      {"code_challenge_method", "plain"},
		"another client":  {"client_id", "another"},
		"another place":   {"redirect_uri", "http://192.0.2.1/callback"},
		"another path":    {"redirect_uri", "http://127.0.0.1:49152/elsewhere"},
		"an implicit one": {"response_type", "id_token token"},
		"without a page":  {"prompt", "none"},
	} {
		p := b.get(b.authorizationURL(changes...))
		if requestField.MatchString(p.text) {
			t.Errorf("%s: shown the page to sign in", name)
		}
		if to := p.header.Get("Location"); strings.Contains(to, "code=") || strings.Contains(to, "192.0.2.1") || strings.Contains(to, "elsewhere") {
			t.Errorf("%s: sent to %s", name, to)
		}
	}
}

// TestSignInsEnd guarantees that what nobody finishes is forgotten, and bounded.
func TestSignInsEnd(t *testing.T) {
	s := &signIns{byID: map[string]*signIn{}, byCode: map[string]string{}}
	for n := range maxSignIns {
		s.byID[fmt.Sprint(n)] = &signIn{}
	}
	s.byCode["code"] = "1"
	if _, err := s.get("1"); err == nil || len(s.byID) > 0 || len(s.byCode) > 0 {
		t.Errorf("%d old sign-ins and %d codes are kept", len(s.byID), len(s.byCode))
	}
}
