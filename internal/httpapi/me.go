package httpapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
)

// GetMe answers GET /api/v1/me.
func (s *Server) GetMe(c echo.Context, _ api.GetMeParams) error {
	who := callerOf(c)
	scopes := who.Scopes
	if scopes == nil {
		scopes = []string{} // an empty list in JSON, not null
	}
	return c.JSON(http.StatusOK, api.Me{
		Subject: orAbsent(who.Subject), Issuer: who.Issuer, Tenants: who.Tenants, Selector: orAbsent(who.Selector),
		Scopes: scopes, ExpiresAt: who.Expiry.UTC(),
		Limits: api.MyLimits{
			MaxQueryBytes: s.fence.MaxQueryBytes(), MaxRangeSeconds: int64(s.limits.MaxRange / time.Second),
			MaxLines: s.limits.MaxLines, MaxExportLines: s.limits.MaxExportLines, MaxTails: s.limits.MaxTails,
		},
	})
}

func orAbsent(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
