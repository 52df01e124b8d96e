package httpapi

import (
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/tenancy"
)

// Loki's own default, sent on so that a lower LOGFENCE_MAX_LINES holds for it too.
const defaultLines = 100

// QueryLogs handles GET /api/v1/logs/query.
func (s *Server) QueryLogs(c echo.Context, p api.QueryLogsParams) error {
	w, err := s.window(c, p.Start, p.End, p.Since)
	if err != nil {
		return err
	}
	lines, err := s.lineLimit(c, p.Limit)
	if err != nil {
		return err
	}
	step, err := parseStep("step", p.Step)
	if err != nil {
		return err
	}
	interval, err := parseStep("interval", p.Interval)
	if err != nil {
		return err
	}
	q, err := s.query(c, p.Query)
	if err != nil {
		return err
	}
	if q.Kind() == tenancy.KindMetrics { // a step has no meaning for log lines
		if err := callerOf(c).limits.CheckPoints(w.Start, w.End, step); err != nil {
			return err
		}
	}
	if err := s.checkBytesRead(c, q, w); err != nil {
		return err
	}
	response, err := s.loki.QueryRange(c.Request().Context(), requestOptions(c), q, loki.RangeParams{
		Window: w, Limit: lines, Direction: lowerOr(p.Direction, ""), Step: step, Interval: interval,
	})
	return s.copyResponse(c, response, err)
}

// QueryLogsForm handles POST /api/v1/logs/query. The form's parameters have been read; see validatedRequest.
func (s *Server) QueryLogsForm(c echo.Context, _ api.QueryLogsFormParams) error {
	return s.binding().QueryLogs(c)
}

// QueryInstant handles GET /api/v1/logs/query/instant.
func (s *Server) QueryInstant(c echo.Context, p api.QueryInstantParams) error {
	at, err := optionalTime("time", p.Time)
	if err != nil {
		return err
	}
	d := recordOf(c)
	d.Start, d.End = at, at
	lines, err := s.lineLimit(c, p.Limit)
	if err != nil {
		return err
	}
	q, err := s.query(c, p.Query)
	if err != nil {
		return err
	}
	if q.Kind() != tenancy.KindMetrics {
		return codeKindWrong.problem(nil, "An instant query takes a metric query, such as count_over_time({app=\"api\"}[5m]); for log lines use a range query.").
			inLoki("log queries are not supported as an instant query type, please change your query to a range query type")
	}
	if err := s.checkBytesRead(c, q, instant(at, s.now())); err != nil {
		return err
	}
	response, err := s.loki.QueryInstant(c.Request().Context(), requestOptions(c), q, loki.InstantParams{
		Time: at, Limit: lines, Direction: lowerOr(p.Direction, ""),
	})
	return s.copyResponse(c, response, err)
}

// instant is the window of a query at one time, which is now where there is none.
func instant(at, now time.Time) loki.Window {
	if at.IsZero() {
		at = now
	}
	return loki.Window{Start: at, End: at}
}

// QueryInstantForm handles POST /api/v1/logs/query/instant.
func (s *Server) QueryInstantForm(c echo.Context, _ api.QueryInstantFormParams) error {
	return s.binding().QueryInstant(c)
}

// LokiQueryRange handles GET /loki/api/v1/query_range.
func (s *Server) LokiQueryRange(c echo.Context, p api.LokiQueryRangeParams) error {
	var err error
	if p.Query, err = s.withLegacyRegexp(c, p.Query); err != nil {
		return err
	}
	return s.QueryLogs(c, api.QueryLogsParams(p))
}

// LokiQueryRangeForm handles POST /loki/api/v1/query_range.
func (s *Server) LokiQueryRangeForm(c echo.Context, _ api.LokiQueryRangeFormParams) error {
	return s.binding().LokiQueryRange(c)
}

// LokiQuery handles GET /loki/api/v1/query.
func (s *Server) LokiQuery(c echo.Context, p api.LokiQueryParams) error {
	return s.QueryInstant(c, api.QueryInstantParams(p))
}

// LokiQueryForm handles POST /loki/api/v1/query.
func (s *Server) LokiQueryForm(c echo.Context, _ api.LokiQueryFormParams) error {
	return s.binding().LokiQuery(c)
}

// binding returns the generated binding of parameters, for operations whose form has been read.
func (s *Server) binding() *api.ServerInterfaceWrapper {
	return &api.ServerInterfaceWrapper{Handler: s}
}

// window reads a time range and checks it against the limit.
func (s *Server) window(c echo.Context, start, end, since *string) (loki.Window, error) {
	w, err := windowOf(s.now(), start, end, since)
	if err != nil {
		return loki.Window{}, err
	}
	d := recordOf(c)
	d.Start, d.End = w.start, w.end
	if err := callerOf(c).limits.CheckRange(w.start, w.end); err != nil {
		return loki.Window{}, err
	}
	return loki.Window{Start: w.start, End: w.end}, nil
}

// step reads a step, and checks the number of points over the time range against the limit.
func (s *Server) step(c echo.Context, w loki.Window, value *string) (time.Duration, error) {
	step, err := parseStep("step", value)
	if err != nil {
		return 0, err
	}
	return step, callerOf(c).limits.CheckPoints(w.Start, w.End, step)
}

// lineLimit returns the requested number of lines, and an error if it exceeds the limit.
func (s *Server) lineLimit(c echo.Context, limit *int) (int, error) {
	l := callerOf(c).limits
	if limit == nil {
		return min(defaultLines, l.MaxLines), nil
	}
	if err := l.CheckLines(*limit); err != nil {
		return 0, err
	}
	return *limit, nil
}

func optionalTime(name string, value *string) (time.Time, error) {
	if value == nil {
		return time.Time{}, nil
	}
	return parseTime(name, *value)
}

// lowerOr returns an optional parameter in lower case. The spec has validated it against its enumeration.
func lowerOr[T ~string](value *T, otherwise string) string {
	if value == nil {
		return otherwise
	}
	return strings.ToLower(string(*value)) // logcli sends FORWARD
}

// intOrZero returns an optional parameter.
func intOrZero(value *int) int {
	if value == nil {
		return 0
	}
	return *value
}
