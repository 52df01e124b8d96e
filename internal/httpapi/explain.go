package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/tenancy"
)

// ExplainQuery handles POST /api/v1/logs/explain, without a request to Loki unless a time range is given. For a query that is
// not valid the response is 200 with the error, since editors send those; one that is too expensive to parse is refused.
func (s *Server) ExplainQuery(c echo.Context, _ api.ExplainQueryParams) error {
	var request api.ExplainRequest
	if err := readJSON(c.Request(), &request); err != nil {
		return err
	}
	who, d := callerOf(c), recordOf(c)
	d.Requested = []string{request.Query}
	if err := who.limits.CheckQuery(len(request.Query)); err != nil {
		return err
	}
	var explained tenancy.Explanation
	err := s.withParserSlot(c.Request().Context(), who, func() (err error) {
		explained, err = who.scope.Explain(request.Query)
		return err
	})
	if p := ofExplained(err); p != nil && p.Status == http.StatusBadRequest {
		d.Unproven = unproven(err)
		return c.JSON(http.StatusOK, api.RefusedQuery{Valid: api.False, Error: queryError(p.withHint(request.Query))})
	}
	if err != nil {
		return err
	}
	if err := who.checkShape(explained.Query.Shape()); err != nil {
		return err
	}
	d.Fenced = []string{explained.Query.LogQL()}
	estimate, err := s.explainReads(c, request, explained.Query)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, api.ExplainedQuery{
		Valid: api.True, Kind: api.ExplainedQueryKind(explained.Query.Kind().String()),
		Fenced: explained.Query.LogQL(), Selectors: selectorsOf(explained.Selectors), Estimate: estimate,
	})
}

// explainReads is what a query would read over the time range of the request; nil where there is none, or no estimate.
func (s *Server) explainReads(c echo.Context, r api.ExplainRequest, q tenancy.Query) (*api.ReadEstimate, error) {
	if r.Start == nil && r.End == nil && r.Since == nil {
		return nil, nil //nolint:nilnil // none was requested
	}
	w, err := s.window(c, r.Start, r.End, r.Since)
	if err != nil {
		return nil, err
	}
	found, complete, err := s.estimate(c, q, w)
	if err != nil || !complete {
		return nil, err
	}
	return &api.ReadEstimate{Streams: found.Streams, Chunks: found.Chunks, Bytes: found.Bytes, Entries: found.Entries}, nil
}

// ofExplained is the problem of a query that is not valid, and of one that Loki refuses when it runs it.
func ofExplained(err error) *problem {
	var later *tenancy.RefusedLaterError
	if errors.As(err, &later) {
		return codeLokiRefused.problem(err, "%s", later.Message).at(later.Line, later.Column)
	}
	return ofQuery(err)
}

func queryError(p *problem) api.QueryError {
	e := api.QueryError{Code: p.Code, Message: p.Detail}
	if p.Line > 0 {
		e.Line, e.Column = &p.Line, &p.Column
	}
	if p.Hint != "" {
		e.Hint = &p.Hint
	}
	return e
}

func selectorsOf(parts []tenancy.SelectorPart) []api.ExplainedSelector {
	selectors := make([]api.ExplainedSelector, len(parts))
	for i, part := range parts {
		matchers := make([]api.ExplainedMatcher, len(part.Matchers))
		for j, m := range part.Matchers {
			matchers[j] = api.ExplainedMatcher{Name: m.Name, Op: api.ExplainedMatcherOp(m.Op), Value: m.Value}
		}
		selectors[i] = api.ExplainedSelector{Text: part.Text, Line: part.Line, Column: part.Column, Matchers: matchers}
	}
	return selectors
}

// readJSON reads a body that has been validated against the spec.
func readJSON(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	if err := d.Decode(into); err != nil {
		return parameterInvalid("", "The body is not JSON as described.")
	}
	return nil
}
