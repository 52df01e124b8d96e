package auth

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/logfence/logfence/internal/fielderror"
)

// Config is the operator's configuration. No zero value stands for a default, so start from
// [Defaults].
type Config struct {
	// Issuers are the accepted issuers, at least one. A token's `iss` selects the issuer.
	Issuers []Issuer
	// Algorithms are the accepted signature algorithms, by their names of RFC 7518 and RFC 8037.
	// Default: all of [SupportedAlgorithms]. A shorter list is safe at any time; tokens signed
	// with another are then rejected. There are no symmetric ones, and no `none`.
	Algorithms []string
	// Leeway is the clock skew allowed on exp, nbf and iat. Default 30s, at most 5m: for as long as
	// that, an expired token still passes.
	Leeway time.Duration
	// RequiredScope is a scope that every token must have, in `scope` or `scp`. Default: none.
	RequiredScope string
	// KeysMaxStale is how long keys are used after the last successful fetch. Default 24h, at least 10m.
	// A longer time survives longer outages of the provider, but a revoked key is accepted for just as
	// long.
	KeysMaxStale time.Duration
	// DangerouslyAllowHTTPJWKS allows http:// for keys and discovery. Anyone on the network path
	// can then insert a key and act as any tenant. For development only.
	DangerouslyAllowHTTPJWKS bool
	// CacheEntries is how many verified tokens are cached, by their SHA-256, for at most a
	// minute. Default 16384; 0 verifies every token anew.
	CacheEntries int
}

// An Issuer is one provider of tokens. Its keys come from JWKSURL or KeysFile or, where neither is
// given, from OpenID Connect discovery at URL/.well-known/openid-configuration.
type Issuer struct {
	// URL is the issuer as it is in the token's `iss`, compared exactly, a slash at the end
	// included. For discovery it has to be an https URL.
	URL string
	// Audience is what `aud` must be or, where that is an array, contain. Required.
	Audience string
	// JWKSURL is where the issuer publishes its keys.
	JWKSURL string
	// KeysFile holds public keys, as PEM (public keys or certificates, any number) or JWKS. A change
	// is taken within seconds, and by [Verifier.Reload].
	KeysFile string
	// TenantClaim is the claim that holds the caller's tenants. Required. The claim is a
	// string, or an array of at most 64; each 1 to 128 bytes of [A-Za-z0-9._-].
	//
	// Syntax: a name, or names joined by dots for a claim within objects: `app_metadata.tenant` is
	// the member "tenant" of the claim "app_metadata". Within a name `\.` is a dot and `\\` a
	// backslash; any other backslash is a mistake. As names that are URLs have dots in them, a text
	// that contains "://" and no backslash is one name as it stands: `https://acme.example/tenants`;
	// to go on into such a claim, escape its dots: `https://acme\.example/app.tenant`. Letter case
	// counts, and arrays are not entered.
	TenantClaim string
	// Tenants are the names of the tenants that this issuer's tokens may name, at most 4096. A token
	// that names another is refused. With more than one issuer each needs Tenants, TenantPattern or
	// AnyTenant: otherwise a token of one could name the tenants of another. With one issuer none of
	// them is needed, and the token may name every tenant. Nil: not given; empty is a mistake.
	Tenants []string
	// TenantPattern is a regular expression (RE2, at most 1024 bytes) of further names that this
	// issuer's tokens may name. It has to match the complete name, with or without anchors.
	TenantPattern string
	// AnyTenant lets this issuer's tokens name every tenant, those of all other issuers included. It
	// excludes Tenants and TenantPattern. [Config.Warnings] reports it.
	AnyTenant bool
	// Required makes [Verifier.Ready] fail while this issuer has no usable keys, although another one has.
	Required bool
	// SelectorClaim is the claim that holds a stream selector, which confines the caller further than
	// the tenants; syntax as above. Default: none. Where it is configured, a token without it is
	// rejected: absent must not mean "unconfined".
	SelectorClaim string
}

// SupportedAlgorithms lists every signature algorithm that may be configured.
func SupportedAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// Defaults returns a Config with all default values.
func Defaults() Config {
	return Config{
		Algorithms:   SupportedAlgorithms(),
		Leeway:       30 * time.Second,
		KeysMaxStale: 24 * time.Hour,
		CacheEntries: 16384,
	}
}

const (
	maxLeeway    = 5 * time.Minute
	minMaxStale  = 2 * refreshInterval
	maxRemember  = 1 << 20
	maxClaimPath = 16
)

// Validate reports all mistakes at once, as [fielderror.Error]s joined. It opens no file and no connection.
func (c Config) Validate() error {
	var errs []error
	report := func(field, format string, args ...any) {
		errs = append(errs, fielderror.New(field, format, args...))
	}
	if len(c.Issuers) == 0 {
		report("Issuers", "required; name at least one issuer, for without one no token could be believed")
	}
	seen := make(map[string]int)
	for i, iss := range c.Issuers {
		in := fmt.Sprintf("Issuers[%d].", i)
		if first, ok := seen[iss.URL]; ok && iss.URL != "" {
			report(in+"URL", "%q is Issuers[%d] already; name each issuer once", iss.URL, first)
		}
		seen[iss.URL] = i
		ofIssuer := func(field, format string, args ...any) { report(in+field, format, args...) }
		iss.validate(c.DangerouslyAllowHTTPJWKS, ofIssuer)
		iss.validateBound(len(c.Issuers) == 1, ofIssuer)
	}
	c.validateAlgorithms(report)
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		report("Leeway", "%s; write 0s to %s, such as 30s", c.Leeway, maxLeeway)
	}
	if c.RequiredScope != "" && !isScope(c.RequiredScope) {
		report("RequiredScope", "%q is not one scope; write a single one, without spaces, quotes or backslashes", c.RequiredScope)
	}
	if c.KeysMaxStale < minMaxStale {
		report("KeysMaxStale", "%s; write at least %s, such as 24h (keys are fetched every %s)", c.KeysMaxStale, minMaxStale, refreshInterval)
	}
	if c.CacheEntries < 0 || c.CacheEntries > maxRemember {
		report("CacheEntries", "%d; write 0 (none) to %d, such as 16384", c.CacheEntries, maxRemember)
	}
	return errors.Join(errs...)
}

type reporter func(field, format string, args ...any)

func (c Config) validateAlgorithms(report reporter) {
	supported := SupportedAlgorithms()
	if len(c.Algorithms) == 0 {
		report("Algorithms", "required; write some of %s", strings.Join(supported, ","))
	}
	for i, alg := range c.Algorithms {
		field := fmt.Sprintf("Algorithms[%d]", i)
		switch {
		case slices.Contains(supported, alg):
		case strings.HasPrefix(alg, "HS"):
			report(field, "%q is symmetric: everyone who can verify could also sign; write some of %s", alg, strings.Join(supported, ","))
		case strings.EqualFold(alg, "none"):
			report(field, "%q would believe tokens that nobody signed; write some of %s", alg, strings.Join(supported, ","))
		default:
			report(field, "%q is not supported; write some of %s", alg, strings.Join(supported, ","))
		}
	}
}

func (iss Issuer) validate(allowHTTP bool, report reporter) {
	discovers := iss.JWKSURL == "" && iss.KeysFile == ""
	switch {
	case iss.URL == "":
		report("URL", "required; write the issuer exactly as the tokens' iss has it, such as https://id.example.com/")
	case hasSpace(iss.URL):
		report("URL", "%q contains spaces or control characters; write the issuer exactly as the tokens' iss has it", iss.URL)
	case discovers:
		if problem := checkKeysURL(iss.URL, allowHTTP); problem != "" {
			report("URL", "%s (or say where the keys are, with a JWKS URL or a keys file)", problem)
		} else if strings.ContainsAny(iss.URL, "?#") {
			report("URL", "%q has a query or fragment, which discovery does not know; write the issuer without", iss.URL)
		}
	}
	if iss.Audience == "" {
		report("Audience", "required; without it a token made for another service would be accepted")
	}
	if iss.JWKSURL != "" {
		if problem := checkKeysURL(iss.JWKSURL, allowHTTP); problem != "" {
			report("JWKSURL", "%s", problem)
		}
		if iss.KeysFile != "" {
			report("KeysFile", "given beside a JWKS URL; write one of the two")
		}
	}
	if iss.TenantClaim == "" {
		report("TenantClaim", "required; write the claim that names the caller's tenants, such as tenant_id")
	} else if _, err := parseClaimPath(iss.TenantClaim); err != nil {
		report("TenantClaim", "%s", err)
	}
	if iss.SelectorClaim != "" {
		if _, err := parseClaimPath(iss.SelectorClaim); err != nil {
			report("SelectorClaim", "%s", err)
		}
	}
}

// checkKeysURL returns why keys cannot be fetched from the URL; empty if they can. Possible secrets in the
// URL are not shown.
func checkKeysURL(raw string, allowHTTP bool) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "is not a URL; write one such as https://id.example.com/jwks.json"
	}
	shown := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	switch {
	case u.User != nil:
		return fmt.Sprintf("%q has a user name or password in it, and keys are public; write it without", shown)
	case u.Scheme == "http" && !allowHTTP:
		return fmt.Sprintf("%q is plain http, on which anybody on the way can put in keys of their own; write https, "+
			"or allow it for development with DangerouslyAllowHTTPJWKS", shown)
	case strings.Contains(u.Opaque, "@"): // user:password@host, without a scheme
		return "has no scheme, and a user name in it; write one such as https://id.example.com/jwks.json"
	case u.Scheme == "" || u.Opaque != "":
		bare, _, _ := strings.Cut(raw, "?")
		return fmt.Sprintf("%q has no scheme; did you mean %q?", bare, "https://"+bare)
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Sprintf("%q has the scheme %q; write https", shown, u.Scheme)
	case u.Host == "":
		return fmt.Sprintf("%q names no host; write one such as https://id.example.com/jwks.json", shown)
	default:
		return ""
	}
}

func hasSpace(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}
