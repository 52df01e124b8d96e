package auth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/claimpath"
	"github.com/logfence/logfence/internal/tenant"
)

// principal reads the principal from verified claims. The scope is checked first, so that a token for another
// API gets that error, whatever else it lacks.
func (p policy) principal(claims map[string]any, iss *issuer, expiry time.Time, rules *access.Rules) (Principal, error) {
	subject, _ := claims["sub"].(string) // checkClaims has checked its type
	caller := Principal{Issuer: iss.nameIn(claims), Subject: subject, Scopes: scopes(claims), Expiry: expiry}
	if p.requiredScope != "" && !slices.Contains(caller.Scopes, p.requiredScope) {
		return caller, fmt.Errorf("%w: the token lacks %q", ErrInsufficientScope, p.requiredScope)
	}
	if err := iss.checkRequired(claims); err != nil {
		return caller, fmt.Errorf("%w: %w", ErrNoTenant, err)
	}
	if rules != nil {
		return iss.grants(caller, claims, rules)
	}
	tenants, err := iss.tenantsOf(claims)
	if err != nil {
		return caller, fmt.Errorf("%w: %w", ErrNoTenant, err)
	}
	// One tenant outside the bound refuses the token. Leaving it out would be a guess at the issuer's intent.
	if err := iss.bound.check(caller.Issuer, tenants); err != nil {
		return caller, fmt.Errorf("%w: %w", ErrNoTenant, err)
	}
	selector, err := readSelector(iss.selector, claims)
	if err != nil {
		return caller, fmt.Errorf("%w: %w", ErrInvalidSelectorClaim, err)
	}
	caller.Tenants, caller.Selector = tenants, selector
	return caller, nil
}

// grants completes the principal by the rules. The selector claim, where one is configured, confines each grant.
func (i *issuer) grants(caller Principal, claims map[string]any, rules *access.Rules) (Principal, error) {
	selector, err := readSelector(i.selector, claims)
	if err != nil {
		return caller, fmt.Errorf("%w: %w", ErrInvalidSelectorClaim, err)
	}
	choices, err := rules.Resolve(caller.Issuer, claims)
	if err != nil {
		return caller, fmt.Errorf("%w: %w", ErrNoTenant, err)
	}
	caller.Grants, caller.Selector = choices, selector
	return caller, nil
}

// nameIn is the name of the issuer of these claims: a template stands for one of each directory.
func (i *issuer) nameIn(claims map[string]any) string {
	if name, ok := claims["iss"].(string); ok {
		return name
	}
	return i.name
}

// tenantsOf reads the tenant claim.
func (i *issuer) tenantsOf(claims map[string]any) ([]tenant.Name, error) {
	claim, _ := i.tenant.Lookup(claims)
	if claim == nil {
		return nil, absentClaim(i.tenant, claims)
	}
	return i.shape.tenants(claim)
}

// readTenants takes a name, or an array of them. One invalid name rejects all: leaving it out
// would be a guess at the issuer's intent.
func readTenants(claim any) ([]tenant.Name, error) {
	var names []any
	switch claim := claim.(type) {
	case nil:
		return nil, errClaimNull
	case string:
		names = []any{claim}
	case []any:
		names = claim
	default:
		return nil, typeError(claim, "text or a list of texts")
	}
	if len(names) == 0 || len(names) > tenant.MaxNames {
		return nil, countError(len(names))
	}
	tenants := make([]tenant.Name, 0, len(names))
	for _, n := range names {
		text, _ := n.(string)
		name, ok := tenant.Parse(text)
		if !ok {
			return nil, nameError(n)
		}
		tenants = append(tenants, name)
	}
	slices.Sort(tenants)
	return slices.Compact(tenants), nil
}

// readSelector is the selector's text where one is configured.
func readSelector(path claimpath.Path, claims map[string]any) (string, error) {
	if path == nil {
		return "", nil
	}
	claim, ok := path.Lookup(claims)
	if !ok {
		return "", errors.New("absent")
	}
	text, ok := claim.(string)
	if !ok || strings.TrimSpace(text) == "" {
		return "", errors.New("empty or not a string")
	}
	return text, nil
}

// scopes gathers `scope` (RFC 9068: a string with spaces) and `scp` (its namesake with some
// providers), each a string or an array of strings. Invalid values are ignored: a scope only ever
// allows, so an invalid one allows nothing.
func scopes(claims map[string]any) []string {
	var found []string
	seen := make(map[string]bool)
	add := func(scope string) {
		if isScope(scope) && !seen[scope] {
			seen[scope] = true
			found = append(found, scope)
		}
	}
	for _, name := range []string{"scope", "scp"} {
		switch v := claims[name].(type) {
		case string:
			for scope := range strings.SplitSeq(v, " ") {
				add(scope)
			}
		case []any:
			for _, item := range v {
				scope, _ := item.(string)
				add(scope)
			}
		}
	}
	return found
}

// isScope reports whether s is a scope-token of RFC 6749, section 3.3.
func isScope(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// clone copies a cached value: a caller that sorts or appends must not change the tenants of the next
// one.
func (p Principal) clone() Principal {
	p.Tenants = slices.Clone(p.Tenants)
	p.Scopes = slices.Clone(p.Scopes)
	return p
}
