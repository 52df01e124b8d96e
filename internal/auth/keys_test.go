package auth

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logfence/logfence/internal/refresh"
)

// TestParseJWKS guarantees that only a public key that is for verifying, strong enough and of a
// known kind is taken, and that the others beside it do no harm.
func TestParseJWKS(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p256 := ecSigner(t, "p256", "ES256", elliptic.P256())
	good := genuine()
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	offCurve := p256.jwk(t, nil)
	offCurve["y"] = offCurve["x"]

	for _, tt := range []struct {
		name   string
		key    map[string]any
		reason string // empty: taken
	}{
		{"good", good.jwk(t, nil), ""},
		{"without alg", good.jwk(t, map[string]any{"alg": nil}), ""},
		{"without use", good.jwk(t, map[string]any{"use": nil}), ""},
		{"without kid", good.jwk(t, map[string]any{"kid": nil}), ""},
		{"key_ops verify", good.jwk(t, map[string]any{"use": nil, "key_ops": []string{"verify"}}), ""},
		{"a broken certificate beside the key", good.jwk(t, map[string]any{"x5c": []string{"AAAA"}, "x5t": 7}), ""},
		{"for encryption", good.jwk(t, map[string]any{"use": "enc"}), "use"},
		{"use is an array", good.jwk(t, map[string]any{"use": []string{"sig"}}), "use"},
		{"key_ops without verify", good.jwk(t, map[string]any{"key_ops": []string{"sign", "encrypt"}}), "key_ops"},
		{"key_ops is a string", good.jwk(t, map[string]any{"key_ops": "verify"}), "key_ops"},
		{"alg of encryption", good.jwk(t, map[string]any{"alg": "RSA-OAEP"}), "alg"},
		{"alg of another kind", good.jwk(t, map[string]any{"alg": "ES256"}), "alg"},
		{"alg HS256", good.jwk(t, map[string]any{"alg": "HS256"}), "alg"},
		{"alg none", good.jwk(t, map[string]any{"alg": "none"}), "alg"},
		{"alg is null", good.jwk(t, map[string]any{"alg": json.RawMessage("null")}), "alg"},
		{"kid is a number", good.jwk(t, map[string]any{"kid": 1}), "kid"},
		{"private", good.jwk(t, map[string]any{"d": "AAAA"}), "private"},
		{"symmetric", map[string]any{"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "k1", "alg": "HS256"}, "symmetric"},
		{"RSA too short", signer{"weak", "RS256", weak}.jwk(t, nil), "1024 bits"},
		{"RSA far too long", good.jwk(t, map[string]any{"n": b64(new(big.Int).Lsh(big.NewInt(1), 16384).Bytes())}), "16385 bits"},
		{"RSA with exponent 1", good.jwk(t, map[string]any{"e": "AQ"}), "exponent"},
		{"RSA with an even exponent", good.jwk(t, map[string]any{"e": "BA"}), "exponent"},
		{"RSA without a modulus", good.jwk(t, map[string]any{"n": nil}), "not a"},
		{"EC for another curve's algorithm", p256.jwk(t, map[string]any{"alg": "ES384"}), "alg"},
		{"EC off its curve", offCurve, "EC"},
		{"EC on an unknown curve", p256.jwk(t, map[string]any{"crv": "secp256k1"}), "not a"},
		{"X25519, which cannot sign", map[string]any{"kty": "OKP", "crv": "X25519", "x": b64(x25519.PublicKey().Bytes())}, "cannot verify"},
		{"Ed25519 cut short", edSigner.jwk(t, map[string]any{"x": "AAAA"}), "wrong size"},
		{"an unknown kind", map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}, "not a"},
		{"no kind", map[string]any{"kid": "k"}, "not a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set, err := parseJWKS([]byte(jwksOf(t, tt.key, p256.jwk(t, nil))), useSig)
			if err != nil {
				t.Fatalf("beside a good key: %v", err)
			}
			if tt.reason == "" {
				if len(set.keys) != 2 || len(set.ignored) != 0 {
					t.Errorf("%d keys, ignored %q; want both", len(set.keys), set.ignored)
				}
				return
			}
			if len(set.keys) != 1 || set.keys[0].id != "p256" || len(set.ignored) != 1 || !strings.Contains(set.ignored[0], tt.reason) {
				t.Errorf("%d keys, ignored %q; want one ignored for %q", len(set.keys), set.ignored, tt.reason)
			}
			if _, err := parseJWKS([]byte(jwksOf(t, tt.key)), useSig); err == nil {
				t.Errorf("a document of this key alone is taken")
			}
		})
	}
}

// TestParseJWKSRefuses guarantees that what is no key set, or one without a usable key, is an error
// and can so replace nothing.
func TestParseJWKSRefuses(t *testing.T) {
	many := make([]map[string]any, maxKeys+1)
	for i := range many {
		many[i] = edSigner.jwk(t, nil)
	}
	for _, tt := range []struct{ name, document string }{
		{"empty", ""},
		{"an HTML page", "<!doctype html><title>Down for maintenance</title>"},
		{"null", "null"},
		{"no keys member", "{}"},
		{"keys in another letter case", strings.Replace(jwksOf(t, genuine().jwk(t, nil)), "keys", "Keys", 1)},
		{"no key", `{"keys":[]}`},
		{"keys is an object", `{"keys":{}}`},
		{"keys is null", `{"keys":null}`},
		{"a key that is a string", `{"keys":["k"]}`},
		{"keys twice", `{"keys":[],` + strings.TrimPrefix(jwksOf(t, genuine().jwk(t, nil)), "{")},
		{"cut short", strings.TrimSuffix(jwksOf(t, genuine().jwk(t, nil)), "}")},
		{"too many", jwksOf(t, many...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if set, err := parseJWKS([]byte(tt.document), useSig); err == nil {
				t.Errorf("taken, with %d keys", len(set.keys))
			}
		})
	}
}

// TestKeysFile guarantees that a file of PEM or JWKS verifies, with any key ID where it names none,
// and that one with a private key is refused.
func TestKeysFile(t *testing.T) {
	p256 := ecSigner(t, "p256", "ES256", elliptic.P256())
	block := func(kind string, der []byte, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	pkix := func(s signer) string {
		der, err := x509.MarshalPKIXPublicKey(s.private.Public())
		return block("PUBLIC KEY", der, err)
	}
	rsaKey, ok := genuine().private.(*rsa.PrivateKey)
	if !ok {
		t.Fatal("the genuine key is not RSA")
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, rsaKey.Public(), rsaKey)
	private, privateErr := x509.MarshalPKCS8PrivateKey(rsaKey)
	ecKey, ok := p256.private.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatal("not an EC key")
	}
	ecPrivate, ecErr := x509.MarshalECPrivateKey(ecKey)

	for _, tt := range []struct {
		name, content string
		signers       []signer // whose tokens pass; none: the file is refused
	}{
		{"a public key", pkix(genuine()), []signer{genuine()}},
		{"several", pkix(p256) + "\n" + pkix(edSigner) + pkix(genuine()), []signer{genuine(), p256, edSigner}},
		{"text before a block", "# rotated in May\n" + pkix(genuine()), []signer{genuine()}},
		{"PKCS #1", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey), nil), []signer{genuine()}},
		{"a certificate", block("CERTIFICATE", certificate, err), []signer{genuine()}},
		{"JWKS", jwksOf(t, genuine().jwk(t, nil), p256.jwk(t, nil)), []signer{genuine(), p256}},
		{"a private key", block("PRIVATE KEY", private, privateErr), nil},
		{"a private EC key after a public one", pkix(genuine()) + block("EC PRIVATE KEY", ecPrivate, ecErr), nil},
		{"JWKS with a private key beside a public one", jwksOf(t, genuine().jwk(t, nil), p256.jwk(t, map[string]any{"d": "AAAA"})), nil},
		{"garbage in a block", block("PUBLIC KEY", []byte("garbage"), nil), nil},
		{"a block of another kind", block("DH PARAMETERS", []byte("x"), nil), nil},
		{"a block cut short", pkix(genuine()) + strings.TrimSuffix(pkix(p256), "-----END PUBLIC KEY-----\n"), nil},
		{"too many keys without names", strings.Repeat(pkix(edSigner), maxTries+1), nil},
		{"empty", "", nil},
		{"a base64 text", base64.StdEncoding.EncodeToString([]byte(pkix(genuine()))), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			c := Defaults()
			c.Issuers = []Issuer{{URL: testIssuer, Audiences: []string{testAudience}, KeysFile: path, TenantClaim: "tenant_id"}}
			v, err := New(t.Context(), c, WithClock(newClock()))
			if tt.signers == nil {
				if err == nil {
					v.Close()
					t.Fatal("taken")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			if err := v.Ready(); err != nil {
				t.Errorf("not ready from the start: %v", err)
			}
			for _, s := range tt.signers {
				if _, err := v.Verify(t.Context(), s.token(t, nil)); err != nil {
					t.Errorf("%s: %v", s.alg, err)
				}
			}
			if _, err := v.Verify(t.Context(), foreign().token(t, nil)); !errors.Is(err, ErrInvalidToken) {
				t.Errorf("a foreign key: %v; want %v", err, ErrInvalidToken)
			}
		})
	}
}

// TestKeysFileRotates guarantees that a file that changes is noticed without a restart: at once for
// a token of the new key.
func TestKeysFileRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	write := func(s signer) {
		t.Helper()
		if err := os.WriteFile(path, []byte(jwksOf(t, s.jwk(t, nil))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(genuine())
	v := start(t, newProvider(""), func(c *Config) { c.Issuers[0].JWKSURL, c.Issuers[0].KeysFile = "", path })
	if _, err := v.Verify(t.Context(), genuine().token(t, nil)); err != nil {
		t.Fatal(err)
	}
	write(edSigner)
	if _, err := v.Verify(t.Context(), edSigner.token(t, nil)); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if _, err := v.Verify(t.Context(), genuine().token(t, nil)); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("the key taken out: %v; want %v", err, ErrInvalidToken)
	}
}

// TestKeysFileIsFollowed guarantees that a key which is taken out of the file is no longer believed: seconds after
// the file has changed, and at once on Reload, without a token that names another key. A file with a mistake changes
// nothing.
func TestKeysFileIsFollowed(t *testing.T) {
	for name, await := range map[string]func(*Verifier){
		"by looking": func(*Verifier) { time.Sleep(2*refresh.DefaultInterval + time.Second) },
		"by Reload":  func(v *Verifier) { v.Reload() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "keys.json")
				write := func(content string) {
					t.Helper()
					if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				write(jwksOf(t, genuine().jwk(t, nil)))
				c := Defaults()
				c.Issuers = []Issuer{{URL: testIssuer, Audiences: []string{testAudience}, KeysFile: path, TenantClaim: "tenant_id"}}
				v, err := New(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				defer v.Close()
				now := time.Now()
				token := genuine().token(t, map[string]any{"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix()})
				believed := func() error {
					_, err := v.Verify(t.Context(), token)
					return err
				}
				if err := believed(); err != nil {
					t.Fatal(err)
				}
				write("no keys")
				await(v)
				synctest.Wait()
				if err := believed(); err != nil {
					t.Errorf("a mistake in the file: %v", err)
				}
				write(jwksOf(t, edSigner.jwk(t, nil)))
				await(v)
				synctest.Wait()
				if err := believed(); !errors.Is(err, ErrInvalidToken) {
					t.Errorf("the key taken out: %v; want %v", err, ErrInvalidToken)
				}
			})
		})
	}
}
