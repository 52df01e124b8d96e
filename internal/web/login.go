package web

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// OIDCLogin is how people sign in to the log page: what it needs to ask the provider for a token itself. The zero
// value has them paste one. All of it is public: browsers of strangers are told.
type OIDCLogin struct {
	// Issuer is the provider, as tokens name it.
	Issuer string `json:"issuer,omitempty"`
	// ClientID is the public client (no secret) that the provider knows the page as.
	ClientID string `json:"client_id,omitempty"`
	// Scopes are asked for, with spaces between.
	Scopes string `json:"scopes,omitempty"`
	// Parameters are sent to the authorization endpoint as well, each as name=value: some providers want to
	// be told the audience.
	Parameters []string `json:"parameters,omitempty"`
}

// Validate tells all mistakes at once, each after the name of its field.
func (s OIDCLogin) Validate() error {
	var errs []error
	report := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf(field+": "+format, args...))
	}
	switch {
	case s.ClientID == "" && len(s.Parameters) > 0:
		report("Parameters", "given without a client id, and so without a sign-in; write both or none")
		return errors.Join(errs...)
	case s.ClientID == "":
		return nil
	}
	if u, err := url.Parse(s.Issuer); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		report("ClientID", "the issuer is not a URL at which people could sign in; leave it out, and they paste a token")
	}
	if strings.TrimSpace(s.Scopes) == "" {
		report("Scopes", "required beside a client id; write scopes with spaces between, such as openid profile")
	}
	for i, p := range s.Parameters {
		field := fmt.Sprintf("Parameters[%d]", i)
		if name, _, ok := strings.Cut(p, "="); !ok || name == "" {
			report(field, "%q is not name=value", p)
		} else if reservedParameters[name] {
			report(field, "%s is for the page itself to say; leave it out", name)
		}
	}
	return errors.Join(errs...)
}

// reservedParameters are those of the flow that nobody else may set.
var reservedParameters = map[string]bool{
	"client_id": true, "redirect_uri": true, "response_type": true, "response_mode": true, "scope": true, "state": true,
	"nonce": true, "code_challenge": true, "code_challenge_method": true, "request": true, "request_uri": true,
}
