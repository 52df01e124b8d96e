package auth

import (
	"encoding/json"
	"slices"
	"strings"
)

// checkAudience checks that the token was made for this service: `aud` is one of the issuer's audiences or, where
// it is an array, has one of them. The only other way is that of Amazon Cognito, whose access tokens have no `aud`:
// with ClientIDs configured, a token without any `aud`, with `token_use` access and one of them as `client_id`.
// Nothing else takes the place of `aud`: azp, cid and appid name the client, which may hold tokens for any service.
func (i *issuer) checkAudience(claims map[string]any) error {
	aud, given := claims["aud"]
	switch {
	case given && hasAudience(aud, i.audiences):
		return nil
	case given:
		return invalid("not for our audience: its aud is %s, expected %s%s", describe(aud), quoted(i.audiences), audienceHint(aud))
	case len(i.clientIDs) == 0:
		return invalid("not for our audience: it has no aud, expected %s", quoted(i.audiences))
	}
	client, _ := claims["client_id"].(string)
	switch {
	case claims["token_use"] != "access":
		return invalid("not for our audience: it has no aud, and its token_use is %s, expected \"access\"", describe(claims["token_use"]))
	case !slices.Contains(i.clientIDs, client):
		return invalid("not for our audience: it has no aud, and its client_id is %s, expected %s", describe(claims["client_id"]), quoted(i.clientIDs))
	}
	return nil
}

// hasAudience compares exactly: `aud` is an audience, or an array of strings with one among them.
func hasAudience(aud any, audiences []string) bool {
	switch aud := aud.(type) {
	case string:
		return slices.Contains(audiences, aud)
	case []any:
		found := false
		for _, a := range aud {
			s, ok := a.(string)
			if !ok {
				return false
			}
			found = found || slices.Contains(audiences, s)
		}
		return found
	default:
		return false
	}
}

// validateAudience checks Audiences and ClientIDs.
func (iss Issuer) validateAudience(report reporter) {
	if len(iss.Audiences) == 0 {
		report("Audiences", "required; without it a token made for another service would be accepted")
	}
	for _, list := range []struct {
		field  string
		values []string
	}{{"Audiences", iss.Audiences}, {"ClientIDs", iss.ClientIDs}} {
		switch {
		case len(list.values) > maxAudiences:
			report(list.field, "%d values; at most %d are accepted", len(list.values), maxAudiences)
		case slices.Contains(list.values, ""):
			report(list.field, "an empty value; a token with an empty one would be accepted")
		}
	}
}

// maxAudiences bounds the comparisons for one token.
const maxAudiences = 64

// quoted joins some values for a message.
func quoted(values []string) string {
	const most = 5
	var all []string
	for i, value := range values {
		if i == most {
			all = append(all, "…")
			break
		}
		all = append(all, shorten(value))
	}
	return strings.Join(all, " or ")
}

// describe shows a claim's value for the log, cut short.
func describe(claim any) string {
	switch claim := claim.(type) {
	case nil:
		return "absent or null"
	case string:
		return shorten(claim)
	}
	text, err := json.Marshal(claim)
	if err != nil {
		return "not readable"
	}
	const most = 120
	if len(text) > most {
		return strings.ToValidUTF8(string(text[:most]), "") + "…"
	}
	return string(text)
}
