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
	l, scopes := who.limits, who.Scopes
	if scopes == nil {
		scopes = []string{} // an empty list in JSON, not null
	}
	return c.JSON(http.StatusOK, api.Me{
		Subject: orAbsent(who.Subject), Issuer: who.Issuer, Tenants: who.Tenants, Selector: orAbsent(who.Selector),
		Scopes: scopes, ExpiresAt: who.Expiry.UTC(),
		Limits: api.MyLimits{
			MaxQueryBytes: l.MaxQueryBytes, MaxDepth: l.MaxDepth, MaxSelectors: l.MaxSelectors,
			MaxRangeSeconds: int64(l.MaxRange / time.Second), MaxRangeVectorSeconds: int64(l.MaxRangeVector / time.Second),
			MaxPoints: l.MaxPoints, MaxLines: l.MaxLines, MaxExportLines: l.MaxExportLines, MaxAnswerBytes: int64(l.MaxAnswerBytes),
			TimeoutSeconds: int64(l.Timeout / time.Second), MaxQueries: l.Queries, MaxExports: l.Exports, MaxTails: l.MaxTails,
			RequestsPerSecond: l.Rate, Burst: l.Burst,
		},
	})
}

func orAbsent(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
