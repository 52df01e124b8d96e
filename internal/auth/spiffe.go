package auth

import (
	"regexp"
	"strings"
)

// JWT-SVIDs of SPIFFE often have no `iss`: their `sub` is an ID in a trust domain, whose keys are in the trust
// domain's bundle. https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md

const (
	spiffeScheme = "spiffe://"
	useJWTSVID   = "jwt-svid" // the `use` of keys that sign JWT-SVIDs, in a bundle
	maxSPIFFEID  = 2048       // bytes
)

var (
	trustDomain  = regexp.MustCompile(`^[a-z0-9._-]{1,255}$`)
	spiffePath   = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)
	spiffeDotted = regexp.MustCompile(`/\.{1,2}(/|$)`)
)

// ofTrustDomain picks the issuer of a token without `iss` by the trust domain of its subject.
func (v *Verifier) ofTrustDomain(claims map[string]any) (*issuer, error) {
	sub, _ := claims["sub"].(string)
	rest, isID := strings.CutPrefix(sub, spiffeScheme)
	if !isID || len(v.trustDomains) == 0 {
		return nil, invalid("no iss, or one that is not a string")
	}
	domain, path, _ := strings.Cut(rest, "/")
	path = "/" + path
	if len(sub) > maxSPIFFEID || !trustDomain.MatchString(domain) || !spiffePath.MatchString(path) || spiffeDotted.MatchString(path) {
		return nil, invalid("no iss, and its sub %s is not a SPIFFE ID", shorten(sub))
	}
	iss, ok := v.trustDomains[domain]
	if !ok {
		return nil, invalid("no iss, and the trust domain %s is not configured", shorten(domain))
	}
	return iss, nil
}

// validateTrustDomain checks TrustDomain, in place of what an issuer with a URL needs.
func (iss Issuer) validateTrustDomain(report reporter) {
	switch {
	case !trustDomain.MatchString(iss.TrustDomain):
		report("TrustDomain", "%s is not a trust domain; write its name in lower case, such as prod.example.org", shorten(iss.TrustDomain))
	case iss.URL != "":
		report("TrustDomain", "given beside an issuer; tokens with an iss need an issuer of their own, so write one of the two")
	case iss.JWKSURL == "" && iss.KeysFile == "":
		report("TrustDomain", "needs jwks_url, the trust domain's bundle endpoint, or keys_file")
	}
}
