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
	// Grants says that grants decide what tokens may read (see [WithRules]): the tenant claim is not read, and issuers need
	// no bound of their own, since each grant names its issuers.
	Grants bool
	// Algorithms are the accepted signature algorithms, by their names of RFC 7518 and RFC 8037.
	// Default: all of [SupportedAlgorithms]. A shorter list is safe at any time; tokens signed
	// with another are then rejected. There are no symmetric ones, and no `none`.
	Algorithms []string
	// Leeway is the clock skew allowed on exp, nbf and iat. Default 30s, at most 5m: for as long as
	// that, an expired token still passes.
	Leeway time.Duration
	// InflightGrace is how long after its token has expired, leeway included, a query or an export that is in flight may
	// still continue. Default 15m, at most 24h; 0 ends it with the token. A shorter time ends long exports of tokens that
	// live for minutes; a longer one lets a response continue for as long after its caller has lost access.
	InflightGrace time.Duration
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

// SupportedAlgorithms lists every signature algorithm that may be configured.
func SupportedAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// Defaults returns a Config with all default values.
func Defaults() Config {
	return Config{
		Algorithms:    SupportedAlgorithms(),
		Leeway:        30 * time.Second,
		InflightGrace: 15 * time.Minute,
		KeysMaxStale:  24 * time.Hour,
		CacheEntries:  16384,
	}
}

const (
	maxLeeway   = 5 * time.Minute
	maxGrace    = 24 * time.Hour
	minMaxStale = 2 * refreshInterval
	maxRemember = 1 << 20
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
		if first, ok := seen[iss.name()]; ok && iss.name() != "" {
			report(in+"URL", "%q is Issuers[%d] already; name each issuer once", iss.name(), first)
		}
		seen[iss.name()] = i
		iss.ByGrants = c.Grants
		ofIssuer := func(field, format string, args ...any) { report(in+field, format, args...) }
		iss.validate(c.DangerouslyAllowHTTPJWKS, ofIssuer)
		iss.validateBound(len(c.Issuers) == 1, ofIssuer)
	}
	c.validateAlgorithms(report)
	if c.Leeway < 0 || c.Leeway > maxLeeway {
		report("Leeway", "%s; write 0s to %s, such as 30s", c.Leeway, maxLeeway)
	}
	if c.InflightGrace < 0 || c.InflightGrace > maxGrace {
		report("InflightGrace", "%s; write 0s to %s, such as 15m", c.InflightGrace, maxGrace)
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
		return fmt.Sprintf("%q is plain http, over which an attacker in the network path can replace the keys; write https, "+
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
