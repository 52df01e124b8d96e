package httpapi

import (
	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/tenancy"
)

// ListPatterns handles GET /api/v1/logs/patterns.
func (s *Server) ListPatterns(c echo.Context, p api.ListPatternsParams) error {
	w, err := s.window(c, p.Start, p.End, p.Since)
	if err != nil {
		return err
	}
	step, err := s.step(c, w, p.Step)
	if err != nil {
		return err
	}
	sel, err := s.patternSelector(c, p.Query)
	if err != nil {
		return err
	}
	response, err := s.loki.Patterns(c.Request().Context(), requestOptions(c), sel, loki.PatternParams{
		Window: w, Step: step,
	})
	return s.copyResponse(c, response, err)
}

// patternSelector fences a selector of the caller's for Loki's patterns endpoint.
func (s *Server) patternSelector(c echo.Context, text string) (sel tenancy.PatternSelector, err error) {
	who, d := callerOf(c), recordOf(c)
	d.Requested = append(d.Requested, text)
	if err := checkSelectors(who.limits, []string{text}); err != nil {
		return tenancy.PatternSelector{}, err
	}
	err = s.withParserSlot(c.Request().Context(), who, func() (err error) {
		sel, err = who.scope.PatternSelector(text)
		return err
	})
	if err != nil {
		return tenancy.PatternSelector{}, err
	}
	d.Fenced = append(d.Fenced, sel.LogQL())
	return sel, nil
}

// ListFields handles GET /api/v1/logs/fields.
func (s *Server) ListFields(c echo.Context, p api.ListFieldsParams) error {
	q, f, err := s.fields(c, p)
	if err != nil {
		return err
	}
	response, err := s.loki.DetectedFields(c.Request().Context(), requestOptions(c), q, f)
	return s.copyResponse(c, response, err)
}

// ListFieldValues handles GET /api/v1/logs/fields/{name}/values.
func (s *Server) ListFieldValues(c echo.Context, name string, p api.ListFieldValuesParams) error {
	q, f, err := s.fields(c, api.ListFieldsParams(p))
	if err != nil {
		return err
	}
	response, err := s.loki.DetectedFieldValues(c.Request().Context(), requestOptions(c), name, q, f)
	return s.copyResponse(c, response, err)
}

func (s *Server) fields(c echo.Context, p api.ListFieldsParams) (tenancy.Query, loki.FieldParams, error) {
	refuse := func(err error) (tenancy.Query, loki.FieldParams, error) {
		return tenancy.Query{}, loki.FieldParams{}, err
	}
	w, err := s.window(c, p.Start, p.End, p.Since)
	if err != nil {
		return refuse(err)
	}
	step, err := parseStep("step", p.Step)
	if err != nil {
		return refuse(err)
	}
	if err := callerOf(c).limits.CheckLines(intOrZero(p.LineLimit)); err != nil {
		return refuse(err)
	}
	// Loki reads limit, and field_limit, its older name, where there is no limit.
	limit := p.Limit
	if limit == nil {
		limit = p.FieldLimit
	}
	q, err := s.query(c, p.Query)
	if err != nil {
		return refuse(err)
	}
	if q.Kind() != tenancy.KindLogs {
		return refuse(codeKindWrong.problem(nil, "Fields are found in log lines: this takes a log query, not a metric query.").
			inLoki("only log selector is supported"))
	}
	return q, loki.FieldParams{Window: w, Step: step, LineLimit: intOrZero(p.LineLimit), Limit: intOrZero(limit)}, nil
}
