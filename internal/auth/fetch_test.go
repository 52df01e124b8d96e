package auth

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDiscoveryURL guarantees that a document elsewhere is that of the configured issuer, or of the one that is pinned.
func TestDiscoveryURL(t *testing.T) {
	const at = "https://internal.example/realms/acme/.well-known/openid-configuration"
	for _, tt := range []struct {
		name, pinned, document string
		ok                     bool
	}{
		{"the configured issuer", "", `{"issuer":"` + testIssuer + `"`, true},
		{"the configured issuer of access tokens", "", `{"issuer":"https://fs.example/adfs","access_token_issuer":"` + testIssuer + `"`, true},
		{"the pinned issuer", "https://other.example", `{"issuer":"https://other.example"`, true},
		{"another issuer", "", `{"issuer":"https://other.example"`, false},
		{"another issuer than the pinned", "https://other.example", `{"issuer":"` + testIssuer + `"`, false},
		{"the pinned one for access tokens", "https://other.example", `{"issuer":"https://evil.example","access_token_issuer":"https://other.example"`, false},
		{"no issuer", "", `{"x":1`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(jwksOf(t, genuine().jwk(t, nil)))
			p.serve(at, tt.document+`,"jwks_uri":"`+testJWKS+`"}`)
			v := start(t, p, func(c *Config) {
				c.Issuers[0].JWKSURL, c.Issuers[0].DiscoveryURL, c.Issuers[0].DiscoveryIssuer = "", at, tt.pinned
			})
			if (v.Ready() == nil) != tt.ok {
				t.Errorf("ready: %v", v.Ready())
			}
		})
	}
}

// TestProviderCredentials guarantees that a provider with a certificate of its own authority is reached, that the
// bearer token is read again and sent to the configured host alone, and that no redirect is followed with it.
func TestProviderCredentials(t *testing.T) {
	keys := jwksOf(t, genuine().jwk(t, nil))
	var foreign []string
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		foreign = append(foreign, r.URL.Path+" "+r.Header.Get("Authorization"))
		_, _ = w.Write([]byte(keys))
	}))
	defer elsewhere.Close()
	want := "Bearer first"
	mux := http.NewServeMux()
	provider := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != want {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	defer provider.Close()
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(keys)) })
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/keys", http.StatusFound)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) })
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, provider.URL, elsewhere.URL+"/discovered")
	})

	dir := t.TempDir()
	ca, bearer := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "token")
	write := func(path, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certificates := ""
	for _, server := range []*httptest.Server{provider, elsewhere} {
		certificates += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	}
	write(ca, certificates)
	write(bearer, "first\n")
	fetch := func(change func(*Issuer)) error {
		iss := Issuer{URL: provider.URL, JWKSURL: provider.URL + "/keys", Audiences: []string{testAudience}, TenantClaim: "tenant_id", CAFile: ca, BearerTokenFile: bearer}
		change(&iss)
		_, err := newSource(iss, false, defaultTransport()).fetch(context.Background())
		return err
	}
	if err := fetch(func(*Issuer) {}); err != nil {
		t.Errorf("with both files: %v", err)
	}
	want = "Bearer second"
	if err := fetch(func(*Issuer) {}); err == nil || !strings.Contains(err.Error(), "status 401") {
		t.Errorf("with the earlier token: %v", err)
	}
	write(bearer, "second")
	if err := fetch(func(*Issuer) {}); err != nil {
		t.Errorf("with the new token: %v", err)
	}
	for _, path := range []string{"/away", "/moved"} {
		if err := fetch(func(i *Issuer) { i.JWKSURL = provider.URL + path }); err == nil || !strings.Contains(err.Error(), "not followed with a bearer token") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := fetch(func(i *Issuer) { i.CAFile = "" }); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the authority: %v", err)
	}
	if err := fetch(func(i *Issuer) { i.JWKSURL = "" }); err != nil {
		t.Errorf("discovered on another host: %v", err)
	}
	if got := strings.Join(foreign, ","); got != "/discovered " {
		t.Errorf("the other host was sent %q; want one request without the token", got)
	}
}
