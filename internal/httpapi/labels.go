package httpapi

import (
	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/tenancy"
)

// ListLabels handles GET /api/v1/logs/labels.
func (s *Server) ListLabels(c echo.Context, p api.ListLabelsParams) error {
	sel, w, err := s.selectorAndWindow(c, p.Query, p.Start, p.End, p.Since)
	if err != nil {
		return err
	}
	response, err := s.loki.Labels(c.Request().Context(), requestOptions(c), sel, w)
	return s.copyResponse(c, response, err)
}

// ListLabelValues handles GET /api/v1/logs/labels/{name}/values.
func (s *Server) ListLabelValues(c echo.Context, name string, p api.ListLabelValuesParams) error {
	sel, w, err := s.selectorAndWindow(c, p.Query, p.Start, p.End, p.Since)
	if err != nil {
		return err
	}
	response, err := s.loki.LabelValues(c.Request().Context(), requestOptions(c), name, sel, w)
	return s.copyResponse(c, response, err)
}

// ListDetectedLabels handles GET /api/v1/logs/labels/detected.
func (s *Server) ListDetectedLabels(c echo.Context, p api.ListDetectedLabelsParams) error {
	sel, w, err := s.selectorAndWindow(c, p.Query, p.Start, p.End, p.Since)
	if err != nil {
		return err
	}
	response, err := s.loki.DetectedLabels(c.Request().Context(), requestOptions(c), sel, w)
	return s.copyResponse(c, response, err)
}

// ListSeries handles GET /api/v1/logs/series.
func (s *Server) ListSeries(c echo.Context, p api.ListSeriesParams) error {
	return s.series(c, stringsOr(p.Match, nil), p.Start, p.End, p.Since)
}

// series lists the streams that any of the selectors selects; no selector is every stream of the scope.
func (s *Server) series(c echo.Context, match []string, start, end, since *string) error {
	w, err := s.window(c, start, end, since)
	if err != nil {
		return err
	}
	selectors, err := s.selectors(c, match)
	if err != nil {
		return err
	}
	response, err := s.loki.Series(c.Request().Context(), requestOptions(c), selectors, w)
	return s.copyResponse(c, response, err)
}

// selectorAndWindow reads the parameters of every operation on streams: a selector, or none for all of the scope, and
// a time range.
func (s *Server) selectorAndWindow(c echo.Context, query, start, end, since *string) (tenancy.Selector, loki.Window, error) {
	w, err := s.window(c, start, end, since)
	if err != nil {
		return tenancy.Selector{}, loki.Window{}, err
	}
	sel, err := s.selector(c, query)
	return sel, w, err
}

func stringsOr(values *[]string, otherwise []string) []string {
	if values == nil {
		return otherwise
	}
	return *values
}

// LokiLabels handles GET /loki/api/v1/labels.
func (s *Server) LokiLabels(c echo.Context, p api.LokiLabelsParams) error {
	return s.ListLabels(c, api.ListLabelsParams(p))
}

// LokiLabelsForm handles POST /loki/api/v1/labels.
func (s *Server) LokiLabelsForm(c echo.Context, _ api.LokiLabelsFormParams) error {
	return s.binding().LokiLabels(c)
}

// LokiLabel handles GET /loki/api/v1/label, the older name of labels.
func (s *Server) LokiLabel(c echo.Context, p api.LokiLabelParams) error {
	return s.ListLabels(c, api.ListLabelsParams(p))
}

// LokiLabelForm handles POST /loki/api/v1/label.
func (s *Server) LokiLabelForm(c echo.Context, _ api.LokiLabelFormParams) error {
	return s.binding().LokiLabel(c)
}

// LokiLabelValues handles GET /loki/api/v1/label/{name}/values.
func (s *Server) LokiLabelValues(c echo.Context, name string, p api.LokiLabelValuesParams) error {
	return s.ListLabelValues(c, name, api.ListLabelValuesParams(p))
}

// LokiLabelValuesForm handles POST /loki/api/v1/label/{name}/values.
func (s *Server) LokiLabelValuesForm(c echo.Context, _ string, _ api.LokiLabelValuesFormParams) error {
	return s.binding().LokiLabelValues(c)
}

// LokiDetectedLabels handles GET /loki/api/v1/detected_labels.
func (s *Server) LokiDetectedLabels(c echo.Context, p api.LokiDetectedLabelsParams) error {
	return s.ListDetectedLabels(c, api.ListDetectedLabelsParams(p))
}

// LokiDetectedLabelsForm handles POST /loki/api/v1/detected_labels.
func (s *Server) LokiDetectedLabelsForm(c echo.Context, _ api.LokiDetectedLabelsFormParams) error {
	return s.binding().LokiDetectedLabels(c)
}

// LokiSeries handles GET /loki/api/v1/series. Loki takes both names of the parameter, and the union.
func (s *Server) LokiSeries(c echo.Context, p api.LokiSeriesParams) error {
	return s.series(c, append(stringsOr(p.Match, nil), stringsOr(p.MatchBrackets, nil)...), p.Start, p.End, p.Since)
}

// LokiSeriesForm handles POST /loki/api/v1/series.
func (s *Server) LokiSeriesForm(c echo.Context, _ api.LokiSeriesFormParams) error {
	return s.binding().LokiSeries(c)
}
