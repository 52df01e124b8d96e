package auth

import (
	"fmt"
	"slices"
	"strings"

	"github.com/logfence/logfence/internal/access"
	"github.com/logfence/logfence/internal/claimpath"
	"github.com/logfence/logfence/internal/strictjson"
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

// UnverifiedClaims are the claims of a token, and the issuer as grants name it, of which nothing is verified: for
// operators who want to see what a token would be given.
func UnverifiedClaims(raw string) (issuer string, claims map[string]any, err error) {
	t, err := parseToken(raw)
	if err != nil {
		return "", nil, withoutKind(err)
	}
	return issuerNameIn(t.claims), t.claims, nil
}

// ParseClaims reads claims as JSON, as [UnverifiedClaims] does those of a token.
func ParseClaims(content []byte) (issuer string, claims map[string]any, err error) {
	claims, err = strictjson.Object(content)
	if err != nil {
		return "", nil, fmt.Errorf("claims: %w", err)
	}
	return issuerNameIn(claims), claims, nil
}

// issuerNameIn is what names the issuer in the claims: `iss`, or the trust domain of a SPIFFE ID.
func issuerNameIn(claims map[string]any) string {
	if name, ok := claims["iss"].(string); ok {
		return name
	}
	sub, _ := claims["sub"].(string)
	if rest, ok := strings.CutPrefix(sub, spiffeScheme); ok {
		domain, _, _ := strings.Cut(rest, "/")
		return spiffeScheme + domain
	}
	return ""
}

// SelectorIn is the selector of the claim that the issuer's configuration names; empty: it names none.
func (c Config) SelectorIn(issuer string, claims map[string]any) (string, error) {
	for _, iss := range c.Issuers {
		directory, _ := claims["tid"].(string)
		if iss.SelectorClaim == "" || iss.name() != issuer && inDirectory(iss.URL, directory) != issuer {
			continue
		}
		path, err := claimpath.Parse(iss.SelectorClaim)
		if err != nil {
			return "", err
		}
		selector, err := readSelector(path, claims)
		if err != nil {
			return "", fmt.Errorf("%s: %w", iss.SelectorClaim, err)
		}
		return selector, nil
	}
	return "", nil
}
