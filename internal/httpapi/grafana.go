package httpapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/common/model"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
)

// What Grafana requests of a Loki besides logs: the limits that Logs Drilldown goes by, and rules and alerts.

// LokiDrilldownLimits handles GET /loki/api/v1/drilldown-limits, in Loki's shape, with the limits of the caller's own
// tenants here. It is not forwarded: Loki would return its own limits, which are those of all tenants together.
func (s *Server) LokiDrilldownLimits(c echo.Context, _ api.LokiDrilldownLimitsParams) error {
	info, err := s.loki.BuildInfo(c.Request().Context())
	if err != nil {
		return err
	}
	patterns, err := s.hasPatterns(c)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.DrilldownLimits{
		Limits: drilldownLimits(callerOf(c).limits.Limits), PatternIngesterEnabled: patterns, Version: info.Version,
	})
}

// drilldownLimits are limits under the names of Loki's (3.7.8, pkg/validation/limits.go), as far as they mean the same.
func drilldownLimits(l limits.Limits) api.DrilldownLimitValues {
	duration := func(d time.Duration) string { return model.Duration(d).String() }
	return api.DrilldownLimitValues{
		MaxEntriesLimitPerQuery: l.MaxLines, MaxQueryLength: duration(l.MaxRange), MaxQueryRange: duration(l.MaxRangeVector),
		QueryTimeout: duration(l.Timeout),
	}
}

// hasPatterns reports whether Loki detects patterns, from what it returns for those of the caller's last second: no
// status of Loki's tells without the permission to read its configuration.
func (s *Server) hasPatterns(c echo.Context) (bool, error) {
	sel, err := s.patternSelector(c, "")
	if err != nil {
		return false, err
	}
	now := s.now()
	response, err := s.loki.Patterns(c.Request().Context(), requestOptions(c), sel, loki.PatternParams{
		Window: loki.Window{Start: now.Add(-time.Second), End: now},
	})
	if errors.Is(err, loki.ErrNotEnabled) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_ = response.Body.Close() // its status is all that was needed
	return true, nil
}

// PrometheusRules handles GET /prometheus/api/v1/rules. Rules are not served: those of Loki are of all tenants
// together. Grafana's page of alerts reports an error where there is no such path.
func (s *Server) PrometheusRules(c echo.Context, _ api.PrometheusRulesParams) error {
	return c.JSON(http.StatusOK, api.RuleGroups{Status: api.SuccessSuccess, Data: api.RuleGroupsData{Groups: []map[string]any{}}})
}

// PrometheusAlerts handles GET /prometheus/api/v1/alerts; see [Server.PrometheusRules].
func (s *Server) PrometheusAlerts(c echo.Context, _ api.PrometheusAlertsParams) error {
	return c.JSON(http.StatusOK, api.Alerts{Status: api.SuccessSuccess, Data: api.AlertsData{Alerts: []map[string]any{}}})
}

// LokiRules handles GET /loki/api/v1/rules, with what Loki returns where there are none (pkg/ruler/base/api.go).
func (s *Server) LokiRules(echo.Context, api.LokiRulesParams) error {
	return codeNotFound.problem(nil, "no rule groups found")
}
