package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

const (
	issuer   = "https://id.example.com"
	audience = "logfence"
)

// signTokens signs one token for each of so many tenants, and gives the file with the key to verify them.
func signTokens(folder string, tenants int) (tokens []string, keysFile string, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, "", fmt.Errorf("make a key: %w", err)
	}
	signing, err := jwk.FromRaw(private)
	if err != nil {
		return nil, "", fmt.Errorf("make a key: %w", err)
	}
	verifying, err := jwk.FromRaw(public)
	if err != nil {
		return nil, "", fmt.Errorf("make a key: %w", err)
	}
	for _, key := range []jwk.Key{signing, verifying} {
		for name, value := range map[string]any{jwk.KeyIDKey: "bench", jwk.AlgorithmKey: jwa.EdDSA} {
			if err := key.Set(name, value); err != nil {
				return nil, "", fmt.Errorf("name the key: %w", err)
			}
		}
	}
	set, err := json.Marshal(map[string]any{"keys": []jwk.Key{verifying}})
	if err != nil {
		return nil, "", fmt.Errorf("write the key: %w", err)
	}
	keysFile = filepath.Join(folder, "keys.json")
	if err := os.WriteFile(keysFile, set, 0o600); err != nil {
		return nil, "", fmt.Errorf("write the key: %w", err)
	}
	now := time.Now()
	for i := range tenants {
		claims, err := jwt.NewBuilder().Issuer(issuer).Audience([]string{audience}).IssuedAt(now).Expiration(now.Add(12*time.Hour)).
			Subject(fmt.Sprintf("user-%d@example.com", i)).Claim("tenant_id", fmt.Sprintf("tenant-%d", i)).Build()
		if err != nil {
			return nil, "", fmt.Errorf("make a token: %w", err)
		}
		signed, err := jwt.Sign(claims, jwt.WithKey(jwa.EdDSA, signing))
		if err != nil {
			return nil, "", fmt.Errorf("sign a token: %w", err)
		}
		tokens = append(tokens, string(signed))
	}
	return tokens, keysFile, nil
}
