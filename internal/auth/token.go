package auth

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/strictjson"
)

// A token is a JWT in its three parts, parsed but not verified.
type token struct {
	algorithm string
	keyID     string // empty: none
	claims    map[string]any
	signed    []byte // what the signature is over: the text as it came, never encoded again
	signature []byte
}

// parseToken reads the compact form of a signed JWT (RFC 7515, section 7.1), and only that: the JSON
// forms, which can hold several signatures, and encrypted tokens are refused.
func parseToken(raw string) (*token, error) {
	if strings.Count(raw, ".") != 2 {
		return nil, notThreeParts(raw)
	}
	end := strings.LastIndexByte(raw, '.')
	head, body, _ := strings.Cut(raw[:end], ".")
	t := &token{signed: []byte(raw[:end])}

	header, err := decodePart(head)
	if err != nil {
		return nil, invalid("header: %w", err)
	}
	if err := t.readHeader(header); err != nil {
		return nil, invalid("header: %w", err)
	}
	if t.claims, err = decodePart(body); err != nil {
		return nil, invalid("claims: %w", err)
	}
	if t.signature, err = decodeBase64(raw[end+1:]); err != nil || len(t.signature) == 0 {
		return nil, invalid("no signature, or one that is not base64url")
	}
	return t, nil
}

// readHeader reads the header parameters in use. A key of the token's own, and what changes the meaning of its
// parts, is rejected: no valid client sends it. jku, x5u and x5c are ignored, never followed and never used:
// some providers write them into every token (UAA and SAP write jku), and the key is chosen among the issuer's.
func (t *token) readHeader(header map[string]any) error {
	for _, name := range []string{"jwk", "crit", "b64", "zip"} {
		if _, ok := header[name]; ok {
			return fmt.Errorf("%s is not accepted", name)
		}
	}
	var ok bool
	if t.algorithm, ok = header["alg"].(string); !ok {
		return fmt.Errorf("no alg, or one that is not a string")
	}
	if t.algorithm == fullySpecifiedEdDSA {
		t.algorithm = "EdDSA"
	}
	if kid, given := header["kid"]; given {
		if t.keyID, ok = kid.(string); !ok || t.keyID == "" {
			return fmt.Errorf("kid is empty or not a string")
		}
	}
	if typ, given := header["typ"]; given {
		if name, ok := typ.(string); !ok || !isTokenType(name) {
			return fmt.Errorf("typ is not that of an identity or access token")
		}
	}
	return nil
}

// isTokenType tells identity and access tokens apart from other JWTs that an issuer signs with the same key,
// such as logout+jwt or secevent+jwt (RFC 8725, section 3.11). Letter case does not count, and
// "application/" may be left out (RFC 7515, section 4.1.9).
func isTokenType(typ string) bool {
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "jwt", "at+jwt", "jose": // jose is any JWS or JWE in compact form (RFC 7515, section 4.1.9)
		return true
	default:
		return false
	}
}

// fullySpecifiedEdDSA is EdDSA with a key on the curve Ed25519 (RFC 9864), the only keys that EdDSA has here.
const fullySpecifiedEdDSA = "Ed25519"

func decodePart(part string) (map[string]any, error) {
	data, err := decodeBase64(part)
	if err != nil {
		return nil, err
	}
	return strictjson.Object(data)
}

// decodeBase64 accepts only the canonical encoding: no padding, no line breaks (which the decoder
// would ignore), no stray bits at the end. Else one signature could be written in many ways.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("not base64url")
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("not base64url")
	}
	return data, nil
}

// checkClaims checks everything about a token that needs no key and is not about tenants, and returns when
// the token expires.
func (p policy) checkClaims(t *token, iss *issuer, now time.Time) (time.Time, error) {
	if !p.algorithms[t.algorithm] {
		return time.Time{}, invalid("algorithm %s is not allowed", shorten(t.algorithm))
	}
	if err := iss.checkAudience(t.claims); err != nil {
		return time.Time{}, err
	}
	if sub, given := t.claims["sub"]; given {
		if _, ok := sub.(string); !ok {
			return time.Time{}, invalid("sub is not a string")
		}
	}
	return p.checkDates(t.claims, now)
}

// checkDates checks when the token is valid, and returns when it expires.
func (p policy) checkDates(claims map[string]any, now time.Time) (time.Time, error) {
	expiry, given, err := dateClaim(claims, "exp")
	switch {
	case err != nil:
		return time.Time{}, err
	case !given:
		return time.Time{}, invalid("no exp")
	case !now.Before(expiry.Add(p.leeway)): // "on or after" exp is expired: RFC 7519, section 4.1.4
		return time.Time{}, invalid("expired at %s", expiry.UTC().Format(time.RFC3339))
	}
	for _, name := range []string{"nbf", "iat"} {
		from, given, err := dateClaim(claims, name)
		if err != nil {
			return time.Time{}, err
		}
		if given && now.Before(from.Add(-p.leeway)) {
			return time.Time{}, invalid("%s is %s, which is yet to come", name, from.UTC().Format(time.RFC3339))
		}
	}
	return expiry, nil
}

// dateClaim reads a NumericDate, which may have a fraction. One that is there and cannot be read is
// an error, as is one after the year 9999: those are milliseconds, and would make a token that never expires.
func dateClaim(claims map[string]any, name string) (at time.Time, given bool, err error) {
	v, given := claims[name]
	if !given {
		return time.Time{}, false, nil
	}
	n, ok := v.(json.Number)
	if !ok {
		return time.Time{}, true, invalid("%s is not a number", name)
	}
	const year9999 = 253402300799
	f, err := n.Float64()
	if err != nil || math.IsNaN(f) || f < 0 || f > year9999 {
		return time.Time{}, true, invalid("%s is not a date", name)
	}
	seconds, fraction := math.Modf(f)
	return time.Unix(int64(seconds), int64(fraction*float64(time.Second))), true, nil
}
