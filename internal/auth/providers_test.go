package auth

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/tenant"
)

// TestHeaderParametersAreIgnored guarantees that what points a reader at a key of the token's own is neither followed
// nor used, and does not make a genuine token fail: some providers write it into every token.
func TestHeaderParametersAreIgnored(t *testing.T) {
	for _, parameter := range []string{
		`"jku":"https://evil.example/keys"`, `"x5u":"https://evil.example/cert"`, `"x5c":["AAAA"]`, `"x5t":"AAAA"`, `"jku":7`, `"typ":"JOSE"`,
	} {
		t.Run(parameter, func(t *testing.T) {
			p := newProvider(jwksOf(t, genuine().jwk(t, nil)))
			p.serve("https://evil.example/keys", jwksOf(t, foreign().jwk(t, nil)))
			v := start(t, p, nil)
			header := `{"alg":"RS256","kid":"k1",` + parameter + `}`
			if _, err := v.Verify(t.Context(), genuine().sign(t, header, claims(t, nil))); err != nil {
				t.Errorf("signed by the issuer: %v", err)
			}
			if _, err := v.Verify(t.Context(), foreign().sign(t, header, claims(t, nil))); !errors.Is(err, ErrInvalidToken) {
				t.Errorf("signed by another key: %v", err)
			}
			for url := range p.requests {
				if url != testJWKS {
					t.Errorf("a request to %s", url)
				}
			}
		})
	}
}

// TestEd25519IsEdDSA guarantees that the name of RFC 9864 is that of the same algorithm, in tokens and in keys.
func TestEd25519IsEdDSA(t *testing.T) {
	for _, tt := range []struct{ token, key string }{{"Ed25519", "Ed25519"}, {"EdDSA", "Ed25519"}, {"Ed25519", "EdDSA"}} {
		v := start(t, newProvider(jwksOf(t, edSigner.jwk(t, map[string]any{"alg": tt.key}))), nil)
		if _, err := v.Verify(t.Context(), edSigner.sign(t, fmt.Sprintf(`{"alg":%q,"kid":"ed"}`, tt.token), claims(t, nil))); err != nil {
			t.Errorf("token %s, key %s: %v", tt.token, tt.key, err)
		}
	}
	v := genuineVerifier(t, nil)
	if _, err := v.Verify(t.Context(), genuine().sign(t, `{"alg":"Ed25519","kid":"k1"}`, claims(t, nil))); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("with an RSA key: %v", err)
	}
}

// TestUnreadableKeysAreLeftOut guarantees that an entry of a key set that cannot be read does not take the others
// with it.
func TestUnreadableKeysAreLeftOut(t *testing.T) {
	good := strings.TrimSuffix(strings.TrimPrefix(jwksOf(t, genuine().jwk(t, nil)), `{"keys":[`), `]}`)
	for _, entry := range []string{`null`, `7`, `[]`, `{"kty":"RSA","kty":"EC"}`, strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40)} {
		set, err := parseJWKS([]byte(`{"keys":[`+entry+`,`+good+`]}`), useSig)
		if err != nil || len(set.keys) != 1 || len(set.ignored) != 1 {
			t.Errorf("%s: %+v, %v", entry, set, err)
		}
	}
	if set, err := parseJWKS([]byte("\xef\xbb\xbf"+jwksOf(t, genuine().jwk(t, map[string]any{"use": ""}))), useSig); err != nil || len(set.keys) != 1 {
		t.Errorf("a byte-order mark, and an empty use: %+v, %v", set, err)
	}
	for _, document := range []string{`{"keys":[` + good + `],"keys":[]}`, `{"keys":null}`, `{"keys":{}}`, `{"keys":[` + good + `]}x`, "{\"keys\":[" + good + "],\"\xff\":1}"} {
		if set, err := parseJWKS([]byte(document), useSig); err == nil {
			t.Errorf("%.60s…: %+v", document, set)
		}
	}
}

// TestClientIDsInPlaceOfAudience guarantees that a client ID counts for an access token that has no `aud` at all, and
// never beside one.
func TestClientIDsInPlaceOfAudience(t *testing.T) {
	access := func(changes map[string]any) map[string]any {
		return changed(map[string]any{"aud": nil, "client_id": "c1", "token_use": "access"}, changes)
	}
	for _, tt := range []struct {
		name      string
		clientIDs []string
		claims    map[string]any
		cause     string // empty: accepted
	}{
		{"listed", []string{"c0", "c1"}, access(nil), ""},
		{"an audience of ours", []string{"c1"}, map[string]any{"client_id": "c9"}, ""},
		{"not configured", nil, access(nil), "it has no aud"},
		{"not listed", []string{"c0"}, access(nil), `its client_id is "c1"`},
		{"no client", []string{"c1"}, access(map[string]any{"client_id": nil}), "its client_id is absent or null"},
		{"an identity token", []string{"c1"}, access(map[string]any{"token_use": "id"}), `its token_use is "id"`},
		{"no use", []string{"c1"}, access(map[string]any{"token_use": nil}), "its token_use is absent"},
		{"another audience beside", []string{"c1"}, access(map[string]any{"aud": "other"}), `its aud is "other"`},
		{"an empty audience beside", []string{"c1"}, access(map[string]any{"aud": ""}), `its aud is ""`},
		{"an empty list beside", []string{"c1"}, access(map[string]any{"aud": []string{}}), "its aud is []"},
		{"azp in its place", []string{"c1"}, map[string]any{"aud": nil, "azp": "c1", "token_use": "access"}, "its client_id is absent"},
		{"cid in its place", []string{"c1"}, map[string]any{"aud": nil, "cid": "c1", "token_use": "access"}, "its client_id is absent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := genuineVerifier(t, func(c *Config) { c.Issuers[0].ClientIDs = tt.clientIDs })
			_, err := v.Verify(t.Context(), genuine().token(t, tt.claims))
			wantCause(t, err, ErrInvalidToken, tt.cause)
		})
	}
	v := genuineVerifier(t, nil)
	null := strings.Replace(claims(t, map[string]any{"client_id": "c1", "token_use": "access"}), `"aud":"logfence"`, `"aud":null`, 1)
	_, err := v.Verify(t.Context(), genuine().sign(t, genuine().header(), null))
	wantCause(t, err, ErrInvalidToken, "its aud is absent or null")
}

// wantCause compares an error; with an empty cause there must be none.
func wantCause(t *testing.T, err, kind error, cause string) {
	t.Helper()
	if cause == "" && err != nil || cause != "" && (!errors.Is(err, kind) || !strings.Contains(err.Error(), cause)) {
		t.Errorf("%v; want %v with %q", err, kind, cause)
	}
}

// TestTenantShapes guarantees that each shape reads its own form of the claim, and no other.
func TestTenantShapes(t *testing.T) {
	long := make([]string, maxClaimValues+1)
	for i := range long {
		long[i] = fmt.Sprint("logs-", i%3)
	}
	for _, tt := range []struct {
		shape string
		claim any
		want  string // the tenants, or part of the cause
	}{
		{"", "alpha", "[alpha]"},
		{"", []string{"beta", "alpha"}, "[alpha beta]"},
		{"", map[string]any{"alpha": 1}, "not text or a list of texts"},
		{"", 4711, "not text or a list of texts"},
		{"", true, "not text or a list of texts"},
		{"keys", map[string]any{"beta": map[string]any{"id": "1"}, "alpha": nil}, "[alpha beta]"},
		{"keys", map[string]any{}, "holds 0 names"},
		{"keys", map[string]any{"a b": 1, "alpha": 1}, "the tenant claim has a"},
		{"keys", []string{"alpha"}, "not an object"},
		{"field:name", []any{map[string]any{"name": "alpha", "id": 1}, map[string]any{"name": "beta"}}, "[alpha beta]"},
		{"field:name", map[string]any{"name": "alpha"}, "[alpha]"},
		{"field:name", []any{map[string]any{"name": "alpha"}, map[string]any{"id": "beta"}}, "where this server expects another type"},
		{"field:name", []any{"alpha"}, "where this server expects another type"},
		{"number", 4711, "[4711]"},
		{"number", []any{1, 2}, "[1 2]"},
		{"number", 1e30, "where this server expects another type"},
		{"number", -1, "where this server expects another type"},
		{"number", 1.5, "where this server expects another type"},
		{"number", "4711", "where this server expects another type"},
		{"boolean", true, "[true]"},
		{"boolean", "true", "where this server expects another type"},
		{"split:space", "beta  alpha", "[alpha beta]"},
		{"split:space", " ", "holds 0 names"},
		{"split:comma", "alpha, beta", "[alpha beta]"},
		{"split:comma", "alpha,,beta", "the tenant claim has a"},
		{"split:comma", []string{"alpha"}, "not one text with the names"},
		{"split:comma", strings.Repeat("a,", 70), "names; 1 to 64"},
		{"split:json", `["alpha","beta"]`, "[alpha beta]"},
		{"split:json", `"alpha"`, "[alpha]"},
		{"split:json", `["alpha"],"names":["beta"]`, "not JSON in a text"},
		{"split:json", `["alpha"],"more":["beta"]`, "not one JSON value"},
		{"split:json", `alpha`, "not JSON in a text"},
		{"split:json", `{"alpha":1}`, "not text or a list of texts"},
		{"match:logs-(?P<tenant>[a-z]+)", []string{"Everyone", "logs-beta", "logs-alpha", "logs-alpha"}, "[alpha beta]"},
		{"match:logs-(?P<tenant>[a-z]+)", "logs-alpha", "[alpha]"},
		{"match:logs-(?P<tenant>[a-z]+)", []any{"logs-alpha", 7, nil, map[string]any{}}, "[alpha]"},
		{"match:logs-(?P<tenant>[a-z]+)", "xlogs-alpha", "holds 1 values, none of which names a tenant"},
		{"match:logs-(?P<tenant>[a-z]+)", "logs-alpha\nlogs-beta", "holds 1 values, none of which names a tenant"},
		{"match:logs-(?P<tenant>.+)", []string{"logs-a b", "logs-alpha"}, "[alpha]"},
		{"match:(?m:^logs-(?P<tenant>.+)$)", "logs-alpha\n", "holds 1 values, none of which names a tenant"},
		{"match:logs-(?P<tenant>.+)", long, "2001 values; at most 2000"},
		{"match:logs-(?P<tenant>.+)", long[1:], "[0 1 2]"},
		{`match:spiffe://acme\.org/ns/(?P<tenant>[a-z0-9-]+)/sa/.+`, "spiffe://acme.org/ns/alpha/sa/alloy", "[alpha]"},
	} {
		t.Run(fmt.Sprintf("%s of %.60v", tt.shape, tt.claim), func(t *testing.T) {
			v := genuineVerifier(t, func(c *Config) { c.Issuers[0].TenantShape = tt.shape })
			got, err := v.Verify(t.Context(), genuine().token(t, map[string]any{"tenant_id": tt.claim}))
			if err != nil {
				wantCause(t, err, ErrNoTenant, tt.want)
			} else if text := fmt.Sprint(got.Tenants); text != tt.want || !slices.IsSortedFunc(got.Tenants, func(a, b tenant.Name) int { return strings.Compare(string(a), string(b)) }) {
				t.Errorf("tenants %s; want %s", text, tt.want)
			}
		})
	}
}

const (
	ownDirectory   = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	otherDirectory = "9188040d-6c67-4c5b-b112-36a304b66dad" // of personal accounts
)

// TestDirectories guarantees that a token is accepted of the listed directories alone, where its issuer is the
// template with its own directory and its key may sign for that directory.
func TestDirectories(t *testing.T) {
	in := func(directory string, changes map[string]any) map[string]any {
		return changed(map[string]any{"iss": inDirectory(entraTemplate, directory), "tid": directory, "tenant_id": nil}, changes)
	}
	for _, tt := range []struct {
		name, keyIssuer string
		directories     []string
		claims          map[string]any
		cause           string // empty: accepted
	}{
		{"listed", entraTemplate, []string{ownDirectory}, in(ownDirectory, nil), ""},
		{"one of two", entraTemplate, []string{otherDirectory, ownDirectory}, in(ownDirectory, nil), ""},
		{"personal accounts, listed, with their own key", inDirectory(entraTemplate, otherDirectory), []string{otherDirectory}, in(otherDirectory, nil), ""},
		{"not listed", entraTemplate, []string{ownDirectory}, in(otherDirectory, nil), "which directories does not list"},
		{"the key of personal accounts", inDirectory(entraTemplate, otherDirectory), []string{ownDirectory}, in(ownDirectory, nil), "no key named"},
		{"a key that names no issuer", "", []string{ownDirectory}, in(ownDirectory, nil), "no key named"},
		{"of another directory than its issuer", entraTemplate, []string{ownDirectory, otherDirectory}, in(ownDirectory, map[string]any{"tid": otherDirectory}), "is not configured"},
		{"without a directory", entraTemplate, []string{ownDirectory}, in(ownDirectory, map[string]any{"tid": nil}), "is not configured"},
		{"the template itself", entraTemplate, []string{ownDirectory}, in(ownDirectory, map[string]any{"iss": entraTemplate}), "is not configured"},
		{"the template as its own directory", entraTemplate, []string{ownDirectory}, in(directoryPlace, nil), "which directories does not list"},
		{"a v1 issuer", entraTemplate, []string{ownDirectory}, in(ownDirectory, map[string]any{"iss": "https://sts.windows.net/" + ownDirectory + "/", "ver": "1.0"}), "a v1 token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(jwksOf(t, genuine().jwk(t, map[string]any{"issuer": tt.keyIssuer})))
			p.serve("https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration", `{"issuer":"`+entraTemplate+`","jwks_uri":"`+testJWKS+`"}`)
			v := start(t, p, func(c *Config) {
				c.Issuers[0] = Issuer{URL: entraTemplate, Directories: tt.directories, Audiences: []string{testAudience}, TenantClaim: "tid"}
			})
			got, err := v.Verify(t.Context(), genuine().token(t, tt.claims))
			wantCause(t, err, ErrInvalidToken, tt.cause)
			if err == nil && (got.Issuer != tt.claims["iss"] || len(got.Tenants) != 1 || string(got.Tenants[0]) != tt.claims["tid"]) {
				t.Errorf("principal %+v", got)
			}
			if n := p.count(testJWKS); n > 2 {
				t.Errorf("%d fetches of keys", n)
			}
		})
	}
}

// TestTrustDomain guarantees that a token without `iss` is accepted of a configured trust domain alone, with a key for
// JWT-SVIDs and an audience.
func TestTrustDomain(t *testing.T) {
	const id = "spiffe://acme.org/ns/alpha/sa/alloy"
	svid := func(changes map[string]any) map[string]any {
		all := map[string]any{"iss": nil, "sub": id}
		maps.Copy(all, changes)
		return all
	}
	for _, tt := range []struct {
		name, use string
		claims    map[string]any
		cause     string // empty: accepted
	}{
		{"good", useJWTSVID, svid(nil), ""},
		{"another trust domain", useJWTSVID, svid(map[string]any{"sub": "spiffe://evil.org/ns/alpha/sa/alloy"}), `trust domain "evil.org" is not configured`},
		{"the trust domain as a prefix", useJWTSVID, svid(map[string]any{"sub": "spiffe://acme.org.evil/ns/alpha"}), "is not configured"},
		{"the trust domain in capitals", useJWTSVID, svid(map[string]any{"sub": "spiffe://ACME.org/ns/alpha"}), "not a SPIFFE ID"},
		{"no path", useJWTSVID, svid(map[string]any{"sub": "spiffe://acme.org"}), "not a SPIFFE ID"},
		{"an empty segment", useJWTSVID, svid(map[string]any{"sub": "spiffe://acme.org/ns//sa"}), "not a SPIFFE ID"},
		{"a dotted segment", useJWTSVID, svid(map[string]any{"sub": "spiffe://acme.org/ns/../sa"}), "not a SPIFFE ID"},
		{"a port", useJWTSVID, svid(map[string]any{"sub": "spiffe://acme.org:80/ns/alpha"}), "not a SPIFFE ID"},
		{"a subject of another kind", useJWTSVID, svid(map[string]any{"sub": "jane"}), "no iss"},
		{"no subject", useJWTSVID, svid(map[string]any{"sub": nil}), "no iss"},
		{"an issuer that is not configured", useJWTSVID, svid(map[string]any{"iss": "https://evil.example"}), "is not configured"},
		{"the trust domain as issuer", useJWTSVID, svid(map[string]any{"iss": "spiffe://acme.org"}), "is not configured"},
		{"no audience", useJWTSVID, svid(map[string]any{"aud": nil}), "it has no aud"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newProvider(jwksOf(t, genuine().jwk(t, map[string]any{"use": tt.use, "alg": nil})))
			v := start(t, p, func(c *Config) {
				c.Issuers[0] = Issuer{
					TrustDomain: "acme.org", JWKSURL: testJWKS, Audiences: []string{testAudience}, TenantClaim: "sub",
					TenantShape: `match:spiffe://acme\.org/ns/(?P<tenant>[a-z0-9-]+)/sa/.+`,
				}
			})
			got, err := v.Verify(t.Context(), genuine().token(t, tt.claims))
			wantCause(t, err, ErrInvalidToken, tt.cause)
			if err == nil && (got.Issuer != "spiffe://acme.org" || got.Subject != id || fmt.Sprint(got.Tenants) != "[alpha]") {
				t.Errorf("principal %+v", got)
			}
		})
	}
	for use, keys := range map[string]int{useJWTSVID: 1, useSig: 0, "x509-svid": 0, "": 0} {
		if set, err := parseJWKS([]byte(jwksOf(t, genuine().jwk(t, map[string]any{"use": use}))), useJWTSVID); (err == nil) != (keys == 1) {
			t.Errorf("use %q: %+v, %v", use, set, err)
		}
	}
}

// TestRequiredClaims guarantees that a token without the exact value names no tenant.
func TestRequiredClaims(t *testing.T) {
	for _, tt := range []struct {
		required string
		claims   map[string]any
		cause    string
	}{
		{"owner=65", map[string]any{"owner": "65"}, ""},
		{"owner=65", map[string]any{"owner": 65}, ""},
		{"verified=true", map[string]any{"verified": true}, ""},
		{`a\.b.c=x=y`, map[string]any{"a.b": map[string]any{"c": "x=y"}}, ""},
		{"owner=65", map[string]any{"owner": "650"}, `owner is "650", expected "65"`},
		{"owner=65", nil, "owner is absent or null"},
		{"owner=65", map[string]any{"owner": []string{"65"}}, "owner is"},
	} {
		v := genuineVerifier(t, func(c *Config) { c.Issuers[0].RequiredClaims = []string{tt.required} })
		_, err := v.Verify(t.Context(), genuine().token(t, tt.claims))
		wantCause(t, err, ErrNoTenant, tt.cause)
	}
}
