package auth

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/logfence/logfence/internal/tenant"
)

const (
	maxBoundTenants = 4096
	maxPatternBytes = 1024
)

// allowedTenants is the set of tenants that the tokens of one issuer may name. The zero value holds none.
type allowedTenants struct {
	any     bool
	names   map[tenant.Name]bool
	pattern *regexp.Regexp // nil: none
}

// newAllowedTenants returns the set of a valid configuration. Only a single issuer may name every tenant by
// default: there is no other issuer to protect.
func newAllowedTenants(ic Issuer, alone bool) allowedTenants {
	b := allowedTenants{any: ic.AnyTenant || alone && !ic.limitsTenants(), names: make(map[tenant.Name]bool, len(ic.Tenants))}
	for _, name := range ic.Tenants {
		b.names[tenant.Name(name)] = true
	}
	if ic.TenantPattern != "" {
		b.pattern, _ = compileTenantPattern(ic.TenantPattern) // Validate has checked it
	}
	return b
}

// contains reports whether the set contains the tenant.
func (b allowedTenants) contains(name tenant.Name) bool {
	return b.any || b.names[name] || b.pattern != nil && matchesWhole(b.pattern, string(name))
}

// check returns an error unless the bound contains all tenants. The error is for the log.
func (b allowedTenants) check(issuer string, tenants []tenant.Name) error {
	for _, name := range tenants {
		if !b.contains(name) {
			return fmt.Errorf("issuer %s may not name the tenant %q; its settings tenants and tenant_pattern do not contain it", shorten(issuer), name)
		}
	}
	return nil
}

// compileTenantPattern compiles a pattern for matchesWhole. Longest makes a match that covers the
// complete name win over a shorter one. It is not done by writing anchors around the text: in
// `^(?:` + `a)|(?:b` + `)$` they would bind to one alternative each.
func compileTenantPattern(pattern string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	re.Longest()
	return re, nil
}

// matchesWhole reports whether the pattern matches the complete name: the leftmost match starts at 0
// where any match does, and the longest one that starts there ends at the end where any does.
func matchesWhole(re *regexp.Regexp, name string) bool {
	at := re.FindStringIndex(name)
	return at != nil && at[0] == 0 && at[1] == len(name)
}

// matchesEveryName reports whether the pattern looks like one that excludes nothing, such as `.*`.
func matchesEveryName(re *regexp.Regexp) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
	for _, name := range append(strings.Split(letters, ""), letters, "zq-7_x.Q", strings.Repeat("_", tenant.MaxBytes)) {
		if !matchesWhole(re, name) {
			return false
		}
	}
	return true
}

// limitsTenants reports whether the configuration limits the tenants that the issuer may name.
func (iss Issuer) limitsTenants() bool { return iss.Tenants != nil || iss.TenantPattern != "" }

// validateBound checks Tenants, TenantPattern and AnyTenant. With more than one issuer the bound is required.
func (iss Issuer) validateBound(alone bool, report reporter) {
	switch {
	case iss.AnyTenant && iss.limitsTenants():
		report("AnyTenant", "given beside tenants or tenant_pattern, which would then bound nothing; write one or the other")
	case !iss.AnyTenant && !iss.limitsTenants() && !alone && !iss.ByGrants:
		report("Tenants", "required with more than one issuer; without it tokens of %s could name the tenants of the others; "+
			"list the tenants that they may name, or write a tenant_pattern, or any_tenant: true if they may name every tenant", shorten(iss.URL))
	}
	iss.validateTenants(report)
	if iss.TenantPattern != "" {
		if problem := checkTenantPattern(iss.TenantPattern); problem != "" {
			report("TenantPattern", "%s", problem)
		}
	}
}

func (iss Issuer) validateTenants(report reporter) {
	switch {
	case iss.Tenants != nil && len(iss.Tenants) == 0:
		report("Tenants", "an empty list; name the tenants that the issuer's tokens may name, or leave the key out")
	case len(iss.Tenants) > maxBoundTenants:
		report("Tenants", "%d names; at most %d are accepted; write a tenant_pattern for more", len(iss.Tenants), maxBoundTenants)
		return
	}
	seen := make(map[string]bool, len(iss.Tenants))
	for i, name := range iss.Tenants {
		field := fmt.Sprintf("Tenants[%d]", i)
		switch {
		case name == "*":
			report(field, `"*" is not a name; write any_tenant: true, alone, if the issuer's tokens may name every tenant`)
		case !tenant.Name(name).Valid():
			report(field, "%s is not a name of %s; a pattern goes into tenant_pattern", shorten(name), tenant.Grammar)
		case seen[name]:
			report(field, "%q is given twice; write it once", name)
		}
		seen[name] = true
	}
}

// checkTenantPattern returns what is wrong with the pattern, empty if nothing is.
func checkTenantPattern(pattern string) string {
	if len(pattern) > maxPatternBytes {
		return fmt.Sprintf("%d bytes; at most %d are accepted", len(pattern), maxPatternBytes)
	}
	re, err := compileTenantPattern(pattern)
	switch {
	case err != nil:
		return fmt.Sprintf("%s is not a regular expression (RE2): %s; write one such as acme-[a-z0-9]+", shorten(pattern), withoutPrefix(err))
	case matchesEveryName(re):
		return fmt.Sprintf("%s matches every name, so it bounds nothing; write a narrower one, or any_tenant: true in its place if that is meant", shorten(pattern))
	default:
		return ""
	}
}

func withoutPrefix(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}

// Warnings lists what is allowed and dangerous in a valid configuration, a sentence each.
func (c Config) Warnings() []string {
	var warnings []string
	for i, iss := range c.Issuers {
		iss.ByGrants = c.Grants
		if reason := iss.sourceWarning(); reason != "" {
			warnings = append(warnings, fmt.Sprintf("issuers[%d].tenant_claim: %s %s", i, iss.TenantClaim, reason))
		}
		if iss.AnyTenant && !c.Grants { // grants name their issuers
			warnings = append(warnings, fmt.Sprintf("issuers[%d].any_tenant: tokens of %s may name every tenant, those of all other issuers included", i, shorten(iss.URL)))
		}
	}
	return warnings
}
