package auth

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

const (
	authorizationHeader = "Authorization"
	maxHeaders          = 16
)

// notTokenHeaders are headers that no token is read from, with the reason.
var notTokenHeaders = map[string]string{
	"X-Amzn-Oidc-Data": "its keys are those of a region: the load balancer of any account can sign it; use X-Amzn-Oidc-Accesstoken",
	"Cookie":           "browsers send cookies with requests of other sites",
	"Host":             "it is not a token",
	"Connection":       "it is not a token",
	"X-Request-Id":     "it is logged",
	"Traceparent":      "it is logged",
	"X-Forwarded-For":  "it is logged",
}

// headers are the headers that the issuer's tokens may come in, by canonical name.
func (iss Issuer) headers() []string {
	if len(iss.Headers) == 0 {
		return []string{authorizationHeader}
	}
	names := make([]string, 0, len(iss.Headers))
	for _, name := range iss.Headers {
		names = append(names, textproto.CanonicalMIMEHeaderKey(name))
	}
	return names
}

// TokenHeaders are the headers that tokens are read from, by canonical name and in the order in which they are looked
// at: that of the issuers, and within each that of its Headers.
func (c Config) TokenHeaders() []string {
	var all []string
	for _, iss := range c.Issuers {
		for _, name := range iss.headers() {
			if !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

func (iss Issuer) validateHeaders(report reporter) {
	if len(iss.Headers) > maxHeaders {
		report("Headers", "%d headers; at most %d are taken", len(iss.Headers), maxHeaders)
	}
	names := iss.headers()
	for i, name := range names {
		switch reason, never := notTokenHeaders[name]; {
		case never:
			report("Headers", "no token is read from %s: %s", name, reason)
		case !isHeaderName(name) || strings.HasPrefix(name, "X-Logfence-") || strings.HasPrefix(name, "Sec-"):
			report("Headers", "%s is not the name of a header for tokens; write one such as X-Id-Token", shorten(name))
		case slices.Contains(names[:i], name):
			report("Headers", "%s is given twice; write it once", name)
		}
	}
	if iss.Ambient && !slices.ContainsFunc(names, func(name string) bool { return name != authorizationHeader }) {
		report("Ambient", "given without a header that a proxy fills; write its name in headers")
	}
}

// isHeaderName reports whether the text is a token of RFC 9110, section 5.6.2.
func isHeaderName(name string) bool {
	for _, c := range []byte(name) {
		if !isAlphanumeric(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}

// A Credential is a token and the header that it came in, by canonical name.
type Credential struct {
	Header, Token string
}

// ReadCredential reads the token of a request: from the first of the headers that is present, and no other, whatever
// becomes of it. Each header may be present once: a proxy in front of logfence could use another value than logfence.
// From Authorization it is as [BearerToken], with basic as [BearerOrBasicToken]; in other headers the token is alone,
// or behind `Bearer `.
func ReadCredential(h http.Header, headers []string, basic bool) (Credential, error) {
	decides := ""
	for _, name := range headers {
		switch n := len(h[name]); {
		case n > 1:
			return Credential{}, invalid("%d %s headers", n, name)
		case n == 1 && decides == "":
			decides = name
		}
	}
	switch decides {
	case "":
		return Credential{}, ErrNoToken
	case authorizationHeader:
		read := BearerToken
		if basic {
			read = BearerOrBasicToken
		}
		token, err := read(h)
		return Credential{Header: decides, Token: token}, err
	}
	value := h[decides][0]
	if scheme, token, ok := strings.Cut(value, " "); ok && strings.EqualFold(scheme, "bearer") {
		value = strings.TrimLeft(token, " ")
	}
	token, err := checkedToken(value)
	return Credential{Header: decides, Token: token}, err
}
