package main

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

const (
	issuer   = "https://id.example.com"
	audience = "logfence"
)

// signTokens returns a token for each of n tenants (tenant-0, tenant-1, ...), and writes the key set that
// verifies them to a file.
func signTokens(keysFile string, n int) ([]string, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	key, err := jwk.FromRaw(private)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	if err := errors.Join(key.Set(jwk.KeyIDKey, "bench"), key.Set(jwk.AlgorithmKey, jwa.EdDSA)); err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	public, err := key.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	set, err := json.Marshal(map[string]any{"keys": []jwk.Key{public}})
	if err == nil {
		err = os.WriteFile(keysFile, set, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("write key set: %w", err)
	}
	now := time.Now()
	tokens := make([]string, n)
	for i := range tokens {
		claims, err := jwt.NewBuilder().Issuer(issuer).Audience([]string{audience}).IssuedAt(now).Expiration(now.Add(12*time.Hour)).
			Subject(fmt.Sprintf("user-%d@example.com", i)).Claim("tenant_id", fmt.Sprintf("tenant-%d", i)).Build()
		if err != nil {
			return nil, fmt.Errorf("build token: %w", err)
		}
		signed, err := jwt.Sign(claims, jwt.WithKey(jwa.EdDSA, key))
		if err != nil {
			return nil, fmt.Errorf("sign token: %w", err)
		}
		tokens[i] = string(signed)
	}
	return tokens, nil
}
