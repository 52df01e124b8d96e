package auth

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/logfence/logfence/internal/tenant"
)

const (
	otherIssuer = "https://login.example.org"
	otherJWKS   = "https://login.example.org/keys"
)

var otherSigner = signer{"ed", "EdDSA", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))}

// twoIssuers starts a Verifier of two issuers with keys of their own, the same key ID, audience and
// tenant claim. edSigner signs for the first, otherSigner for the second.
func twoIssuers(t *testing.T, first, second func(*Issuer)) *fixture {
	t.Helper()
	p := newProvider(jwksOf(t, edSigner.jwk(t, nil)))
	p.serve(otherJWKS, jwksOf(t, otherSigner.jwk(t, nil)))
	return start(t, p, func(c *Config) {
		c.Issuers = append(c.Issuers, Issuer{URL: otherIssuer, Audiences: []string{testAudience}, JWKSURL: otherJWKS, TenantClaim: "tenant_id"})
		first(&c.Issuers[0])
		second(&c.Issuers[1])
	})
}

func onlyTenants(names ...string) func(*Issuer) { return func(i *Issuer) { i.Tenants = names } }
func onlyPattern(pattern string) func(*Issuer)  { return func(i *Issuer) { i.TenantPattern = pattern } }
func everyTenant(i *Issuer)                     { i.AnyTenant = true }

// TestIssuerNamesOnlyItsOwnTenants guarantees, for each way to write a bound, which tenants a token of
// the second of two issuers may name, and that a token with one tenant outside is refused completely.
func TestIssuerNamesOnlyItsOwnTenants(t *testing.T) {
	both := func(i *Issuer) { i.Tenants, i.TenantPattern = []string{"beta"}, "b-.*" }
	for _, tt := range []struct {
		name  string
		bound func(*Issuer)
		claim any
		ok    bool
	}{
		{"a listed name", onlyTenants("beta", "gamma"), "beta", true},
		{"all listed names", onlyTenants("beta", "gamma"), []string{"gamma", "beta"}, true},
		{"a tenant of the other issuer", onlyTenants("beta"), "alpha", false},
		{"a tenant of the other issuer beside its own", onlyTenants("beta"), []string{"beta", "alpha"}, false},
		{"a listed name in another letter case", onlyTenants("beta"), "Beta", false},
		{"a longer name", onlyTenants("beta"), "beta2", false},
		{"a shorter name", onlyTenants("beta"), "bet", false},
		{"a dot in a listed name is a dot", onlyTenants("b.ta"), "beta", false},
		{"a name that matches", onlyPattern("b-[a-z]+"), "b-one", true},
		{"names of which one does not match", onlyPattern("b-[a-z]+"), []string{"b-one", "b-2"}, false},
		{"a name that the pattern matches at its beginning", onlyPattern("b-[a-z]+"), "b-one.alpha", false},
		{"a name that the pattern matches at its end", onlyPattern("b-[a-z]+"), "alpha-b-one", false},
		{"a name that the pattern matches in the middle", onlyPattern("beta"), "alphabetagamma", false},
		{"the first alternative, with more behind it", onlyPattern("beta|gamma"), "betaalpha", false},
		{"the last alternative, with more before it", onlyPattern("beta|gamma"), "alphagamma", false},
		{"a shorter alternative first", onlyPattern("b|beta"), "beta", true},
		{"as few letters as possible", onlyPattern("b.*?"), "beta", true},
		{"anchors in the pattern", onlyPattern("^beta$"), "beta", true},
		{"an anchor of one alternative", onlyPattern("^beta|gamma$"), "alphagamma", false},
		{"anchors of lines", onlyPattern("(?m)^beta$"), "beta-2", false},
		{"a pattern that quotes to its end", onlyPattern(`\Qb.ta`), "beta", false},
		{"in another letter case where the pattern says so", onlyPattern("(?i)beta"), "BETA", true},
		{"list and pattern: listed", both, "beta", true},
		{"list and pattern: matched", both, []string{"beta", "b-1"}, true},
		{"list and pattern: neither", both, "alpha", false},
		{"every tenant", everyTenant, []string{"alpha", "beta"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := twoIssuers(t, onlyTenants("alpha"), tt.bound)
			p, err := v.Verify(t.Context(), otherSigner.token(t, map[string]any{"iss": otherIssuer, "tenant_id": tt.claim}))
			if tt.ok {
				if err != nil || len(p.Tenants) == 0 {
					t.Fatalf("Verify = %+v, %v; want its tenants", p, err)
				}
				return
			}
			if !errors.Is(err, ErrNoTenant) || p.Tenants != nil {
				t.Fatalf("Verify = %+v, %v; want %v and no tenants", p, err, ErrNoTenant)
			}
			if !strings.Contains(err.Error(), otherIssuer) || p.Issuer != otherIssuer || p.Subject != "jane" {
				t.Errorf("Verify = %+v, %v; want issuer and subject for the record", p, err)
			}
		})
	}
}

// TestBoundOfOneIssuer guarantees that an issuer that is alone needs no bound, and keeps to one that is written.
func TestBoundOfOneIssuer(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bound func(*Issuer)
		ok    bool
	}{
		{"none", func(*Issuer) {}, true},
		{"listed", onlyTenants("alpha"), true},
		{"not listed", onlyTenants("beta"), false},
		{"matched", onlyPattern("al.*"), true},
		{"not matched", onlyPattern("al"), false},
		{"every tenant", everyTenant, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := genuineVerifier(t, func(c *Config) { tt.bound(&c.Issuers[0]) })
			p, err := v.Verify(t.Context(), genuine().token(t, nil))
			if tt.ok != (err == nil) || tt.ok != slices.Equal(tenant.Texts(p.Tenants), []string{"alpha"}) || !tt.ok && !errors.Is(err, ErrNoTenant) {
				t.Errorf("Verify = %+v, %v", p, err)
			}
		})
	}
}

// TestUnboundedAmongSeveralHoldsNothing guarantees that the bound of an issuer that says nothing is
// empty as soon as there is another issuer, whatever Validate lets pass.
func TestUnboundedAmongSeveralHoldsNothing(t *testing.T) {
	if (allowedTenants{}).contains("alpha") || newAllowedTenants(Issuer{}, false).contains("alpha") {
		t.Error("an issuer without a bound names a tenant")
	}
	if !newAllowedTenants(Issuer{}, true).contains("alpha") {
		t.Error("an issuer that is alone names no tenant")
	}
}

// boundDraw is a random bound, and what it contains by a second implementation.
type boundDraw struct {
	set      func(*Issuer)
	contains func(tenant string) bool
}

func drawBound(t *rapid.T, name string, tenants *rapid.Generator[string]) boundDraw {
	list := rapid.SliceOfNDistinct(tenants, 0, 3, rapid.ID[string]).Draw(t, name+" list")
	pattern := rapid.SampledFrom([]string{
		"", "a", "alpha", "al.*", "a|b", "b|beta", "(alpha|beta)-[0-9]", ".*-2", "^alpha", "beta$", "(?i)alpha", "b.?.?.?", "[^a]+", `\Qb.`,
	}).Draw(t, name+" pattern")
	switch {
	case len(list) == 0 && pattern == "":
		return boundDraw{everyTenant, func(string) bool { return true }}
	case len(list) == 0:
		list = nil
	}
	return boundDraw{
		func(i *Issuer) { i.Tenants, i.TenantPattern = list, pattern },
		func(tenant string) bool {
			if slices.Contains(list, tenant) {
				return true
			}
			if pattern == "" {
				return false
			}
			whole := `\A(?:` + pattern + `)\z`
			if strings.HasPrefix(pattern, `\Q`) {
				whole = `\A(?:` + pattern + `\E)\z`
			}
			return regexp.MustCompile(whole).MatchString(tenant)
		},
	}
}

// TestIssuerReachesOnlyItsOwn guarantees, for random bounds of two issuers and random claims, that a
// token gives tenants only if it is signed by the issuer that it names, and then all that it names, each
// in that issuer's bound: nothing that only the other's bound contains. What is cached changes nothing.
func TestIssuerReachesOnlyItsOwn(t *testing.T) {
	tenants := rapid.OneOf(
		rapid.SampledFrom([]string{"alpha", "beta", "Alpha", "a", "b", "b.", "alpha-1", "alpha-2", "beta-2", "alphabeta"}),
		rapid.StringMatching(`[ab][a-z.-]{0,3}`),
	)
	issuers := []struct {
		url string
		key signer
	}{{testIssuer, edSigner}, {otherIssuer, otherSigner}}
	granted, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		bounds := []boundDraw{drawBound(rt, "first", tenants), drawBound(rt, "second", tenants)}
		v := twoIssuers(t, bounds[0].set, bounds[1].set)
		defer v.Close()
		for range 8 {
			of := rapid.IntRange(0, 1).Draw(rt, "issuer")
			signedBy := rapid.SampledFrom([]int{of, of, of, 1 - of}).Draw(rt, "signed by")
			names := rapid.SliceOfN(tenants, 1, 4).Draw(rt, "tenants")
			var claim any = names
			if len(names) == 1 {
				claim = names[0]
			}
			token := issuers[signedBy].key.token(t, map[string]any{"iss": issuers[of].url, "tenant_id": claim})
			want := slices.Compact(slices.Sorted(slices.Values(names)))
			var wantErr error
			switch {
			case signedBy != of:
				want, wantErr = nil, ErrInvalidToken
			case slices.ContainsFunc(names, func(name string) bool { return !bounds[of].contains(name) }):
				want, wantErr = nil, ErrNoTenant
			}
			for _, look := range []string{"first", "second, perhaps cached"} {
				p, err := v.Verify(t.Context(), token)
				if !errors.Is(err, wantErr) || !slices.Equal(tenant.Texts(p.Tenants), want) {
					rt.Fatalf("%s look: tenants %q, %v; want %q, %v", look, p.Tenants, err, want, wantErr)
				}
				if err == nil && p.Issuer != issuers[of].url {
					rt.Fatalf("%s look: issuer %s; want %s", look, p.Issuer, issuers[of].url)
				}
			}
			switch {
			case wantErr == nil:
				granted++
			case errors.Is(wantErr, ErrNoTenant):
				refused++
			}
		}
	})
	if granted == 0 || refused == 0 {
		t.Errorf("%d granted, %d refused: the test says nothing", granted, refused)
	}
}

// TestDirectoriesOfOneProvider guarantees that a directory of Entra ID whose administrator assigns a
// role with the name of another customer's tenant reaches nothing, although both directories sign with
// the same key. The claims are those that its documentation shows for a v2.0 token.
func TestDirectoriesOfOneProvider(t *testing.T) {
	const own, other = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0", "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"
	const audience = "95283728-3dda-4a9e-a3af-e3d0586a4cac"
	key := genuine().jwk(t, map[string]any{"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0", "x5t": "-KI3Q9", "x5c": []string{"MIIDB"}})
	p := newProvider(jwksOf(t, key))
	v := start(t, p, func(c *Config) {
		c.Issuers = []Issuer{
			{URL: own, Audiences: []string{audience}, JWKSURL: testJWKS, TenantClaim: "roles", Tenants: []string{"alpha"}},
			{URL: other, Audiences: []string{audience}, JWKSURL: testJWKS, TenantClaim: "roles", Tenants: []string{"beta"}},
		}
	})
	token := func(iss string, roles ...string) string {
		return genuine().token(t, map[string]any{
			"aud": audience, "iss": iss, "aio": "AVQ", "azp": "6e74", "azpacr": "1", "name": "Ana", "oid": "690222be",
			"preferred_username": "ana@acme.com", "roles": roles, "scp": "logs.read", "sub": "HKZpf", "uti": "fq", "ver": "2.0",
			"wids": []string{"b79fbf4d-3ef9-4689-8143-76b194e85509"}, "tenant_id": nil, "iat": nil,
		})
	}
	for _, tt := range []struct {
		iss  string
		role string
		want []string
	}{{own, "alpha", []string{"alpha"}}, {other, "beta", []string{"beta"}}, {other, "alpha", nil}, {own, "beta", nil}} {
		got, err := v.Verify(t.Context(), token(tt.iss, tt.role))
		if d := cmp.Diff(tt.want, tenant.Texts(got.Tenants)); d != "" || tt.want == nil && !errors.Is(err, ErrNoTenant) {
			t.Errorf("%s with the role %s: %v (-want +got):\n%s", tt.iss, tt.role, err, d)
		}
	}
}

// TestValidateBounds guarantees that several issuers without bounds are refused, and that every mistake
// in a bound is reported with what to write instead.
func TestValidateBounds(t *testing.T) {
	const required = `required with more than one issuer; without it tokens of %q could name the tenants of the others; ` +
		`list the tenants that they may name, or write a tenant_pattern, or any_tenant: true if they may name every tenant`
	names := make([]string, maxBoundTenants+1)
	for i := range names {
		names[i] = fmt.Sprintf("t%d", i)
	}
	for _, tt := range []struct {
		name  string
		first func(*Issuer)
		rest  []func(*Issuer)
		want  []string
	}{
		{"one issuer, no bound", func(*Issuer) {}, nil, nil},
		{"two issuers, all ways", onlyTenants("alpha", "b.c_d-E"), []func(*Issuer){onlyPattern("b-.+")}, nil},
		{"three issuers, one for every tenant", onlyTenants("alpha"), []func(*Issuer){everyTenant, onlyTenants("alpha")}, nil},
		{"as many names as are taken", onlyTenants(names[:maxBoundTenants]...), nil, nil},
		{"a pattern of UUIDs", onlyPattern("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), nil, nil},
		{"two issuers without", func(*Issuer) {}, []func(*Issuer){func(*Issuer) {}}, []string{
			"Issuers[0].Tenants: " + fmt.Sprintf(required, testIssuer), "Issuers[1].Tenants: " + fmt.Sprintf(required, "https://id1.example.com/"),
		}},
		{"the second without", onlyTenants("alpha"), []func(*Issuer){func(*Issuer) {}}, []string{
			"Issuers[1].Tenants: " + fmt.Sprintf(required, "https://id1.example.com/"),
		}},
		{"an empty list, alone as well", func(i *Issuer) { i.Tenants = []string{} }, nil, []string{
			"Issuers[0].Tenants: an empty list; name the tenants that the issuer's tokens may name, or leave the key out",
		}},
		{"too many names", onlyTenants(names...), nil, []string{"Issuers[0].Tenants: 4097 names; at most 4096 are accepted; write a tenant_pattern for more"}},
		{"names that are none", onlyTenants("alpha", "acme-.*", "", "*", "alpha"), nil, []string{
			`Issuers[0].Tenants[1]: "acme-.*" is not a name of 1 to 128 bytes of [A-Za-z0-9._-]; a pattern goes into tenant_pattern`,
			`Issuers[0].Tenants[2]: "" is not a name of 1 to 128 bytes of [A-Za-z0-9._-]; a pattern goes into tenant_pattern`,
			`Issuers[0].Tenants[3]: "*" is not a name; write any_tenant: true, alone, if the issuer's tokens may name every tenant`,
			`Issuers[0].Tenants[4]: "alpha" is given twice; write it once`,
		}},
		{"a pattern that is none", onlyPattern("acme-("), nil, []string{
			`Issuers[0].TenantPattern: "acme-(" is not a regular expression (RE2): missing closing ): ` + "`acme-(`; write one such as acme-[a-z0-9]+",
		}},
		{"a pattern that would close what is written around it", onlyPattern("a)|(?:b"), nil, []string{
			`Issuers[0].TenantPattern: "a)|(?:b" is not a regular expression (RE2): unexpected ): ` + "`a)|(?:b`; write one such as acme-[a-z0-9]+",
		}},
		{"a pattern that is too long", onlyPattern(strings.Repeat("a", maxPatternBytes+1)), nil, []string{
			"Issuers[0].TenantPattern: 1025 bytes; at most 1024 are accepted",
		}},
		{"every tenant beside names", func(i *Issuer) { i.AnyTenant, i.Tenants = true, []string{"alpha"} }, nil, []string{
			"Issuers[0].AnyTenant: given beside tenants or tenant_pattern, which would then bound nothing; write one or the other",
		}},
		{"every tenant beside a pattern", func(i *Issuer) { i.AnyTenant, i.TenantPattern = true, "a.*" }, nil, []string{
			"Issuers[0].AnyTenant: given beside tenants or tenant_pattern, which would then bound nothing; write one or the other",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, problemsOf(boundedConfig(append([]func(*Issuer){tt.first}, tt.rest...)...))); d != "" {
				t.Errorf("Validate (-want +got):\n%s", d)
			}
		})
	}
	for _, pattern := range []string{".*", ".+", "(.*)", "^.*$", "[A-Za-z0-9._-]+", `[\w.-]{1,128}`, "a|.+", `\S+`} {
		want := []string{fmt.Sprintf("Issuers[0].TenantPattern: %q matches every name, so it bounds nothing; "+
			"write a narrower one, or any_tenant: true in its place if that is meant", pattern)}
		if d := cmp.Diff(want, problemsOf(boundedConfig(onlyPattern(pattern)))); d != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, d)
		}
	}
}

// TestWarnings guarantees that an issuer that may name every tenant is reported, and no other.
func TestWarnings(t *testing.T) {
	want := []string{`issuers[1].any_tenant: tokens of "https://id1.example.com/" may name every tenant, those of all other issuers included`}
	if d := cmp.Diff(want, boundedConfig(onlyTenants("alpha"), everyTenant, onlyPattern("b.*")).Warnings()); d != "" {
		t.Errorf("Warnings (-want +got):\n%s", d)
	}
}

// boundedConfig is a good Config of issuers with the bounds.
func boundedConfig(bounds ...func(*Issuer)) Config {
	c := Defaults()
	for i, set := range bounds {
		url := testIssuer
		if i > 0 {
			url = fmt.Sprintf("https://id%d.example.com/", i)
		}
		iss := Issuer{URL: url, Audiences: []string{testAudience}, TenantClaim: "tenant_id"}
		set(&iss)
		c.Issuers = append(c.Issuers, iss)
	}
	return c
}

func problemsOf(c Config) []string {
	err := c.Validate()
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}
