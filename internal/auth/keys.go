package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"github.com/logfence/logfence/internal/strictjson"
)

// useSig is the `use` of keys that verify signatures (RFC 7517, section 4.2).
const useSig = "sig"

const (
	maxKeys = 256 // a document with more is none of a provider's
	// maxTries is how many keys one token may be tried against, where neither says which.
	maxTries = 16
	// RSA below 2048 bits is too weak (RFC 7518, section 3.3), above 8192 too expensive to verify.
	minRSABits, maxRSABits = 2048, 8192
)

// A key is one public key that can verify. Its algorithms follow from what it is, narrowed by its
// own members, and never from a token.
type key struct {
	id         string // empty: none
	algorithms []string
	public     publicKey
	issuer     string // whose tokens it signs, as Entra ID publishes it; empty: not said
}

// publicKey is what the standard library's public keys have in common.
type publicKey interface {
	Equal(other crypto.PublicKey) bool
}

// A keySet is what an issuer publishes, as far as it can verify. It is immutable; a new document
// makes a new one.
type keySet struct {
	keys    []key
	ignored []string // why keys were left out, one each, for the log
}

// candidates are the keys that may have signed the token: of its algorithm, and with its key ID or
// none; with a template those alone that sign for the token's directory. named tells whether there is one that has
// the token's key ID.
func (s *keySet) candidates(t *token, template string) (fit []key, named bool) {
	for _, k := range s.keys {
		if !k.signsFor(template, t) {
			continue
		}
		same := t.keyID != "" && k.id == t.keyID
		named = named || same
		if slices.Contains(k.algorithms, t.algorithm) && (same || t.keyID == "" || k.id == "") {
			fit = append(fit, k)
		}
	}
	return fit, named
}

// verify checks the token's signature with this key.
func (k key) verify(t *token) error {
	verifier, err := jws.NewVerifier(jwa.SignatureAlgorithm(t.algorithm))
	if err != nil {
		return fmt.Errorf("algorithm %s: %w", shorten(t.algorithm), err)
	}
	// Over the text as it came: jws.Verify would decode header and claims itself, by looser rules.
	return verifier.Verify(t.signed, t.signature, k.public)
}

func (s *keySet) equal(other *keySet) bool {
	return other != nil && slices.EqualFunc(s.keys, other.keys, func(a, b key) bool {
		return a.id == b.id && a.issuer == b.issuer && slices.Equal(a.algorithms, b.algorithms) && a.public.Equal(b.public)
	})
}

// parseJWKS reads a JSON Web Key Set (RFC 7517, section 5). Keys that cannot verify or be read are left out,
// as other kinds of keys are published beside ours; a document without a usable one is an error.
//
// use is what the keys' `use` has to be: sig, or where it is not given sig as well; jwt-svid in a bundle of SPIFFE.
func parseJWKS(document []byte, use string) (*keySet, error) {
	list, err := splitJWKS(document)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if len(list) > maxKeys {
		return nil, fmt.Errorf("key set: %d keys; at most %d are accepted", len(list), maxKeys)
	}
	set := new(keySet)
	for i, item := range list {
		k, err := parseJWK(item, use)
		if err != nil {
			set.ignored = append(set.ignored, fmt.Sprintf("key %d: %s", i, err))
			continue
		}
		set.keys = append(set.keys, k)
	}
	if len(set.keys) == 0 {
		return nil, fmt.Errorf("key set: none of its %d keys can verify: %q", len(list), set.ignored)
	}
	return set, nil
}

// byteOrderMark begins documents of some editors and libraries.
var byteOrderMark = []byte("\xef\xbb\xbf")

// splitJWKS returns the entries of the array named keys, each as it came: one that cannot be read must not take
// the others with it. A byte-order mark in front is skipped.
func splitJWKS(document []byte) ([]json.RawMessage, error) {
	document = bytes.TrimPrefix(document, byteOrderMark)
	if !utf8.Valid(document) || !json.Valid(document) {
		return nil, errors.New("not JSON in UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(document))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var list []json.RawMessage
	seen := make(map[string]bool)
	for dec.More() {
		token, err := dec.Token()
		name, ok := token.(string)
		var value json.RawMessage
		if err != nil || !ok || dec.Decode(&value) != nil {
			return nil, errors.New("not JSON") // json.Valid has seen that it is
		}
		if seen[name] {
			return nil, fmt.Errorf("member %s twice", shorten(name))
		}
		if seen[name] = true; name == "keys" && json.Unmarshal(value, &list) != nil {
			return nil, errors.New("its member keys is not an array")
		}
	}
	if list == nil {
		return nil, errors.New("no array named keys")
	}
	return list, nil
}

func parseJWK(document []byte, use string) (key, error) {
	fields, err := strictjson.Object(document)
	if err != nil {
		return key{}, err
	}
	// A published private key is compromised, and a symmetric key is always private.
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if _, ok := fields[private]; ok {
			return key{}, errors.New("private or symmetric")
		}
	}
	if given, ok := fields["use"]; given != use && (use != useSig || ok && given != "") {
		return key{}, fmt.Errorf("its use is not %s", use)
	}
	if ops, ok := fields["key_ops"]; ok {
		if list, isList := ops.([]any); !isList || !slices.Contains(list, any("verify")) {
			return key{}, errors.New("its key_ops lack verify")
		}
	}
	public, err := publicOfJWK(fields)
	if err != nil {
		return key{}, err
	}
	k, err := newKey(public)
	if err != nil {
		return key{}, err
	}
	if id, ok := fields["kid"]; ok {
		if k.id, ok = id.(string); !ok {
			return key{}, errors.New("its kid is not a string")
		}
	}
	k.issuer, _ = fields["issuer"].(string)
	if alg, ok := fields["alg"]; ok {
		name, _ := alg.(string)
		if name == fullySpecifiedEdDSA {
			name = "EdDSA"
		}
		if !slices.Contains(k.algorithms, name) {
			return key{}, errors.New("its alg is not one that it can verify")
		}
		k.algorithms = []string{name}
	}
	return k, nil
}

// publicOfJWK lets the library make the key, out of the members that make it up and no others: it
// refuses some keys for members that are no business of ours, such as a certificate chain.
func publicOfJWK(fields map[string]any) (any, error) {
	var bare bytes.Buffer
	members := make(map[string]any)
	for _, name := range []string{"kty", "n", "e", "crv", "x", "y"} {
		if v, ok := fields[name]; ok {
			members[name] = v
		}
	}
	if err := json.NewEncoder(&bare).Encode(members); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	parsed, err := jwk.ParseKey(bare.Bytes())
	if err != nil {
		return nil, fmt.Errorf("not a key that is known: %w", err)
	}
	var public any
	if err := parsed.Raw(&public); err != nil {
		return nil, fmt.Errorf("not a key: %w", err)
	}
	return public, nil
}

// newKey takes a public key of the standard library, if its type and strength are accepted.
func newKey(public any) (key, error) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return key{}, fmt.Errorf("RSA of %d bits; %d to %d are accepted", bits, minRSABits, maxRSABits)
		}
		if public.E < 3 || public.E%2 == 0 {
			return key{}, errors.New("RSA with an invalid exponent")
		}
		return key{public: public, algorithms: []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}}, nil
	case *ecdsa.PublicKey:
		if _, err := public.ECDH(); err != nil { // which sees whether the point is on the curve
			return key{}, fmt.Errorf("EC: %w", err)
		}
		// One algorithm a curve: RFC 7518, section 3.4.
		switch public.Curve {
		case elliptic.P256():
			return key{public: public, algorithms: []string{"ES256"}}, nil
		case elliptic.P384():
			return key{public: public, algorithms: []string{"ES384"}}, nil
		case elliptic.P521():
			return key{public: public, algorithms: []string{"ES512"}}, nil
		default:
			return key{}, errors.New("EC on a curve that is not supported")
		}
	case ed25519.PublicKey:
		if len(public) != ed25519.PublicKeySize {
			return key{}, errors.New("Ed25519 of the wrong size")
		}
		return key{public: public, algorithms: []string{"EdDSA"}}, nil
	default:
		return key{}, fmt.Errorf("a %T cannot verify", public)
	}
}

// parseKeysFile reads PEM blocks, or else a JWKS. In an operator's file, a key that cannot be
// used is an error, and is not ignored.
func parseKeysFile(content []byte, use string) (*keySet, error) {
	if block, _ := pem.Decode(content); block == nil {
		set, err := parseJWKS(content, use)
		if err != nil {
			return nil, fmt.Errorf("neither PEM nor JWKS: %w", err)
		}
		if len(set.ignored) > 0 {
			return nil, fmt.Errorf("key set: %q", set.ignored)
		}
		return set, nil
	}
	set := new(keySet)
	for i := 0; ; i++ {
		var block *pem.Block
		block, content = pem.Decode(content)
		if block == nil {
			break
		}
		k, err := parsePEM(block)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", i, err)
		}
		set.keys = append(set.keys, k)
	}
	if len(bytes.TrimSpace(content)) > 0 {
		return nil, errors.New("something after the last PEM block is not PEM")
	}
	if len(set.keys) > maxTries {
		return nil, fmt.Errorf("%d keys without key IDs; at most %d are accepted, because each token is tried against all: use JWKS", len(set.keys), maxTries)
	}
	return set, nil
}

func parsePEM(block *pem.Block) (key, error) {
	var public any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		// A wrapping for the key, as it is in a JWKS: who signed it and until when says nothing
		// about whether the issuer still signs with it.
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = certificate.PublicKey
		}
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return key{}, errors.New("a private key; configure the public key instead, and treat this one as compromised")
	default:
		return key{}, fmt.Errorf("%s is not a public key", shorten(block.Type))
	}
	if err != nil {
		return key{}, err
	}
	return newKey(public)
}
