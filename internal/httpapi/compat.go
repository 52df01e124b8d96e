package httpapi

import (
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
)

// LokiIndexStats handles GET /loki/api/v1/index/stats.
func (s *Server) LokiIndexStats(c echo.Context, p api.LokiIndexStatsParams) error {
	return s.GetStats(c, api.GetStatsParams(p))
}

// LokiIndexStatsForm handles POST /loki/api/v1/index/stats.
func (s *Server) LokiIndexStatsForm(c echo.Context, _ api.LokiIndexStatsFormParams) error {
	return s.binding().LokiIndexStats(c)
}

// LokiIndexVolume handles GET /loki/api/v1/index/volume.
func (s *Server) LokiIndexVolume(c echo.Context, p api.LokiIndexVolumeParams) error {
	return s.GetVolume(c, api.GetVolumeParams(p))
}

// LokiIndexVolumeForm handles POST /loki/api/v1/index/volume.
func (s *Server) LokiIndexVolumeForm(c echo.Context, _ api.LokiIndexVolumeFormParams) error {
	return s.binding().LokiIndexVolume(c)
}

// LokiIndexVolumeRange handles GET /loki/api/v1/index/volume_range.
func (s *Server) LokiIndexVolumeRange(c echo.Context, p api.LokiIndexVolumeRangeParams) error {
	return s.GetVolumeRange(c, api.GetVolumeRangeParams(p))
}

// LokiIndexVolumeRangeForm handles POST /loki/api/v1/index/volume_range.
func (s *Server) LokiIndexVolumeRangeForm(c echo.Context, _ api.LokiIndexVolumeRangeFormParams) error {
	return s.binding().LokiIndexVolumeRange(c)
}

// LokiPatterns handles GET /loki/api/v1/patterns.
func (s *Server) LokiPatterns(c echo.Context, p api.LokiPatternsParams) error {
	return s.ListPatterns(c, api.ListPatternsParams(p))
}

// LokiPatternsForm handles POST /loki/api/v1/patterns.
func (s *Server) LokiPatternsForm(c echo.Context, _ api.LokiPatternsFormParams) error {
	return s.binding().LokiPatterns(c)
}

// LokiDetectedFields handles GET /loki/api/v1/detected_fields.
func (s *Server) LokiDetectedFields(c echo.Context, p api.LokiDetectedFieldsParams) error {
	return s.ListFields(c, api.ListFieldsParams(p))
}

// LokiDetectedFieldsForm handles POST /loki/api/v1/detected_fields.
func (s *Server) LokiDetectedFieldsForm(c echo.Context, _ api.LokiDetectedFieldsFormParams) error {
	return s.binding().LokiDetectedFields(c)
}

// LokiDetectedFieldValues handles GET /loki/api/v1/detected_field/{name}/values.
func (s *Server) LokiDetectedFieldValues(c echo.Context, name string, p api.LokiDetectedFieldValuesParams) error {
	return s.ListFieldValues(c, name, api.ListFieldValuesParams(p))
}

// LokiDetectedFieldValuesForm handles POST /loki/api/v1/detected_field/{name}/values.
func (s *Server) LokiDetectedFieldValuesForm(c echo.Context, _ string, _ api.LokiDetectedFieldValuesFormParams) error {
	return s.binding().LokiDetectedFieldValues(c)
}

// lokiEnvelope is the envelope of Loki's own responses.
type lokiEnvelope struct {
	Status string `json:"status"`
	Data   string `json:"data,omitempty"`
	Error  string `json:"error,omitempty"`
}

// LokiFormatQuery handles GET /loki/api/v1/format_query, without a request to Loki, which can take many
// seconds for some queries.
func (s *Server) LokiFormatQuery(c echo.Context, p api.LokiFormatQueryParams) error {
	var text string
	if p.Query != nil {
		text = *p.Query
	}
	recordOf(c).Requested = []string{text}
	who := callerOf(c)
	if err := who.limits.CheckQuery(len(text)); err != nil {
		return err
	}
	var formatted string
	err := s.withParserSlot(c.Request().Context(), who, func() (err error) {
		formatted, err = who.scope.Format(text, who.checkShape)
		return err
	})
	if problem := ofQuery(err); problem != nil && problem.Code == codeQueryInvalid.name {
		return c.JSON(http.StatusBadRequest, lokiEnvelope{Status: "invalid-query", Error: problem.lokiText()})
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, lokiEnvelope{Status: "success", Data: formatted})
}

// LokiFormatQueryForm handles POST /loki/api/v1/format_query.
func (s *Server) LokiFormatQueryForm(c echo.Context, _ api.LokiFormatQueryFormParams) error {
	return s.binding().LokiFormatQuery(c)
}

// LokiBuildInfo handles GET /loki/api/v1/status/buildinfo, from which Grafana and logcli read Loki's
// version. Build details are not exposed.
func (s *Server) LokiBuildInfo(c echo.Context, _ api.LokiBuildInfoParams) error {
	info, err := s.loki.BuildInfo(c.Request().Context())
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.BuildInfo{Version: info.Version})
}

// lokiReadyPath is where clients of Loki wait until it takes requests.
const lokiReadyPath = "/ready"

// lokiReady reports whether this process takes requests, and nothing of Loki or the issuers: that is /readyz, for
// operators. It needs no token, as Loki's needs none.
func (s *Server) lokiReady(c echo.Context) error {
	if s.stopping.Load() {
		return c.String(http.StatusServiceUnavailable, "not ready: the server is shutting down")
	}
	return c.String(http.StatusOK, "ready\n")
}

// withoutDoubleSlashes returns where one of Loki's paths is redirected whose slashes are doubled, as they are where a
// client's base URL ends with one; Loki's router does the same. It is empty where nothing is doubled, and where cleaning the
// path does not lead to a path of the specification: a path that is passed through as it is could name another host.
func (t operationTable) withoutDoubleSlashes(given string) string {
	clean := path.Clean(given)
	if clean == given || !isCompat(clean) || strings.HasSuffix(given, "/") || strings.Contains(given, "/.") {
		return ""
	}
	for _, op := range t {
		if op.route.Method == http.MethodGet && matchesTemplate(op.route.Path, clean) {
			return clean
		}
	}
	return ""
}

// matchesTemplate reports whether a path is one of a template of OpenAPI.
func matchesTemplate(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && !strings.HasPrefix(want[i], "{") {
			return false
		}
	}
	return true
}
