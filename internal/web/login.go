package web

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/logfence/logfence/internal/fielderror"
)

// OIDCLogin holds the OpenID Connect login settings of the log explorer. With the zero value users paste a token.
// All of it is public: it is sent to every browser.
type OIDCLogin struct {
	// Issuer is the provider's URL, as in the tokens' iss.
	Issuer string `json:"issuer,omitempty"`
	// ClientID is the public client (no secret) that is registered at the provider for the page.
	ClientID string `json:"client_id,omitempty"`
	// Scopes are the requested scopes, separated by spaces.
	Scopes string `json:"scopes,omitempty"`
	// Parameters are sent to the authorization endpoint as well, each as name=value: some providers require
	// the audience.
	Parameters []string `json:"parameters,omitempty"`
	// Token is which of the provider's tokens the page sends: TokenID, or the access token where it is TokenAccess or empty.
	Token string `json:"token,omitempty"`
}

// The tokens that the page can send.
const (
	TokenAccess = "access"
	TokenID     = "id"
)

// Validate reports all mistakes at once, each with the name of its field.
func (s OIDCLogin) Validate() error {
	var errs []error
	report := func(field, format string, args ...any) {
		errs = append(errs, fielderror.New(field, format, args...))
	}
	if s.Token != "" && s.Token != TokenAccess && s.Token != TokenID {
		report("Token", "%q is not known; write %s or %s", s.Token, TokenAccess, TokenID)
	}
	switch {
	case s.ClientID == "" && len(s.Parameters) > 0:
		report("Parameters", "given without a client id, so there is no login; write both or none")
		return errors.Join(errs...)
	case s.ClientID == "":
		return errors.Join(errs...)
	}
	if u, err := url.Parse(s.Issuer); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		report("ClientID", "the issuer is not a URL for a login; leave the client id out, and users paste a token")
	}
	if strings.TrimSpace(s.Scopes) == "" {
		report("Scopes", "required beside a client id; write scopes with spaces between, such as openid profile")
	}
	for i, p := range s.Parameters {
		field := fmt.Sprintf("Parameters[%d]", i)
		if name, _, ok := strings.Cut(p, "="); !ok || name == "" {
			report(field, "%q is not name=value", p)
		} else if reservedParameters[name] {
			report(field, "%s is set by the page itself; leave it out", name)
		}
	}
	return errors.Join(errs...)
}

// reservedParameters are set by the login flow itself.
var reservedParameters = map[string]bool{
	"client_id": true, "redirect_uri": true, "response_type": true, "response_mode": true, "scope": true, "state": true,
	"nonce": true, "code_challenge": true, "code_challenge_method": true, "request": true, "request_uri": true,
}
