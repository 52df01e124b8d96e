package auth

import (
	"crypto/elliptic"
	"testing"
)

// BenchmarkVerifyCached is what every request but a token's first costs.
func BenchmarkVerifyCached(b *testing.B) {
	v := genuineVerifier(b, nil)
	token := genuine().token(b, map[string]any{"tenant_id": []string{"alpha", "beta"}, "scope": "openid logs:read"})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyCold is what a token's first request costs.
func BenchmarkVerifyCold(b *testing.B) {
	p256 := ecSigner(b, "p256", "ES256", elliptic.P256())
	p := newProvider(jwksOf(b, genuine().jwk(b, nil), edSigner.jwk(b, nil), p256.jwk(b, nil)))
	v := start(b, p, func(c *Config) { c.CacheEntries = 0 })
	for _, s := range []signer{genuine(), p256, edSigner} {
		token := s.token(b, nil)
		b.Run(s.alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerifyRefused is what garbage costs: a token of a known key with another's signature, the
// most expensive refusal.
func BenchmarkVerifyRefused(b *testing.B) {
	v := genuineVerifier(b, nil)
	token := foreign().token(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token); err == nil {
			b.Fatal("believed")
		}
	}
}
