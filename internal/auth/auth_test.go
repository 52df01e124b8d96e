package auth

import (
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/logfence/logfence/internal/tenant"
)

// TestVerify guarantees that an honest token tells its caller.
func TestVerify(t *testing.T) {
	v := genuineVerifier(t, nil)
	got, err := v.Verify(t.Context(), genuine().token(t, map[string]any{
		"tenant_id": []string{"beta", "alpha", "beta"}, "scope": "openid logs:read", "scp": []string{"logs:read", "extra"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := Principal{
		Issuer: testIssuer, Subject: "jane", Tenants: []tenant.Name{"alpha", "beta"},
		Scopes: []string{"openid", "logs:read", "extra"}, Expiry: now.Add(time.Hour),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("principal (-want +got):\n%s", d)
	}
}

// TestVerifyRefuses guarantees that no token passes that is not whole, genuine, ours and of now.
// All are refused alike: the cause is for the log.
func TestVerifyRefuses(t *testing.T) {
	good := genuine()
	header := good.header()
	publicPEM := func() []byte {
		der, err := x509.MarshalPKIXPublicKey(good.private.Public())
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}()
	jwkText, err := json.Marshal(foreign().jwk(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	withClaims := func(changes map[string]any) string { return good.token(t, changes) }
	raw := func(payload string) string { return good.sign(t, header, payload) }
	headed := func(h string) string { return good.sign(t, h, claims(t, nil)) }
	genuineToken := withClaims(nil)
	parts := strings.Split(genuineToken, ".")
	rest := strings.TrimPrefix(claims(t, nil), "{")

	for _, tt := range []struct{ name, token, cause string }{
		{"empty", "", "not three parts"},
		{"garbage", "garbage", "not three parts"},
		{"two parts", parts[0] + "." + parts[1], "not three parts"},
		{"encrypted: five parts", genuineToken + ".a.b", "not three parts"},
		{"no signature", parts[0] + "." + parts[1] + ".", "no signature"},
		{"no header", "." + parts[1] + "." + parts[2], "not JSON"},
		{"JSON serialization", fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, parts[0], parts[1], parts[2]), "not three parts"},
		{"padded base64", parts[0] + "." + parts[1] + "." + parts[2] + "==", "not base64url"},
		{"line break in base64", parts[0] + "." + parts[1] + "." + parts[2] + "\n", "not base64url"},
		{"stray bits at the end of the signature", genuineToken[:len(genuineToken)-1] + next(genuineToken[len(genuineToken)-1]), "base64url"},
		{"signature cut short by a byte", parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-2], "not by a key"},
		{"signature of another token", parts[0] + "." + strings.Split(withClaims(map[string]any{"tenant_id": "beta"}), ".")[1] + "." + parts[2], "not by a key"},
		{"signed by another key under the same key ID", foreign().token(t, nil), "not by a key"},
		{"huge", genuineToken + strings.Repeat("A", MaxTokenBytes), "bytes; at most"},

		{"alg none", b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", "no signature"},
		{"alg none with a signature", b64([]byte(`{"alg":"none","kid":"k1"}`)) + "." + parts[1] + "." + parts[2], "not allowed"},
		{"alg nOnE", b64([]byte(`{"alg":"nOnE","kid":"k1"}`)) + "." + parts[1] + "." + parts[2], "not allowed"},
		{"HS256 with the public key as PEM", hmacToken(`{"alg":"HS256","kid":"k1"}`, claims(t, nil), publicPEM), "not allowed"},
		{"HS256 with the public key's modulus", hmacToken(`{"alg":"HS256","kid":"k1"}`, claims(t, nil), genuine().private.(*rsa.PrivateKey).N.Bytes()), "not allowed"},
		{"an algorithm that its key is not for", headed(`{"alg":"RS512","kid":"k1"}`), "does not go with its key"},
		{"an algorithm of another kind of key", headed(`{"alg":"EdDSA","kid":"k1"}`), "does not go with its key"},
		{"an algorithm in lower case", headed(`{"alg":"rs256","kid":"k1"}`), "not allowed"},
		{"alg is an array", headed(`{"alg":["RS256"],"kid":"k1"}`), "no alg"},
		{"no alg", headed(`{"kid":"k1"}`), "no alg"},
		{"alg in another letter case", headed(`{"Alg":"RS256","kid":"k1"}`), "no alg"},
		{"alg twice", headed(`{"alg":"RS256","alg":"RS256","kid":"k1"}`), `member "alg" is given twice`},
		{"alg twice, once escaped", headed(`{"alg":"RS256","\u0061lg":"none","kid":"k1"}`), `member "alg" is given twice`},

		{"unknown key", headed(`{"alg":"RS256","kid":"k2"}`), "no key named"},
		{"key ID is a number", headed(`{"alg":"RS256","kid":1}`), "kid"},
		{"key ID is empty", headed(`{"alg":"RS256","kid":""}`), "kid"},
		{"key ID is a path", headed(`{"alg":"RS256","kid":"../../dev/null"}`), "no key named"},
		{"jwk of its own", foreign().sign(t, `{"alg":"RS256","kid":"k1","jwk":`+string(jwkText)+`}`, claims(t, nil)), "jwk"},
		{"crit", headed(`{"alg":"RS256","kid":"k1","crit":["exp"],"exp":1}`), "crit"},
		{"crit, empty", headed(`{"alg":"RS256","kid":"k1","crit":[]}`), "crit"},
		{"b64 without crit", headed(`{"alg":"RS256","kid":"k1","b64":false}`), "b64"},
		{"a logout token", headed(`{"alg":"RS256","kid":"k1","typ":"logout+jwt"}`), "typ"},
		{"typ is null", headed(`{"alg":"RS256","kid":"k1","typ":null}`), "typ"},
		{"header is an array", headed(`["RS256"]`), "not a JSON object"},
		{"header is not UTF-8", headed("{\"alg\":\"RS256\",\"kid\":\"\xff\"}"), "not UTF-8"},

		{"no issuer", withClaims(map[string]any{"iss": nil}), "no iss"},
		{"another issuer", withClaims(map[string]any{"iss": "https://evil.example/"}), "is not configured"},
		{"the issuer without its slash", withClaims(map[string]any{"iss": strings.TrimSuffix(testIssuer, "/")}), "is not configured"},
		{"the issuer in capitals", withClaims(map[string]any{"iss": "https://ID.example.com/"}), "is not configured"},
		{"the issuer in an array", withClaims(map[string]any{"iss": []string{testIssuer}}), "no iss"},
		{"no audience", withClaims(map[string]any{"aud": nil}), "audience"},
		{"another audience", withClaims(map[string]any{"aud": "other"}), "audience"},
		{"the audience as a prefix", withClaims(map[string]any{"aud": "logfence2"}), "audience"},
		{"the audience in capitals", withClaims(map[string]any{"aud": "LOGFENCE"}), "audience"},
		{"no audience in the array", withClaims(map[string]any{"aud": []string{}}), "audience"},
		{"audiences of others", withClaims(map[string]any{"aud": []string{"a", "b"}}), "audience"},
		{"an audience that is no string beside ours", withClaims(map[string]any{"aud": []any{"logfence", 1}}), "audience"},
		{"audience is an object", withClaims(map[string]any{"aud": map[string]any{"logfence": true}}), "audience"},

		{"no expiry", withClaims(map[string]any{"exp": nil}), "no exp"},
		{"expiry is null", raw(`{"exp":null,` + without(rest, "exp")), "exp is not a number"},
		{"expiry is a string", withClaims(map[string]any{"exp": "1999999999"}), "exp is not a number"},
		{"expiry in milliseconds", withClaims(map[string]any{"exp": now.Add(time.Hour).UnixMilli()}), "exp is not a date"},
		{"expiry beyond numbers", raw(`{"exp":1e999,` + without(rest, "exp")), "exp is not a date"},
		{"expiry before 1970", withClaims(map[string]any{"exp": -1}), "exp is not a date"},
		{"expired", withClaims(map[string]any{"exp": now.Add(-time.Hour).Unix()}), "expired"},
		{"expired by the leeway", withClaims(map[string]any{"exp": now.Add(-30 * time.Second).Unix()}), "expired"},
		{"not yet valid", withClaims(map[string]any{"nbf": now.Add(31 * time.Second).Unix()}), "nbf"},
		{"issued in the future", withClaims(map[string]any{"iat": now.Add(31 * time.Second).Unix()}), "iat"},
		{"not-before is a string", withClaims(map[string]any{"nbf": "0"}), "nbf is not a number"},
		{"issued-at is a boolean", withClaims(map[string]any{"iat": true}), "iat is not a number"},
		{"subject is a number", withClaims(map[string]any{"sub": 7}), "sub"},

		{"a claim twice", raw(`{"tenant_id":"beta",` + rest), `member "tenant_id" is given twice`},
		{"the expiry twice", raw(`{"exp":99999999999,` + rest), `member "exp" is given twice`},
		{"a claim twice, once escaped", raw(`{"tenant\u005fid":"beta",` + rest), `member "tenant_id" is given twice`},
		{"a claim twice, deep inside", raw(`{"x":[{"y":{"a":1,"a":1}}],` + rest), `member "a" is given twice`},
		{"claims nested too deep", raw(`{"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `,` + rest), "nested"},
		{"claims nested as deep as fits", raw(`{"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `,` + rest), "nested"},
		{"claims are an array", raw(`[]`), "not a JSON object"},
		{"claims are null", raw(`null`), "not a JSON object"},
		{"claims with something after", raw(claims(t, nil) + `{}`), "not JSON"},
		{"claims with a trailing comma", raw(strings.TrimSuffix(claims(t, nil), "}") + ",}"), "not JSON"},
		{"claims are a token again", raw(`"` + genuineToken + `"`), "not a JSON object"},
		{"claims are not UTF-8", raw("{\"x\":\"\xc0\xae\"," + rest), "not UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := genuineVerifier(t, nil)
			p, err := v.Verify(t.Context(), tt.token)
			if !errors.Is(err, ErrInvalidToken) {
				t.Fatalf("Verify = %+v, %v; want %v", p, err, ErrInvalidToken)
			}
			if !strings.Contains(err.Error(), tt.cause) {
				t.Errorf("refused as %q; want for %q", err, tt.cause)
			}
			if d := cmp.Diff(Principal{}, p); d != "" {
				t.Errorf("a refused token told its caller:\n%s", d)
			}
		})
	}
}

// TestVerifyTakes guarantees what honest providers do differently.
func TestVerifyTakes(t *testing.T) {
	rest := strings.TrimPrefix(claims(t, nil), "{")
	for _, tt := range []struct{ name, header, claims string }{
		{"an audience among others", "", claims(t, map[string]any{"aud": []string{"other", testAudience}})},
		{"an access token of RFC 9068", `{"alg":"RS256","kid":"k1","typ":"at+jwt"}`, ""},
		{"a media type in full", `{"alg":"RS256","kid":"k1","typ":"application/at+JWT"}`, ""},
		{"no typ", `{"alg":"RS256","kid":"k1"}`, ""},
		{"no key ID", `{"alg":"RS256"}`, ""},
		{"a header that nobody knows", `{"alg":"RS256","kid":"k1","x5t":"abc","nonce":"n"}`, ""},
		{"expired by less than the leeway", "", claims(t, map[string]any{"exp": now.Add(-29 * time.Second).Unix()})},
		{"not yet valid by the leeway", "", claims(t, map[string]any{"nbf": now.Add(30 * time.Second).Unix()})},
		{"issued in the future by the leeway", "", claims(t, map[string]any{"iat": now.Add(30 * time.Second).Unix()})},
		{"a fraction of a second", "", `{"exp":` + fmt.Sprintf("%d.75", now.Add(time.Hour).Unix()) + `,` + without(rest, "exp")},
		{"no issued-at and no subject", "", claims(t, map[string]any{"iat": nil, "sub": nil})},
		{"claims in another letter case beside ours", "", `{"Tenant_Id":"beta","TENANT_ID":"beta","EXP":1,"Iss":"x",` + rest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header, payload := tt.header, tt.claims
			if header == "" {
				header = genuine().header()
			}
			if payload == "" {
				payload = claims(t, nil)
			}
			p, err := genuineVerifier(t, nil).Verify(t.Context(), genuine().sign(t, header, payload))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(tenant.Texts(p.Tenants), []string{"alpha"}) {
				t.Errorf("tenants %q; want alpha", p.Tenants)
			}
		})
	}
}

// TestVerifyAlgorithms guarantees that each supported algorithm works, and that leaving one out of
// the configuration refuses it.
func TestVerifyAlgorithms(t *testing.T) {
	signers := []signer{
		edSigner,
		ecSigner(t, "p256", "ES256", elliptic.P256()),
		ecSigner(t, "p384", "ES384", elliptic.P384()),
		ecSigner(t, "p521", "ES512", elliptic.P521()),
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		signers = append(signers, signer{alg, alg, genuine().private})
	}
	var keys []map[string]any
	var algorithms []string
	for _, s := range signers {
		keys, algorithms = append(keys, s.jwk(t, nil)), append(algorithms, s.alg)
	}
	slices.Sort(algorithms)
	if d := cmp.Diff(slices.Sorted(slices.Values(SupportedAlgorithms())), algorithms); d != "" {
		t.Fatalf("supported and tested algorithms differ:\n%s", d)
	}
	p := newProvider(jwksOf(t, keys...))
	all := start(t, p, nil)
	for _, s := range signers {
		t.Run(s.alg, func(t *testing.T) {
			if _, err := all.Verify(t.Context(), s.token(t, nil)); err != nil {
				t.Errorf("allowed: %v", err)
			}
			others := start(t, p, func(c *Config) {
				c.Algorithms = slices.DeleteFunc(SupportedAlgorithms(), func(alg string) bool { return alg == s.alg })
			})
			if _, err := others.Verify(t.Context(), s.token(t, nil)); !errors.Is(err, ErrInvalidToken) {
				t.Errorf("not allowed: %v; want %v", err, ErrInvalidToken)
			}
		})
	}
}

// TestVerifyIssuers guarantees that each issuer stands alone: a key, an audience or a claim name of
// one is nothing with another.
func TestVerifyIssuers(t *testing.T) {
	const second = "https://login.example.org"
	p := newProvider(jwksOf(t, genuine().jwk(t, nil)))
	p.serve("https://login.example.org/keys", jwksOf(t, edSigner.jwk(t, map[string]any{"kid": "k1"})))
	v := start(t, p, func(c *Config) {
		c.Issuers[0].Tenants = []string{"alpha"}
		c.Issuers = append(c.Issuers, Issuer{
			URL: second, Audiences: []string{"second"}, JWKSURL: "https://login.example.org/keys", TenantClaim: "org", Tenants: []string{"beta"},
		})
	})
	ed := signer{"k1", "EdDSA", edSigner.private}
	ofSecond := map[string]any{"iss": second, "aud": "second", "org": "beta"}
	for _, tt := range []struct {
		name, token string
		want        []string
	}{
		{"the first", genuine().token(t, nil), []string{"alpha"}},
		{"the second", ed.token(t, ofSecond), []string{"beta"}},
		{"the second in the first one's name", ed.token(t, nil), nil},
		{"the first in the second one's name", genuine().token(t, ofSecond), nil},
		{"the second for the first one's audience", ed.token(t, map[string]any{"iss": second, "org": "beta"}), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := v.Verify(t.Context(), tt.token)
			if tt.want == nil && !errors.Is(err, ErrInvalidToken) {
				t.Errorf("Verify = %v, %v; want %v", p, err, ErrInvalidToken)
			}
			if d := cmp.Diff(tt.want, tenant.Texts(p.Tenants)); d != "" {
				t.Errorf("tenants (-want +got):\n%s\n%v", d, err)
			}
		})
	}
}

// TestErrorsTellNoToken guarantees that no error holds a part of a token, and none of its claims beyond those that the
// refusal is about and the token's issuer, subject and audience.
func TestErrorsTellNoToken(t *testing.T) {
	v := genuineVerifier(t, nil)
	good := genuine().token(t, nil)
	for _, token := range []string{
		foreign().token(t, nil), good[:len(good)-4], good + "x", good + "." + good,
		genuine().token(t, map[string]any{"tenant_id": "not a tenant, but a secret"}),
		genuine().token(t, map[string]any{"aud": "other", "email": "secret", "jti": "secret"}),
	} {
		_, err := v.Verify(t.Context(), token)
		if err == nil {
			t.Fatal("a bad token was believed")
		}
		for part := range strings.SplitSeq(token, ".") {
			for i := 0; i+16 <= len(part); i++ {
				if strings.Contains(err.Error(), part[i:i+16]) {
					t.Errorf("%q holds a part of the token", err)
				}
			}
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q holds a claim", err)
		}
	}
}

// without leaves a member out of a flat JSON object's text.
func without(object, name string) string {
	fields := map[string]any{}
	if err := json.Unmarshal([]byte("{"+object), &fields); err != nil {
		panic(err)
	}
	delete(fields, name)
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return strings.TrimPrefix(string(text), "{")
}

// next is another letter of base64url that differs in the last bit, which a signature of 256 bytes
// leaves unused.
func next(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}
