package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
)

// LokiIndexStats answers GET /loki/api/v1/index/stats.
func (s *Server) LokiIndexStats(c echo.Context, p api.LokiIndexStatsParams) error {
	return s.GetStats(c, api.GetStatsParams(p))
}

// LokiIndexStatsForm answers POST /loki/api/v1/index/stats.
func (s *Server) LokiIndexStatsForm(c echo.Context, _ api.LokiIndexStatsFormParams) error {
	return s.bound().LokiIndexStats(c)
}

// LokiIndexVolume answers GET /loki/api/v1/index/volume.
func (s *Server) LokiIndexVolume(c echo.Context, p api.LokiIndexVolumeParams) error {
	return s.GetVolume(c, api.GetVolumeParams(p))
}

// LokiIndexVolumeForm answers POST /loki/api/v1/index/volume.
func (s *Server) LokiIndexVolumeForm(c echo.Context, _ api.LokiIndexVolumeFormParams) error {
	return s.bound().LokiIndexVolume(c)
}

// LokiIndexVolumeRange answers GET /loki/api/v1/index/volume_range.
func (s *Server) LokiIndexVolumeRange(c echo.Context, p api.LokiIndexVolumeRangeParams) error {
	return s.GetVolumeRange(c, api.GetVolumeRangeParams(p))
}

// LokiIndexVolumeRangeForm answers POST /loki/api/v1/index/volume_range.
func (s *Server) LokiIndexVolumeRangeForm(c echo.Context, _ api.LokiIndexVolumeRangeFormParams) error {
	return s.bound().LokiIndexVolumeRange(c)
}

// LokiPatterns answers GET /loki/api/v1/patterns.
func (s *Server) LokiPatterns(c echo.Context, p api.LokiPatternsParams) error {
	return s.ListPatterns(c, api.ListPatternsParams(p))
}

// LokiPatternsForm answers POST /loki/api/v1/patterns.
func (s *Server) LokiPatternsForm(c echo.Context, _ api.LokiPatternsFormParams) error {
	return s.bound().LokiPatterns(c)
}

// LokiDetectedFields answers GET /loki/api/v1/detected_fields.
func (s *Server) LokiDetectedFields(c echo.Context, p api.LokiDetectedFieldsParams) error {
	return s.ListFields(c, api.ListFieldsParams(p))
}

// LokiDetectedFieldsForm answers POST /loki/api/v1/detected_fields.
func (s *Server) LokiDetectedFieldsForm(c echo.Context, _ api.LokiDetectedFieldsFormParams) error {
	return s.bound().LokiDetectedFields(c)
}

// LokiDetectedFieldValues answers GET /loki/api/v1/detected_field/{name}/values.
func (s *Server) LokiDetectedFieldValues(c echo.Context, name string, p api.LokiDetectedFieldValuesParams) error {
	return s.ListFieldValues(c, name, api.ListFieldValuesParams(p))
}

// LokiDetectedFieldValuesForm answers POST /loki/api/v1/detected_field/{name}/values.
func (s *Server) LokiDetectedFieldValuesForm(c echo.Context, _ string, _ api.LokiDetectedFieldValuesFormParams) error {
	return s.bound().LokiDetectedFieldValues(c)
}

// lokiAnswer is the envelope of Loki's own answers.
type lokiAnswer struct {
	Status string `json:"status"`
	Data   string `json:"data,omitempty"`
	Error  string `json:"error,omitempty"`
}

// LokiFormatQuery answers GET /loki/api/v1/format_query, without asking Loki, which can take many
// seconds for a text that it answers in the end.
func (s *Server) LokiFormatQuery(c echo.Context, p api.LokiFormatQueryParams) error {
	decisionOf(c).Requested = []string{p.Query}
	who := callerOf(c)
	if err := who.limits.CheckQuery(len(p.Query)); err != nil {
		return err
	}
	var formatted string
	err := s.fenced(c.Request().Context(), who, func() (err error) {
		formatted, err = who.scope.Format(p.Query, who.checkShape)
		return err
	})
	if problem := ofQuery(err); problem != nil && problem.Code == codeQueryInvalid.name {
		return c.JSON(http.StatusBadRequest, lokiAnswer{Status: "invalid-query", Error: problem.lokiText()})
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, lokiAnswer{Status: "success", Data: formatted})
}

// LokiFormatQueryForm answers POST /loki/api/v1/format_query.
func (s *Server) LokiFormatQueryForm(c echo.Context, _ api.LokiFormatQueryFormParams) error {
	return s.bound().LokiFormatQuery(c)
}

// LokiBuildInfo answers GET /loki/api/v1/status/buildinfo, which Grafana and logcli ask for Loki's
// version. Where it was built, and of what, is nobody's business here.
func (s *Server) LokiBuildInfo(c echo.Context, _ api.LokiBuildInfoParams) error {
	info, err := s.loki.BuildInfo(c.Request().Context())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.BuildInfo{Version: info.Version})
}
