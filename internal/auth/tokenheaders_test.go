package auth

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestHeaderOfIssuer guarantees that a token counts only in a header that its own issuer lists, cached or not.
func TestHeaderOfIssuer(t *testing.T) {
	const other = "https://login.example.org"
	p := newProvider(jwksOf(t, genuine().jwk(t, nil)))
	v := start(t, p, func(c *Config) {
		c.Issuers[0].Tenants, c.Issuers[0].Headers = []string{"alpha"}, []string{"x-id-token", "Authorization"}
		c.Issuers = append(c.Issuers, Issuer{URL: other, Audiences: []string{testAudience}, JWKSURL: testJWKS, TenantClaim: "tenant_id", Tenants: []string{"alpha"}})
	})
	for range 2 {
		for _, tt := range []struct {
			issuer, header string
			ok             bool
		}{
			{testIssuer, "X-Id-Token", true},
			{testIssuer, "Authorization", true},
			{other, "Authorization", true},
			{other, "X-Id-Token", false},
			{testIssuer, "X-Forwarded-Access-Token", false},
		} {
			_, err := v.VerifyCredential(t.Context(), Credential{Header: tt.header, Token: genuine().token(t, map[string]any{"iss": tt.issuer})})
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, ErrInvalidToken) {
				t.Errorf("%s in %s: %v", tt.issuer, tt.header, err)
			}
		}
	}
}

// TestTokenHeaderOrder guarantees that headers are looked at in the order of the configuration, and that those which
// are no place for a token are refused with the reason.
func TestTokenHeaderOrder(t *testing.T) {
	c := Defaults()
	c.Issuers = []Issuer{{Headers: []string{"x-pomerium-jwt-assertion"}}, {}, {Headers: []string{"Authorization", "X-Id-Token"}}}
	if got := c.TokenHeaders(); !slices.Equal(got, []string{"X-Pomerium-Jwt-Assertion", "Authorization", "X-Id-Token"}) {
		t.Errorf("%q", got)
	}
	for name, reason := range map[string]string{
		"x-amzn-oidc-data": "the load balancer of any account can sign it", "cookie": "other sites", "X-Logfence-Tenant": "is not the name of a header for tokens",
		"a b": "is not the name", "": "is not the name", "Sec-Fetch-Site": "is not the name",
	} {
		c.Issuers = []Issuer{{URL: testIssuer, Audiences: []string{testAudience}, TenantClaim: "tenant_id", Headers: []string{name}}}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "Issuers[0].Headers: ") || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// FuzzReadCredential guarantees that a credential comes from the first configured header that is present, which is
// there once, and that a token is one.
func FuzzReadCredential(f *testing.F) {
	f.Add("Bearer abc", "", "abc", true, false)
	f.Add("Bearer abc", "x", "", true, true)
	f.Add("", "", "Bearer abc, def", false, true)
	f.Fuzz(func(t *testing.T, first, again, second string, has, basic bool) {
		h := http.Header{}
		if has {
			h["X-Id-Token"] = []string{first}
		}
		if again != "" {
			h["X-Id-Token"] = append(h["X-Id-Token"], again)
		}
		if second != "" {
			h["Authorization"] = []string{second}
		}
		c, err := ReadCredential(h, []string{"X-Id-Token", "Authorization"}, basic)
		if err != nil {
			if c.Token != "" {
				t.Errorf("a token beside %v", err)
			}
			return
		}
		want := "Authorization"
		if len(h["X-Id-Token"]) > 0 {
			want = "X-Id-Token"
		}
		if c.Header != want || len(h[want]) != 1 || !isB64Token(c.Token) || len(c.Token) > MaxTokenBytes {
			t.Errorf("%q of %q from %v", c.Token, c.Header, h)
		}
		if !basic && !strings.HasSuffix(h[want][0], c.Token) {
			t.Errorf("%q is not in the header %q", c.Token, h[want][0])
		}
	})
}
