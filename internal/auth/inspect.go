package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/tenant"
)

// IssuerReport is what an issuer's documents hold now. It holds no secrets.
type IssuerReport struct {
	// Issuer is its name: its URL, or the SPIFFE ID of its trust domain.
	Issuer string
	// Keys are the keys that tokens can be verified with, each by its key ID and algorithms.
	Keys []string
	// Ignored says why keys were left out, one each.
	Ignored []string
	// Err says why there are no keys, with what to write instead where that is known.
	Err error
}

// FetchIssuers reads the documents of each issuer of a valid configuration once.
func (c Config) FetchIssuers(ctx context.Context) []IssuerReport {
	reports := make([]IssuerReport, 0, len(c.Issuers))
	for _, iss := range c.Issuers {
		r := IssuerReport{Issuer: iss.name()}
		set, err := newSource(iss, c.DangerouslyAllowHTTPJWKS, defaultTransport()).fetch(ctx)
		if r.Err = err; err == nil {
			r.Ignored = set.ignored
			for _, k := range set.keys {
				r.Keys = append(r.Keys, k.describe())
			}
		}
		reports = append(reports, r)
	}
	return reports
}

func (k key) describe() string {
	id := "without a key ID"
	if k.id != "" {
		id = shorten(k.id)
	}
	return id + " for " + strings.Join(k.algorithms, ", ")
}

// A TokenCheck is one check of a token.
type TokenCheck struct {
	// Name is what is checked.
	Name string
	// Found is what the token has; on failure Err says what was expected.
	Found string
	Err   error
}

// Inspect makes every check of [Verifier.Verify], in its order, and goes on behind one that fails as far as it can. It
// is for operators: its results hold claims, and never the token.
func (v *Verifier) Inspect(ctx context.Context, raw string) []TokenCheck {
	var checks []TokenCheck
	add := func(name, found string, err error) bool {
		checks = append(checks, TokenCheck{Name: name, Found: found, Err: withoutKind(err)})
		return err == nil
	}
	if len(raw) > MaxTokenBytes {
		add("form", "", invalid("%d bytes; at most %d are read", len(raw), MaxTokenBytes))
		return checks
	}
	t, err := parseToken(raw)
	if !add("form", fmt.Sprintf("a signed JWT of %d bytes", len(raw)), err) {
		return checks
	}
	iss, err := v.issuerOf(t)
	if !add("issuer", describe(t.claims["iss"]), err) {
		add("audience", describe(t.claims["aud"]), errors.New("not checked without an issuer"))
		return checks
	}
	err = nil
	if !v.policy.algorithms[t.algorithm] {
		err = invalid("algorithm %s is not allowed", shorten(t.algorithm))
	}
	add("algorithm", t.algorithm, err)
	add("audience", describe(t.claims["aud"]), iss.checkAudience(t.claims))
	expiry, err := v.policy.checkDates(t.claims, v.clock.Now())
	add("times", "expires at "+expiry.UTC().Format(time.RFC3339), err)
	_, err = iss.keys.verify(ctx, t)
	add("signature", "by a key of the issuer", err)
	v.inspectClaims(iss, t.claims, add)
	return checks
}

// inspectClaims checks what makes the principal.
func (v *Verifier) inspectClaims(iss *issuer, claims map[string]any, add func(name, found string, err error) bool) {
	if scope := v.policy.requiredScope; scope != "" {
		var err error
		if found := scopes(claims); !slices.Contains(found, scope) {
			err = fmt.Errorf("the token lacks %q", scope)
		}
		add("scope", scope, err)
	}
	if len(iss.required) > 0 {
		add("required_claims", "as required", iss.checkRequired(claims))
	}
	if rules := v.currentRules(); rules != nil {
		choices, err := rules.Resolve(iss.nameIn(claims), claims)
		add("grants", strings.Join(choices.Names(), ", "), err)
	} else if tenants, err := iss.tenantsOf(claims); add("tenant claim", strings.Join(tenant.Texts(tenants), ", "), err) {
		add("tenants of the issuer", "allowed", iss.bound.check(iss.name, tenants))
	}
	if iss.selector != nil {
		selector, err := readSelector(iss.selector, claims)
		add("selector claim", selector, err)
	}
}

// withoutKind removes the kind of an error, which only a response needs.
func withoutKind(err error) error {
	if err == nil {
		return nil
	}
	for _, kind := range Errors() {
		if text, ok := strings.CutPrefix(err.Error(), kind.Error()+": "); ok && !errors.Is(kind, ErrKeysUnavailable) {
			return errors.New(text)
		}
	}
	return err
}
