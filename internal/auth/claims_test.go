package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/logfence/logfence/internal/tenant"
)

// TestTenants guarantees that tenants are read from exactly the claim that is configured, and that
// one doubtful name refuses them all.
func TestTenants(t *testing.T) {
	many := func(n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("t%02d", i)
		}
		text, err := json.Marshal(names)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var sixtyFour []string
	if err := json.Unmarshal([]byte(many(64)), &sixtyFour); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 128)

	for _, tt := range []struct {
		name, path, claims string // claims: members beside the good ones
		want               []string
	}{
		{"a string", "t", `"t":"alpha"`, []string{"alpha"}},
		{"an array of one", "t", `"t":["alpha"]`, []string{"alpha"}},
		{"several, sorted and once", "t", `"t":["b","a","b","B"]`, []string{"B", "a", "b"}},
		{"all that a name may have", "t", `"t":"Az09._-"`, []string{"Az09._-"}},
		{"128 bytes", "t", `"t":"` + long + `"`, []string{long}},
		{"64 names", "t", `"t":` + many(64), sixtyFour},
		// What Loki or a path would make of these is for the code that builds one to refuse.
		{"dots are names here", "t", `"t":[".",".."]`, []string{".", ".."}},

		{"absent", "t", `"u":"alpha"`, nil},
		{"in another letter case", "tenant_id2", `"Tenant_Id2":"alpha","TENANT_ID2":"alpha"`, nil},
		{"null", "t", `"t":null`, nil},
		{"a number", "t", `"t":7`, nil},
		{"a boolean", "t", `"t":true`, nil},
		{"an object", "t", `"t":{"alpha":true}`, nil},
		{"empty", "t", `"t":""`, nil},
		{"an empty array", "t", `"t":[]`, nil},
		{"65 names", "t", `"t":` + many(65), nil},
		{"65 times one name", "t", `"t":["a"` + strings.Repeat(`,"a"`, 64) + `]`, nil},
		{"129 bytes", "t", `"t":"` + long + `a"`, nil},
		{"an empty name among others", "t", `"t":["alpha",""]`, nil},
		{"null among others", "t", `"t":["alpha",null]`, nil},
		{"a number among others", "t", `"t":["alpha",1]`, nil},
		{"an array in an array", "t", `"t":[["alpha"]]`, nil},
		{"a space", "t", `"t":"alpha beta"`, nil},
		{"a comma", "t", `"t":"alpha,beta"`, nil},
		{"Loki's separator of tenants", "t", `"t":"alpha|beta"`, nil},
		{"a regular expression", "t", `"t":".*"`, nil},
		{"a quote", "t", `"t":"al\"pha"`, nil},
		{"a slash", "t", `"t":"../alpha"`, nil},
		{"a line break at the end", "t", `"t":"alpha\n"`, nil},
		{"a NUL", "t", `"t":"alpha\u0000"`, nil},
		{"a letter that looks like one of ours", "t", `"t":"аlpha"`, nil}, // Cyrillic
		{"half a surrogate", "t", `"t":"alpha\ud800"`, nil},

		{"a path", "app_metadata.tenant", `"app_metadata":{"tenant":"alpha"}`, []string{"alpha"}},
		{"a long path", "a.b.c.d", `"a":{"b":{"c":{"d":["alpha"]}}}`, []string{"alpha"}},
		{"a path is not a name with dots", "a.b", `"a.b":"alpha"`, nil},
		{"a name with dots", `a\.b`, `"a.b":"alpha","a":{"b":"beta"}`, []string{"alpha"}},
		{"a name with a backslash", `a\\b`, `"a\\b":"alpha"`, []string{"alpha"}},
		{"a name that is a URL", "https://acme.example/tenants", `"https://acme.example/tenants":["alpha"]`, []string{"alpha"}},
		{"on into a name that is a URL", `https://acme\.example/app.tenant`, `"https://acme.example/app":{"tenant":"alpha"}`, []string{"alpha"}},
		{"a path through a string", "a.b", `"a":"b"`, nil},
		{"a path through an array", "a.0", `"a":["alpha"]`, nil},
		{"a path that ends too early", "a", `"a":{"b":"alpha"}`, nil},
		{"a path in another letter case", "App.tenant", `"app":{"tenant":"alpha"}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := genuineVerifier(t, func(c *Config) { c.Issuers[0].TenantClaim = tt.path })
			rest := without(strings.TrimPrefix(claims(t, nil), "{"), "tenant_id")
			p, err := v.Verify(t.Context(), genuine().sign(t, genuine().header(), "{"+tt.claims+","+rest))
			if tt.want == nil && !errors.Is(err, ErrNoTenant) || tt.want != nil && err != nil {
				t.Errorf("Verify: %v", err)
			}
			if d := cmp.Diff(tt.want, tenant.Texts(p.Tenants)); d != "" {
				t.Errorf("tenants (-want +got):\n%s", d)
			}
		})
	}
}

// TestSelectorClaim guarantees that a configured selector is never left away in silence.
func TestSelectorClaim(t *testing.T) {
	for _, tt := range []struct {
		name  string
		claim any
		want  string // empty: refused
	}{
		{"a selector", `{namespace=~"shop|pay", env!="prod"}`, `{namespace=~"shop|pay", env!="prod"}`},
		// Whether it is one is for package tenancy to say; here it is text.
		{"what is none", `} or {`, `} or {`},
		{"absent", nil, ""},
		{"null", json.RawMessage("null"), ""},
		{"empty", "", ""},
		{"blank", " \t", ""},
		{"a number", 7, ""},
		{"an array", []string{`{a="b"}`}, ""},
		{"an object", map[string]any{"a": "b"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token := genuine().token(t, map[string]any{"loki": tt.claim})
			v := genuineVerifier(t, func(c *Config) { c.Issuers[0].SelectorClaim = "loki" })
			p, err := v.Verify(t.Context(), token)
			if p.Selector != tt.want {
				t.Errorf("selector %q; want %q", p.Selector, tt.want)
			}
			if tt.want == "" && (!errors.Is(err, ErrInvalidSelectorClaim) || p.Tenants != nil) {
				t.Errorf("Verify = %+v, %v; want %v and no tenants", p, err, ErrInvalidSelectorClaim)
			}
			if p, err := genuineVerifier(t, nil).Verify(t.Context(), token); err != nil || p.Selector != "" {
				t.Errorf("not configured: selector %q, %v", p.Selector, err)
			}
		})
	}
}

// TestRequiredScope guarantees that the scope is looked for in `scope` and `scp`, whole and exact.
func TestRequiredScope(t *testing.T) {
	for _, tt := range []struct {
		name string
		have map[string]any
		ok   bool
	}{
		{"scope", map[string]any{"scope": "openid logs:read"}, true},
		{"scope alone", map[string]any{"scope": "logs:read"}, true},
		{"scope as an array", map[string]any{"scope": []string{"openid", "logs:read"}}, true},
		{"scp", map[string]any{"scp": "logs:read"}, true},
		{"scp as an array", map[string]any{"scp": []string{"logs:read"}}, true},
		{"scp beside a scope without", map[string]any{"scope": "openid", "scp": []string{"logs:read"}}, true},
		{"beside what is no scope", map[string]any{"scp": []any{nil, 1, "logs:read"}}, true},
		{"none", nil, false},
		{"another", map[string]any{"scope": "logs:readwrite logs"}, false},
		{"in another letter case", map[string]any{"scope": "Logs:Read"}, false},
		{"claim in another letter case", map[string]any{"Scope": "logs:read"}, false},
		{"within an array's element", map[string]any{"scp": []string{"a logs:read b"}}, false},
		{"with a tab", map[string]any{"scope": "a\tlogs:read"}, false},
		{"as a member", map[string]any{"scope": map[string]any{"logs:read": true}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := genuineVerifier(t, func(c *Config) { c.RequiredScope = "logs:read" })
			p, err := v.Verify(t.Context(), genuine().token(t, tt.have))
			if tt.ok && err != nil || !tt.ok && !errors.Is(err, ErrInsufficientScope) {
				t.Errorf("Verify: %v", err)
			}
			if tt.ok != slices.Equal(tenant.Texts(p.Tenants), []string{"alpha"}) {
				t.Errorf("tenants %q", p.Tenants)
			}
		})
	}
}

// TestRefusedPrincipal guarantees that a genuine token that is refused tells who it was, for the
// record, and no tenants.
func TestRefusedPrincipal(t *testing.T) {
	v := genuineVerifier(t, func(c *Config) { c.RequiredScope = "logs:read" })
	p, err := v.Verify(t.Context(), genuine().token(t, map[string]any{"scope": "openid"}))
	if !errors.Is(err, ErrInsufficientScope) {
		t.Fatal(err)
	}
	if p.Subject != "jane" || p.Issuer != testIssuer || p.Tenants != nil {
		t.Errorf("principal %+v", p)
	}
}
