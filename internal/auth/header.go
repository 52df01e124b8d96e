package auth

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// MaxTokenBytes is the longest token that is read: 500 groups of 30 bytes make one of 21 KB. The limit of all headers
// of a request is LOGFENCE_MAX_HEADER_BYTES.
const MaxTokenBytes = 48 << 10

// BearerToken is the token of a request: from its one Authorization header, scheme Bearer in any
// letter case (RFC 6750, section 2.1). A token in the URL or in a form is ignored. Another scheme
// counts as no token; a second header, or a malformed token, is ErrInvalidToken.
func BearerToken(h http.Header) (string, error) {
	scheme, credentials, err := authorization(h)
	if err != nil {
		return "", err
	}
	if scheme != "bearer" {
		return "", fmt.Errorf("%w: the authorization is of another scheme", ErrNoToken)
	}
	return checkedToken(credentials)
}

// BearerOrBasicToken is [BearerToken], and takes the token also as the password of HTTP Basic, with
// any user name, for clients that can send nothing else. It is off unless the operator turns it on:
// browsers store a Basic password and send it automatically.
func BearerOrBasicToken(h http.Header) (string, error) {
	scheme, credentials, err := authorization(h)
	if err != nil {
		return "", err
	}
	if scheme != "basic" {
		return BearerToken(h)
	}
	if len(credentials) > 2*MaxTokenBytes {
		return "", invalid("authorization of %d bytes", len(credentials))
	}
	pair, err := base64.StdEncoding.DecodeString(credentials)
	if err != nil {
		return "", invalid("authorization is not base64")
	}
	_, password, ok := strings.Cut(string(pair), ":")
	if !ok {
		return "", invalid("basic authorization without a password")
	}
	return checkedToken(password)
}

// authorization splits the one Authorization header into its scheme, in lower case, and the rest.
func authorization(h http.Header) (scheme, credentials string, err error) {
	values := h.Values("Authorization")
	switch len(values) {
	case 0:
		return "", "", ErrNoToken
	case 1:
		scheme, credentials, _ = strings.Cut(values[0], " ")
		return strings.ToLower(scheme), strings.TrimLeft(credentials, " "), nil
	default:
		// A proxy in front of logfence could use another one of them than logfence.
		return "", "", invalid("%d authorization headers", len(values))
	}
}

func checkedToken(s string) (string, error) {
	switch {
	case len(s) > MaxTokenBytes:
		return "", invalid("%d bytes; at most %d are read", len(s), MaxTokenBytes)
	case !isB64Token(s):
		return "", invalid("not of the form of a bearer token")
	default:
		return s, nil
	}
}

// isB64Token reports whether s is a b64token of RFC 6750: letters, digits and -._~+/, then any number of equal signs.
func isB64Token(s string) bool {
	s = strings.TrimRight(s, "=")
	if s == "" {
		return false
	}
	for i := range len(s) {
		if !b64Token[s[i]] {
			return false
		}
	}
	return true
}

// b64Token are the characters of b64token, looked up for each of every token's.
var b64Token = func() (table [256]bool) {
	for c := range table {
		table[c] = isAlphanumeric(byte(c)) || strings.IndexByte("-._~+/", byte(c)) >= 0
	}
	return table
}()

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
