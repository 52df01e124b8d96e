package httpapi

import (
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/tenancy"
)

// GetStats handles GET /api/v1/logs/stats.
func (s *Server) GetStats(c echo.Context, p api.GetStatsParams) error {
	sel, w, err := s.selectorAndWindow(c, p.Query, p.Start, p.End, p.Since)
	if err != nil {
		return err
	}
	response, err := s.loki.IndexStats(c.Request().Context(), requestOptions(c), sel, w)
	return s.copyResponse(c, response, err)
}

// GetVolume handles GET /api/v1/logs/volume.
func (s *Server) GetVolume(c echo.Context, p api.GetVolumeParams) error {
	sel, v, err := s.volume(c, p)
	if err != nil {
		return err
	}
	response, err := s.loki.Volume(c.Request().Context(), requestOptions(c), sel, v)
	return s.copyResponse(c, response, err)
}

// GetVolumeRange handles GET /api/v1/logs/volume/range.
func (s *Server) GetVolumeRange(c echo.Context, p api.GetVolumeRangeParams) error {
	sel, v, err := s.volume(c, api.GetVolumeParams{
		Query: p.Query, Start: p.Start, End: p.End, Since: p.Since, Limit: p.Limit, TargetLabels: p.TargetLabels,
		AggregateBy: p.AggregateBy,
	})
	if err != nil {
		return err
	}
	if v.Step, err = s.step(c, v.Window, p.Step); err != nil {
		return err
	}
	response, err := s.loki.VolumeRange(c.Request().Context(), requestOptions(c), sel, v)
	return s.copyResponse(c, response, err)
}

func (s *Server) volume(c echo.Context, p api.GetVolumeParams) (tenancy.Selector, loki.VolumeParams, error) {
	sel, w, err := s.selectorAndWindow(c, p.Query, p.Start, p.End, p.Since)
	if err != nil {
		return tenancy.Selector{}, loki.VolumeParams{}, err
	}
	v := loki.VolumeParams{Window: w, Limit: intOrZero(p.Limit), AggregateBy: lowerOr(p.AggregateBy, "")}
	switch {
	case p.TargetLabels != nil && *p.TargetLabels != "":
		v.TargetLabels = strings.Split(*p.TargetLabels, ",")
	case v.AggregateBy != "labels":
		// Where a request names no target labels Loki adds up series by those that the selector names, and
		// would find the tenant's among them: name the caller's own.
		v.TargetLabels = sel.Named()
	}
	return sel, v, nil
}
