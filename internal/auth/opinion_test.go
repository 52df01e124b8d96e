package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/logfence/logfence/internal/tenant"
)

// FuzzSecondOpinion guarantees that what is accepted is a signature to go-jose as well, over the same claims. The
// library is one of tests and of the demo alone: TestBinary in internal holds that.
func FuzzSecondOpinion(f *testing.F) {
	v := genuineVerifier(f, func(c *Config) { c.CacheEntries = 0 })
	public := edSigner.private.Public()
	good := claims(f, nil)
	for _, header := range []string{
		edSigner.header(), `{"alg":"EdDSA"}`, `{"alg":"EdDSA","kid":"ed","typ":"JOSE"}`, `{"alg":"EdDSA","kid":"ed","jku":"https://evil.example"}`,
		`{"alg":"EdDSA","kid":"ed","crit":["exp"]}`, `{"alg":"none"}`, `{"alg":"EdDSA","b64":false}`, `{"alg":"EdDSA","zip":"DEF"}`,
	} {
		f.Add(header, good, "", uint16(0))
		f.Add(header, good, "A", uint16(90))
		f.Add(header, good, "=", uint16(1000))
	}
	f.Fuzz(func(t *testing.T, header, payload, insert string, at uint16) {
		token := edSigner.sign(t, header, payload)
		i := min(int(at), len(token))
		token = token[:i] + insert + token[i:]
		if _, err := v.Verify(t.Context(), token); err != nil {
			return
		}
		if strings.Contains(header, "x5c") || strings.Contains(header, fullySpecifiedEdDSA) {
			return // go-jose reads the certificates, which logfence ignores, and does not know the name of RFC 9864
		}
		parsed, err := jose.ParseSigned(token, []jose.SignatureAlgorithm{jose.EdDSA})
		if err != nil {
			t.Fatalf("accepted, and not a JWS to go-jose: %v\n%s\n%s", err, header, payload)
		}
		signed, err := parsed.Verify(public)
		if err != nil {
			t.Fatalf("accepted, and not signed to go-jose: %v", err)
		}
		mine, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil || !bytes.Equal(signed, mine) {
			t.Errorf("the claims differ: %s and %s", signed, mine)
		}
	})
}

// FuzzShape guarantees for every shape that any claim gives valid names, each once, sorted and no more than a caller
// may have, or an error.
func FuzzShape(f *testing.F) {
	for _, claim := range []string{`"a b"`, `["a","b"]`, `{"a":{}}`, `[{"name":"a"}]`, `7`, `true`, `"[\"a\"]"`, `null`, `["logs-a","x"]`, `"a,b"`, `"[],\"names\":[]"`} {
		f.Add("split:json", claim)
		f.Add("match:logs-(?P<tenant>.+)", claim)
		f.Add("keys", claim)
		f.Add("field:name", claim)
		f.Add("number", claim)
	}
	f.Fuzz(func(t *testing.T, text, claim string) {
		s, err := parseShape(text)
		if err != nil {
			return
		}
		var value any
		decoder := json.NewDecoder(strings.NewReader(claim))
		if decoder.UseNumber(); decoder.Decode(&value) != nil {
			return
		}
		names, err := s.tenants(value)
		if err != nil {
			if names != nil {
				t.Errorf("%q beside %v", names, err)
			}
			return
		}
		if len(names) == 0 || len(names) > tenant.MaxNames || !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Errorf("%q", names)
		}
		for _, name := range names {
			if !name.Valid() || !strings.Contains(claim, string(name)) && !strings.Contains(claim, `\`) {
				t.Errorf("%q out of %s", name, claim)
			}
		}
	})
}
