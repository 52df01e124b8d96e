package auth

import (
	"fmt"
	"slices"
	"strings"

	"github.com/logfence/logfence/internal/claimpath"
)

// Hints explain common shapes of tokens that are refused. They are for the log and for `logfence check`, never for
// the caller, and decide nothing.

// notThreeParts explains a token that is not a signed JWT in compact form.
func notThreeParts(raw string) error {
	switch {
	case raw == "":
		return invalid("not three parts: it is empty")
	case strings.Count(raw, ".") == 4:
		return invalid("not three parts: an encrypted token (JWE), which only the provider can read; " +
			"request a token with the audience of this service, as Auth0 needs it, or switch encryption off")
	default:
		return invalid("not three parts: an opaque token, which only the provider can read; use the ID token, or have the provider issue JWTs as access tokens")
	}
}

// audienceHint explains an `aud` that is not this service's.
func audienceHint(aud any) string {
	name, _ := aud.(string)
	switch name {
	case "00000003-0000-0000-c000-000000000000", "https://graph.microsoft.com", "https://graph.windows.net":
		return "; a token for Microsoft Graph: request the scope of this service, such as api://<application>/.default"
	case "account":
		return "; Keycloak's default: add an audience mapper to the client"
	default:
		return ""
	}
}

// unknownIssuer explains an issuer that is not configured.
func (v *Verifier) unknownIssuer(name string, claims map[string]any) error {
	var configured []string
	for _, iss := range v.order {
		if strings.TrimSuffix(iss.name, "/") == strings.TrimSuffix(name, "/") {
			return invalid("issuer %s is not configured; the configured %s differs by the slash at its end", shorten(name), shorten(iss.name))
		}
		configured = append(configured, iss.name)
	}
	hint := ""
	_, hasDirectory := claims["tid"].(string)
	switch {
	case hasDirectory && claims["ver"] == "1.0":
		hint = "; a v1 token of Entra ID: set requestedAccessTokenVersion to 2 in the manifest of the application, or configure this issuer"
	case hasDirectory && slices.ContainsFunc(configured, isSharedDirectory):
		hint = "; common, organizations and consumers are no issuer of tokens: write " + entraTemplate + " with directories"
	}
	return invalid("issuer %s is not configured; configured: %s%s", shorten(name), quoted(configured), hint)
}

// discoveryHint says what to write for a document of another issuer.
func discoveryHint(name string) string {
	if strings.Contains(name, directoryPlace) {
		return ": for several directories of Entra ID " + entraTemplate + " with directories, for one its ID in place of " + directoryPlace
	}
	return ", with discovery_url, and discovery_issuer where the document is of another issuer"
}

// unknownKeyHint explains a token whose key the issuer does not publish.
func unknownKeyHint(claims map[string]any) string {
	_, client := claims["cid"].(string)
	_, user := claims["uid"].(string)
	if client && user {
		return "; the keys of access tokens of Okta's org authorization server are not published: use the ID token, or a custom authorization server"
	}
	return ""
}

// absentClaim explains a tenant claim that the token does not have.
func absentClaim(path claimpath.Path, claims map[string]any) error {
	if sources, ok := claims["_claim_names"].(map[string]any); ok && sources[path[0]] != nil || path[0] == "groups" && claims["hasgroups"] != nil {
		return fmt.Errorf("the claim %s was left out of the token, since it is too long; assign fewer groups to the application, or use roles", path)
	}
	if len(path) > 1 {
		for n := len(path); n > 1; n-- {
			name := strings.Join(path[:n], ".")
			if _, ok := claims[name]; ok {
				whole := append(claimpath.Path{name}, path[n:]...)
				return fmt.Errorf("the tenant claim is absent or null; the token has a claim with dots in its name: write %s", whole)
			}
		}
	}
	return fmt.Errorf("the tenant claim is absent or null; expected %s", path)
}

// identity is what a token claims to be, for the log.
func (t *token) identity() string {
	return fmt.Sprintf("iss %s, sub %s, aud %s", describe(t.claims["iss"]), describe(t.claims["sub"]), describe(t.claims["aud"]))
}

// explained adds to a refusal what the token claims to be. Nothing of it is verified.
func (t *token) explained(err error) error {
	return fmt.Errorf("%w (claimed by the token: %s)", err, t.identity())
}
