package auth

import (
	"fmt"
	"slices"
	"strings"

	"github.com/logfence/logfence/internal/claimpath"
)

// requirement is a claim that every token of an issuer must have, with its exact value.
type requirement struct {
	path  claimpath.Path
	value string
}

// parseRequirement reads the syntax of [Issuer.RequiredClaims].
func parseRequirement(text string) (requirement, error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" || value == "" {
		return requirement{}, fmt.Errorf("%s is not a claim and its value; write one such as repository_owner_id=1234", shorten(text))
	}
	path, err := claimpath.Parse(name)
	return requirement{path: path, value: value}, err
}

// checkRequired checks the claims that the configuration requires. Numbers and booleans compare by their text.
func (i *issuer) checkRequired(claims map[string]any) error {
	for _, r := range i.required {
		claim, _ := r.path.Lookup(claims)
		if text, ok := scalarText(claim); !ok || text != r.value {
			return fmt.Errorf("required_claims: %s is %s, expected %s", r.path, describe(claim), shorten(r.value))
		}
	}
	return nil
}

func scalarText(claim any) (string, bool) {
	if text, ok := claim.(string); ok {
		return text, true
	}
	if text, ok := numberText(claim); ok {
		return text.(string), true
	}
	if text, ok := booleanText(claim); ok {
		return text.(string), true
	}
	return "", false
}

// sharedIssuer is a public issuer that signs tokens for everybody with an account: most of its claims have values
// that anybody can choose, by the name of a repository, a group or a project.
type sharedIssuer struct {
	name string
	is   func(url string) bool
	safe []string // claims that may name tenants
	ids  []string // claims whose values are given once and never to another account
}

var sharedIssuers = []sharedIssuer{
	{
		"GitHub Actions", func(url string) bool { return isHost(url, "token.actions.githubusercontent.com") },
		nil,
		[]string{"repository_owner_id", "repository_id", "enterprise_id"},
	},
	{"gitlab.com", func(url string) bool { return isHost(url, "gitlab.com") }, nil, []string{"namespace_id", "project_id"}},
	{
		"Google", func(url string) bool { return isHost(url, "accounts.google.com") || url == "accounts.google.com" },
		[]string{"hd"},
		[]string{"hd", "sub"},
	},
}

func isHost(url, host string) bool {
	rest, ok := strings.CutPrefix(url, "https://")
	name, _, _ := strings.Cut(rest, "/")
	return ok && strings.EqualFold(name, host)
}

// userControlled are claims whose value the user, or an administrator of another organization, can choose.
var userControlled = []struct {
	claim, reason string
}{
	{"email", "is an address that some providers do not verify; require email_verified=true in required_claims"},
	{"preferred_username", "can be changed by the user with most providers"},
	{"upn", "can be changed by an administrator, and be given to another user"},
	{"unique_name", "can be changed by the user or an administrator"},
	{"name", "is chosen by the user"},
	{"nickname", "is chosen by the user"},
}

// validateSource refuses a tenant claim whose value the token's owner can choose.
func (iss Issuer) validateSource(report reporter) {
	path, err := claimpath.Parse(iss.TenantClaim)
	if err != nil && !iss.ByGrants {
		return // reported already
	}
	var exact []string
	for i, text := range iss.RequiredClaims {
		r, err := parseRequirement(text)
		if err != nil {
			report(fmt.Sprintf("RequiredClaims[%d]", i), "%s", err)
			continue
		}
		exact = append(exact, r.path.String())
	}
	if iss.ByGrants {
		return // each grant is checked: see checkGrantSource
	}
	if slices.Contains(path, "user_metadata") && !iss.DangerouslyUserControlledClaim {
		report("TenantClaim", "%s is within user_metadata, which each user can edit; use app_metadata, or accept it with dangerously_user_controlled_claim: true", shorten(iss.TenantClaim))
	}
	for _, shared := range sharedIssuers {
		known := slices.ContainsFunc(exact, func(claim string) bool { return slices.Contains(shared.ids, claim) })
		if shared.is(iss.URL) && !known && !slices.Contains(shared.safe, path.String()) {
			report("TenantClaim", "tokens of %s are for everybody with an account there, and their owner chooses the value of %s; "+
				"require an ID of your own in required_claims, such as %s=1234", shared.name, shorten(iss.TenantClaim), shared.ids[0])
		}
	}
}

// sourceWarning returns what is dangerous about the tenant claim; empty: nothing.
func (iss Issuer) sourceWarning() string {
	path, err := claimpath.Parse(iss.TenantClaim)
	if err != nil || iss.ByGrants {
		return ""
	}
	if slices.Contains(path, "user_metadata") {
		return "is within user_metadata, which each user can edit"
	}
	if path.String() == "groups" && iss.isEntra() && strings.HasPrefix(iss.TenantShape, shapeMatch) {
		return "matches display names of groups, which are not unique in Entra ID; prefer application roles"
	}
	for _, c := range userControlled {
		if path.String() != c.claim || c.claim == "email" && slices.Contains(iss.RequiredClaims, "email_verified=true") {
			continue
		}
		return c.reason
	}
	return ""
}
