package auth

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/tenant"
)

// FuzzVerify states the guarantee over any bytes: nothing panics, every refusal is one that has a
// documented error, and the tokens that pass are, byte for byte, those that the genuine keys signed.
func FuzzVerify(f *testing.F) {
	v := genuineVerifier(f, nil)
	issued := map[string]bool{}
	for _, s := range []signer{genuine(), edSigner} {
		for _, changes := range []map[string]any{nil, {"tenant_id": []string{"alpha", "beta"}}, {"aud": []string{"x", testAudience}}} {
			token := s.token(f, changes)
			issued[token] = true
			f.Add(token)
			f.Add(token + "=")
			f.Add(strings.ToLower(token))
		}
		f.Add(s.token(f, map[string]any{"exp": 1}))
		f.Add(s.token(f, map[string]any{"tenant_id": 1}))
		f.Add(s.sign(f, `{"alg":"none"}`, claims(f, nil)))
	}
	f.Add(foreign().token(f, nil))
	f.Add(hmacToken(`{"alg":"HS256","kid":"k1"}`, claims(f, nil), []byte("secret")))
	f.Add("..")

	f.Fuzz(func(t *testing.T, token string) {
		p, err := v.Verify(t.Context(), token)
		if (err == nil) != issued[token] {
			t.Errorf("Verify(%q) = %+v, %v; genuine: %t", token, p, err, issued[token])
		}
		if err == nil && len(p.Tenants) == 0 || err != nil && p.Tenants != nil {
			t.Errorf("Verify(%q) = %+v, %v", token, p, err)
		}
		if err != nil && !slices.ContainsFunc(Errors(), func(want error) bool { return errors.Is(err, want) }) {
			t.Errorf("Verify(%q): %v, which is none of Errors", token, err)
		}
	})
}

// FuzzClaims states it over what a genuine issuer may sign: whatever header and claims, what comes
// out is fit to be a tenant, is in the token, and is there once.
func FuzzClaims(f *testing.F) {
	v := genuineVerifier(f, func(c *Config) {
		c.Issuers[0].TenantClaim, c.Issuers[0].SelectorClaim, c.CacheEntries = "a.t", "s", 0
	})
	header := edSigner.header()
	for _, t := range []string{`"alpha"`, `["alpha","beta"]`, `null`, `{"x":1}`, `["a",["b"]]`, `"a\u0000"`, `1e400`} {
		f.Add(header, claims(f, map[string]any{"a": map[string]any{"t": json.RawMessage(t)}, "s": `{a="b"}`}))
	}
	f.Add(`{"alg":"EdDSA","kid":"ed","crit":["x"]}`, `{"a":{"t":"a"},"a":{"t":"b"}}`)
	f.Add(`{"alg":"EdDSA"}`, `[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]`)

	f.Fuzz(func(t *testing.T, header, payload string) {
		p, err := v.Verify(t.Context(), edSigner.sign(t, header, payload))
		if err != nil {
			if p.Tenants != nil || p.Selector != "" {
				t.Errorf("refused with %v, and yet %+v", err, p)
			}
			return
		}
		if n := len(p.Tenants); n == 0 || n > tenant.MaxNames || !slices.IsSorted(p.Tenants) {
			t.Errorf("tenants %q", p.Tenants)
		}
		for i, name := range p.Tenants {
			if !name.Valid() || i > 0 && name == p.Tenants[i-1] {
				t.Errorf("tenant %q", name)
			}
		}
		// Read again by names exactly, as others would: where we agree on a token, we agree on whose it is.
		var fields, object map[string]json.RawMessage
		read(t, []byte(payload), &fields)
		read(t, fields["a"], &object)
		var selector, name string
		read(t, fields["s"], &selector)
		var tenants []string
		if json.Unmarshal(object["t"], &name) == nil {
			tenants = []string{name}
		} else {
			read(t, object["t"], &tenants)
		}
		slices.Sort(tenants)
		if !slices.Equal(slices.Compact(tenants), tenant.Texts(p.Tenants)) || selector != p.Selector {
			t.Errorf("tenants %q, selector %q; another reader sees %q, %q", p.Tenants, p.Selector, tenants, selector)
		}
	})
}

func read(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Errorf("another reader refuses %q: %v", text, err)
	}
}
