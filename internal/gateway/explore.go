package gateway

import (
	"context"

	"github.com/logfence/logfence/internal/auth"
	"github.com/logfence/logfence/internal/config"
	"github.com/logfence/logfence/internal/httpapi"
)

// explorePage configures the log explorer; nil if it is not served.
func explorePage(c config.Config) *httpapi.Explore {
	if !c.UI {
		return nil
	}
	if c.SignIn.ClientID == "" {
		return &httpapi.Explore{Links: c.UILinks} // nothing about the provider is anybody's business then
	}
	endpoints := auth.NewEndpoints(c.SignIn.Issuer, c.Auth.DangerouslyAllowHTTPJWKS)
	return &httpapi.Explore{SignIn: c.SignIn, Links: c.UILinks, Origins: func(ctx context.Context) []string {
		var origins []string
		for _, origin := range []string{endpoints.Origin(), endpoints.TokenOrigin(ctx)} {
			if origin != "" && (len(origins) == 0 || origins[0] != origin) {
				origins = append(origins, origin)
			}
		}
		return origins
	}}
}
