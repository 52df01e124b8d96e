package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/tenant"
)

// GetMe handles GET /api/v1/me.
func (s *Server) GetMe(c echo.Context, _ api.GetMeParams) error {
	who := callerOf(c)
	tenants, selector := tenant.Texts(who.Tenants), who.Selector
	if s.rules != nil {
		selector = who.scope.Extra()
	}
	if who.granted.Any {
		tenants = []string{}
	}
	l, scopes := who.limits, who.Scopes
	if scopes == nil {
		scopes = []string{} // an empty list in JSON, not null
	}
	return c.JSON(http.StatusOK, me{
		Me: api.Me{
			Subject: stringOrNil(who.Subject), Issuer: who.Issuer, Tenants: tenants, Selector: stringOrNil(selector),
			Scopes: scopes, ExpiresAt: who.Expiry.UTC(), Grants: myGrants(who),
		},
		Limits: l.Report(),
	})
}

// me is the response with the limits as their table has them: in JSON a field hides one of the same name that is
// embedded. TestMyLimits guarantees that the schema has the same ones.
type me struct {
	api.Me

	Limits map[string]int64 `json:"limits"`
}

func stringOrNil(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
