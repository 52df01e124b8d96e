package auth

import (
	"fmt"
	"slices"
	"strings"

	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/claimpath"
)

// GrantIssuers are the issuers of a valid configuration as grants name them: by the `iss` of their tokens. A template
// has one for each of its directories, since each is an issuer by itself.
func (c Config) GrantIssuers() []access.Issuer {
	var all []access.Issuer
	for _, iss := range c.Issuers {
		made := access.Issuer{Name: iss.name(), CheckSource: iss.checkGrantSource}
		if bound := newAllowedTenants(iss, true); !bound.any {
			made.MayName = bound.contains
		}
		if !iss.isTemplate() {
			all = append(all, made)
			continue
		}
		for _, directory := range iss.Directories {
			made.Name = inDirectory(iss.URL, directory)
			all = append(all, made)
		}
	}
	return all
}

// checkGrantSource returns what is wrong with conditions on claims whose values the token's owner can choose; empty:
// nothing.
func (iss Issuer) checkGrantSource(conditions []access.Condition) string {
	if iss.DangerouslyUserControlledClaim {
		return ""
	}
	for _, c := range conditions {
		if path, err := claimpath.Parse(c.Claim); err == nil && slices.Contains(path, "user_metadata") {
			return fmt.Sprintf("%s is within user_metadata, which each user can edit; use app_metadata, or accept it with dangerously_user_controlled_claim: true at the issuer", shorten(c.Claim))
		}
	}
	for _, shared := range sharedIssuers {
		if shared.is(iss.URL) && !iss.requires(shared.ids) && !slices.ContainsFunc(conditions, func(c access.Condition) bool { return isExact(c, shared.ids) }) {
			return fmt.Sprintf("tokens of %s are for everybody with an account there, and their owner chooses most values; "+
				"add a condition on an ID of your own, such as {claim: %s, values: [\"1234\"]}", shared.name, shared.ids[0])
		}
	}
	return ""
}

// requires reports whether every token of the issuer must have one of the claims, with an exact value.
func (iss Issuer) requires(claims []string) bool {
	return slices.ContainsFunc(iss.RequiredClaims, func(text string) bool {
		r, err := parseRequirement(text)
		return err == nil && slices.Contains(claims, r.path.String())
	})
}

// isExact reports whether the condition is on one of the claims, and compares complete values alone.
func isExact(c access.Condition, claims []string) bool {
	return slices.Contains(claims, c.Claim) && c.Pattern == "" &&
		!slices.ContainsFunc(c.Values, func(value string) bool { return strings.Contains(value, "*") })
}

// GrantWarnings lists what is allowed and dangerous in grants, a sentence each.
func (c Config) GrantWarnings(grants []access.Grant) []string {
	var warnings []string
	for _, g := range grants {
		for _, condition := range g.When {
			for _, claim := range userControlled {
				if condition.Claim != claim.claim || claim.claim == "email" && c.verifiesEmail(g) {
					continue
				}
				warnings = append(warnings, fmt.Sprintf("grant %s: %s %s", g.Name, claim.claim, claim.reason))
			}
		}
	}
	return warnings
}

// verifiesEmail reports whether the grant, or each issuer, requires that the address is verified.
func (c Config) verifiesEmail(g access.Grant) bool {
	isVerified := func(w access.Condition) bool {
		return w.Claim == "email_verified" && slices.Equal(w.Values, []string{"true"})
	}
	return slices.ContainsFunc(g.When, isVerified) ||
		!slices.ContainsFunc(c.Issuers, func(iss Issuer) bool { return !slices.Contains(iss.RequiredClaims, "email_verified=true") })
}
