package auth

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logfence/logfence/internal/fielderror"
)

// TestConfigValidate guarantees that every mistake is told at once, by its field, with what to write
// instead.
func TestConfigValidate(t *testing.T) {
	good := func() Config {
		c := Defaults()
		c.Issuers = []Issuer{{URL: "https://id.example.com/", Audiences: []string{"logfence"}, TenantClaim: "tenant_id"}}
		return c
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"good: discovery", func(*Config) {}, ""},
		{"good: an issuer that is no URL", func(c *Config) { c.Issuers[0].URL, c.Issuers[0].JWKSURL = "accounts", "https://a.example/k?x=1" }, ""},
		{"good: plain http for development", func(c *Config) { c.Issuers[0].URL, c.DangerouslyAllowHTTPJWKS = "http://127.0.0.1:1/", true }, ""},
		{"nothing at all", func(c *Config) { *c = Config{} }, `
Issuers: required; name at least one issuer, for without one no token could be believed
Algorithms: required; write some of RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA
KeysMaxStale: 0s; write at least 10m0s, such as 24h (keys are fetched every 5m0s)`},
		{"an empty issuer", func(c *Config) { c.Issuers = []Issuer{{}} }, `
Issuers[0].URL: required; write the issuer exactly as the tokens' iss has it, such as https://id.example.com/
Issuers[0].Audiences: required; without it a token made for another service would be accepted
Issuers[0].TenantClaim: required; write the claim that names the caller's tenants, such as tenant_id`},
		{"an issuer twice", func(c *Config) {
			c.Issuers[0].Tenants = []string{"alpha"}
			c.Issuers = append(c.Issuers, c.Issuers[0])
		}, `
Issuers[1].URL: "https://id.example.com/" is Issuers[0] already; name each issuer once`},
		{"discovery over http", func(c *Config) { c.Issuers[0].URL = "http://id.example.com/" }, `
Issuers[0].URL: "http://id.example.com/" is plain http, over which an attacker in the network path can replace the keys; write https, or allow it for development with DangerouslyAllowHTTPJWKS (or say where the keys are, with a JWKS URL or a keys file)`},
		{"discovery without a scheme", func(c *Config) { c.Issuers[0].URL = "id.example.com" }, `
Issuers[0].URL: "id.example.com" has no scheme; did you mean "https://id.example.com"? (or say where the keys are, with a JWKS URL or a keys file)`},
		{"discovery with a query", func(c *Config) { c.Issuers[0].URL = "https://id.example.com/?a=b" }, `
Issuers[0].URL: "https://id.example.com/?a=b" has a query or fragment, which discovery does not know; write the issuer without`},
		{"an issuer with a space", func(c *Config) { c.Issuers[0].URL = "https://id.example.com/ " }, `
Issuers[0].URL: "https://id.example.com/ " contains spaces or control characters; write the issuer exactly as the tokens' iss has it`},
		// A password is never shown, wherever it stands.
		{"a password in the URL", func(c *Config) { c.Issuers[0].JWKSURL = "https://u:hunter2@a.example/k?s=hunter2" }, `
Issuers[0].JWKSURL: "https://a.example/k" has a user name or password in it, and keys are public; write it without`},
		{"a password in a URL without a scheme", func(c *Config) { c.Issuers[0].JWKSURL = "u:hunter2@a.example/k" }, `
Issuers[0].JWKSURL: has no scheme, and a user name in it; write one such as https://id.example.com/jwks.json`},
		{"a file URL", func(c *Config) { c.Issuers[0].JWKSURL = "file:///etc/keys" }, `
Issuers[0].JWKSURL: "file:///etc/keys" has the scheme "file"; write https`},
		{"keys from two places", func(c *Config) { c.Issuers[0].JWKSURL, c.Issuers[0].KeysFile = "https://a.example/k", "k.pem" }, `
Issuers[0].KeysFile: given beside a JWKS URL; write one of the two`},
		{"algorithms", func(c *Config) { c.Algorithms = []string{"HS256", "none", "RS256", "ES256K"} }, `
Algorithms[0]: "HS256" is symmetric: everyone who can verify could also sign; write some of RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA
Algorithms[1]: "none" would believe tokens that nobody signed; write some of RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA
Algorithms[3]: "ES256K" is not supported; write some of RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA`},
		{"numbers", func(c *Config) { c.Leeway, c.InflightGrace, c.KeysMaxStale, c.CacheEntries = -1, -1, time.Minute, -1 }, `
Leeway: -1ns; write 0s to 5m0s, such as 30s
InflightGrace: -1ns; write 0s to 24h0m0s, such as 15m
KeysMaxStale: 1m0s; write at least 10m0s, such as 24h (keys are fetched every 5m0s)
CacheEntries: -1; write 0 (none) to 1048576, such as 16384`},
		{"two scopes", func(c *Config) { c.RequiredScope = "a b" }, `
RequiredScope: "a b" is not one scope; write a single one, without spaces, quotes or backslashes`},
		{"claims", func(c *Config) { c.Issuers[0].TenantClaim, c.Issuers[0].SelectorClaim = "a..b", `a\b` }, `
Issuers[0].TenantClaim: "a..b" has an empty name in it; write names joined by single dots, and \. for a dot in a name
Issuers[0].SelectorClaim: "a\\b" has a backslash that escapes nothing; write \. for a dot in a name, \\ for a backslash`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good()
			tt.change(&c)
			got := ""
			if err := c.Validate(); err != nil {
				got = "\n" + err.Error()
				if _, ok := errors.AsType[*fielderror.Error](err); !ok {
					t.Errorf("%v is not a field error", err)
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("Validate (-want +got):\n%s", d)
			}
		})
	}
}

// TestNewKeysFile guarantees that a keys file that cannot be used is an error at the start, told by
// its field.
func TestNewKeysFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.pem")
	c := Defaults()
	c.Issuers = []Issuer{{URL: testIssuer, Audiences: []string{testAudience}, KeysFile: path, TenantClaim: "tenant_id"}}
	for _, tt := range []struct{ name, content, cause string }{
		{"no file", "", "no such file"},
		{"garbage", "garbage", "neither PEM nor JWKS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.content != "" {
				if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := New(t.Context(), c)
			field, ok := errors.AsType[*fielderror.Error](err)
			if !ok || field.Field != "Issuers[0].KeysFile" || !strings.Contains(field.Problem.Error(), tt.cause) {
				t.Errorf("New: %v; want a field error of Issuers[0].KeysFile with %q", err, tt.cause)
			}
		})
	}
}
