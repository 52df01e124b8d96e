// Package auth authenticates the caller.
//
// Guarantee: a [Principal] with tenants comes only out of a token that one of the configured
// issuers signed, with a key and an algorithm that the configuration allows, for our audience, and
// that is neither expired nor early; its tenants, its selector and its scopes are those of the
// token, parsed strictly. When in doubt, the token is rejected. With more than one issuer, each names only
// the tenants that its own configuration allows it.
//
// Not promised here: what a tenant may see (package tenancy, which also parses the selector), that
// a name is valid as an organization of Loki's ("." and ".." are names here), or that a
// revoked token is rejected before it expires.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/claimpath"
	"github.com/logfence/logfence/internal/fielderror"
	"github.com/logfence/logfence/internal/refresh"
	"github.com/logfence/logfence/internal/tenant"
)

// The package's errors. Every error of [Verifier.Verify] and [BearerToken] wraps exactly
// one of them; the rest of its text is the cause, for the log and never for the caller.
var (
	// ErrNoToken means that the request carries no token: 401 without an error code (RFC
	// 6750, section 3.1).
	ErrNoToken = errors.New("no token")
	// ErrInvalidToken means that the token is not valid: 401 invalid_token.
	ErrInvalidToken = errors.New("invalid token")
	// ErrNoTenant means that the token is valid but does not name the caller's tenants, or names one
	// that its issuer may not name: 403.
	ErrNoTenant = errors.New("no tenant")
	// ErrInvalidSelectorClaim means that the token is valid, the configuration wants a selector
	// in it, and there is none: 403. Continuing without it would show more than intended.
	ErrInvalidSelectorClaim = errors.New("invalid selector claim")
	// ErrInsufficientScope means that the token is valid but lacks the required scope: 403
	// insufficient_scope.
	ErrInsufficientScope = errors.New("insufficient scope")
	// ErrKeysUnavailable means that the token cannot be verified, since its issuer's keys could not be
	// fetched, or are too stale: 503.
	ErrKeysUnavailable = errors.New("verification keys unavailable")
)

// Errors lists the package's errors, so that a test can check that each has its response.
func Errors() []error {
	return []error{
		ErrNoToken, ErrInvalidToken, ErrNoTenant, ErrInvalidSelectorClaim, ErrInsufficientScope, ErrKeysUnavailable,
	}
}

// A Principal is the caller that a verified token identifies.
type Principal struct {
	// Issuer is the token's `iss`: a configured one, or that of a configured directory. For a token of a trust
	// domain it is the domain's SPIFFE ID.
	Issuer string
	// Subject is the token's `sub`, empty where there is none. It is unique within an issuer only.
	Subject string
	// Tenants are the caller's, sorted and without repetition, 1 to 64. With rules there are none: see Grants.
	Tenants []tenant.Name
	// Grants are what the rules give to the token; zero without rules (see [WithRules]).
	Grants access.Choices
	// Selector is the text of the selector claim, not parsed; empty only where none is configured.
	Selector string
	// Scopes are those of the claims `scope` and `scp`, in the token's order, without repetition.
	Scopes []string
	// Ambient says that a browser may have sent the token without the page's doing: see [Issuer.Ambient].
	Ambient bool
	// Expiry is the token's `exp`, without leeway.
	Expiry time.Time
}

// An Option sets a dependency of a Verifier.
type Option func(*options)

type options struct {
	rules     func() *access.Rules
	clock     Clock
	log       *slog.Logger
	transport http.RoundTripper
}

// WithRules has grants decide what a token may read, in place of the tenant claim: current returns the rules in force,
// and is called for each token. They are of the file that [Config].Grants announces.
func WithRules(current func() *access.Rules) Option { return func(o *options) { o.rules = current } }

// WithClock uses c instead of the system's clock.
func WithClock(c Clock) Option { return func(o *options) { o.clock = c } }

// WithLogger logs key fetches to log; by default they are not logged. Results for tokens are the errors of
// Verify.
func WithLogger(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// WithTransport fetches keys through rt. Timeouts, sizes and redirects remain those of this package.
func WithTransport(rt http.RoundTripper) Option { return func(o *options) { o.transport = rt } }

// A Verifier verifies tokens of the configured issuers, and keeps their keys fresh until it is
// closed. It is safe for concurrent use.
type Verifier struct {
	issuers map[string]*issuer // by URL; neither templates nor trust domains
	// templates are those of several directories; trustDomains have no `iss`.
	templates    []*issuer
	trustDomains map[string]*issuer
	order        []*issuer // as configured
	policy       policy
	clock        Clock
	rules        func() *access.Rules // nil: without grants
	cache        *cache
	cancel       context.CancelFunc
	running      sync.WaitGroup
}

// An issuer is one configured issuer with its keys.
type issuer struct {
	name        string // its URL, or the SPIFFE ID of its trust domain
	url         string // empty: a trust domain's
	directories map[string]bool
	audiences   []string
	clientIDs   []string
	required    []requirement
	tenant      claimpath.Path
	shape       shape
	bound       allowedTenants
	headers     map[string]bool // by canonical name
	ambient     bool
	selector    claimpath.Path // nil: none configured
	keys        *keyring
	essential   bool                    // without its keys the Verifier is not ready
	file        *refresh.Value[*keySet] // follows the file of keys; nil: they come from the network
}

// A policy applies to all issuers.
type policy struct {
	algorithms    map[string]bool
	leeway        time.Duration
	requiredScope string
}

// New starts a Verifier. Keys from files are read at once, and one that cannot be is an error; keys
// from the network are fetched in the background, so that a provider that is down delays no start:
// see [Verifier.Ready]. The Verifier ends with ctx or with Close, whichever comes first.
func New(ctx context.Context, c Config, opts ...Option) (*Verifier, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("auth configuration: %w", err)
	}
	// A mistake in the operator's files is an error at start, not at the first request.
	if err := c.ValidateFiles(); err != nil { //nolint:contextcheck // it reads files
		return nil, fmt.Errorf("auth configuration: %w", err)
	}
	o := options{clock: systemClock{}, log: slog.New(slog.DiscardHandler), transport: defaultTransport()}
	for _, opt := range opts {
		opt(&o)
	}
	remembered, err := newCache(c.CacheEntries)
	if err != nil {
		return nil, err
	}
	v := &Verifier{
		issuers: make(map[string]*issuer, len(c.Issuers)), trustDomains: make(map[string]*issuer),
		policy: policy{algorithms: make(map[string]bool), leeway: c.Leeway, requiredScope: c.RequiredScope},
		clock:  o.clock,
		rules:  o.rules,
		cache:  remembered,
	}
	for _, alg := range c.Algorithms {
		v.policy.algorithms[alg] = true
	}
	for i, ic := range c.Issuers {
		iss, err := newIssuer(ctx, ic, c, o)
		if err != nil {
			for _, made := range v.order {
				made.closeFile()
			}
			return nil, fmt.Errorf("auth configuration: %w", fielderror.New(fmt.Sprintf("Issuers[%d].KeysFile", i), "%w", err))
		}
		v.add(ic, iss)
	}
	ctx, v.cancel = context.WithCancel(ctx)
	for _, iss := range v.order {
		v.running.Go(func() {
			defer iss.closeFile()
			iss.keys.run(ctx)
		})
	}
	return v, nil
}

// add registers an issuer under what its tokens are found by.
func (v *Verifier) add(ic Issuer, iss *issuer) {
	v.order = append(v.order, iss)
	switch {
	case ic.TrustDomain != "":
		v.trustDomains[ic.TrustDomain] = iss
	case ic.isTemplate():
		v.templates = append(v.templates, iss)
	default:
		v.issuers[ic.URL] = iss
	}
}

// newIssuer makes an issuer of a valid configuration. Its one error is a keys file that cannot be used.
func newIssuer(ctx context.Context, ic Issuer, c Config, o options) (*issuer, error) {
	iss := &issuer{
		name: ic.name(), url: ic.URL, audiences: ic.Audiences, clientIDs: ic.ClientIDs,
		bound: newAllowedTenants(ic, len(c.Issuers) == 1 || c.Grants), essential: ic.Required, directories: make(map[string]bool),
		headers: make(map[string]bool), ambient: ic.Ambient,
	}
	for _, name := range ic.headers() {
		iss.headers[name] = true
	}
	for _, id := range ic.Directories {
		iss.directories[id] = true
	}
	// Validate has checked the texts.
	iss.tenant, _ = claimpath.Parse(ic.TenantClaim)
	iss.shape, _ = parseShape(ic.TenantShape)
	for _, text := range ic.RequiredClaims {
		r, _ := parseRequirement(text)
		iss.required = append(iss.required, r)
	}
	if ic.SelectorClaim != "" {
		iss.selector, _ = claimpath.Parse(ic.SelectorClaim)
	}
	iss.keys = newKeyring(iss.name, newSource(ic, c.DangerouslyAllowHTTPJWKS, o.transport), c.KeysMaxStale, o.clock, o.log)
	if ic.isTemplate() {
		iss.keys.template = ic.URL
	}
	if ic.KeysFile != "" {
		if err := iss.keys.fetchNow(ctx); err != nil {
			return nil, err
		}
		var err error
		parse := func(content []byte) (*keySet, error) { return parseKeysFile(content, ic.keyUse()) }
		iss.file, err = refresh.File(ic.KeysFile, parse, refresh.Options{OnChange: func(error) { iss.keys.refetch() }})
		if err != nil {
			return nil, err
		}
	}
	return iss, nil
}

// Close ends the background refresh and waits for it. Tokens are still verified afterward, with the
// keys as they are, until those are too stale.
func (v *Verifier) Close() {
	v.cancel()
	v.running.Wait()
}

// closeFile ends following the file of keys, if they come from one.
func (i *issuer) closeFile() {
	if i.file != nil {
		i.file.Close()
	}
}

// Reload reads the files of keys now, for an operator who has changed them (SIGHUP). It does not wait: what
// became of it is logged.
func (v *Verifier) Reload() {
	for _, iss := range v.order {
		if iss.file != nil {
			_ = iss.file.Reload() // the keyring logs
		}
	}
}

// Verify returns the caller that the token identifies. On errors with status 403 the token is valid, and the
// Principal holds its issuer, subject, scopes and expiry for the access record, without tenants; on all
// others it is zero. The errors never hold a part of the token except short values of its claims that explain
// the rejection, such as its issuer, subject and audience.
//
// It waits on the network only where the issuer has no usable key yet, or none by the token's name
// for it, and then for no longer than two seconds.
//
// It takes the token as one of the Authorization header; see [Verifier.VerifyCredential].
func (v *Verifier) Verify(ctx context.Context, token string) (Principal, error) {
	return v.VerifyCredential(ctx, Credential{Header: authorizationHeader, Token: token})
}

// VerifyCredential is [Verifier.Verify] for a token in any header. The token's issuer has to list the header.
func (v *Verifier) VerifyCredential(ctx context.Context, c Credential) (Principal, error) {
	token := c.Token
	if len(token) > MaxTokenBytes {
		return Principal{}, invalid("%d bytes; at most %d are read", len(token), MaxTokenBytes)
	}
	digest, rules := c.digest(), v.currentRules()
	if p, ok := v.cache.get(digest, rules, v.clock.Now()); ok {
		return p, nil
	}
	t, err := parseToken(token)
	if err != nil {
		return Principal{}, err
	}
	iss, err := v.issuerOf(t)
	if err != nil {
		return Principal{}, t.explained(err)
	}
	if !iss.headers[c.Header] {
		return Principal{}, t.explained(invalid("it came in the header %s, which headers of its issuer does not list", c.Header))
	}
	// Before the signature: a token that would be refused anyway must not make us fetch keys, or an
	// old page that continues to send an expired token would use up what a rotation needs.
	expiry, err := v.policy.checkClaims(t, iss, v.clock.Now())
	if err != nil {
		return Principal{}, t.explained(err)
	}
	set, err := iss.keys.verify(ctx, t)
	if err != nil {
		return Principal{}, t.explained(err)
	}
	p, err := v.policy.principal(t.claims, iss, expiry, rules)
	p.Ambient = iss.ambient && c.Header != authorizationHeader
	if err != nil {
		return p, t.explained(err)
	}
	v.cache.put(digest, cacheEntry{
		principal: p, keys: iss.keys, set: set, rules: rules, until: minTime(v.clock.Now().Add(maxCacheAge), expiry.Add(v.policy.leeway)),
	})
	return p.clone(), nil
}

// currentRules are the rules in force; nil without grants.
func (v *Verifier) currentRules() *access.Rules {
	if v.rules == nil {
		return nil
	}
	return v.rules()
}

// Regrant returns the principal of a credential that [Verifier.VerifyCredential] has accepted, by the rules in force
// now. It is for requests that are in flight when the rules change. Neither signature nor times are verified again:
// for any other credential its result means nothing.
func (v *Verifier) Regrant(c Credential) (Principal, error) {
	t, err := parseToken(c.Token)
	if err != nil {
		return Principal{}, err
	}
	iss, err := v.issuerOf(t)
	if err != nil {
		return Principal{}, err
	}
	expiry, _, err := dateClaim(t.claims, "exp")
	if err != nil {
		return Principal{}, err
	}
	return v.policy.principal(t.claims, iss, expiry, v.currentRules())
}

// issuerOf picks the configured issuer by the token's `iss`, compared byte by byte: URLs that a
// browser would take for the same are different issuers (OpenID Connect Core, section 3.1.3.7).
func (v *Verifier) issuerOf(t *token) (*issuer, error) {
	claim, given := t.claims["iss"]
	if !given {
		return v.ofTrustDomain(t.claims)
	}
	name, ok := claim.(string)
	if !ok {
		return nil, invalid("no iss, or one that is not a string")
	}
	if iss, ok := v.issuers[name]; ok {
		return iss, nil
	}
	if iss, err := v.ofDirectory(name, t.claims); iss != nil || err != nil {
		return iss, err
	}
	return nil, v.unknownIssuer(name, t.claims)
}

// invalid returns ErrInvalidToken with its cause.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalidToken}, args...)...)
}

// shorten quotes a value of a token, short enough for a log line.
func shorten(s string) string {
	const most = 120
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
