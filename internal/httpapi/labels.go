package httpapi

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

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
	return s.copyNames(c, response, err)
}

// ListLabelValues handles GET /api/v1/logs/labels/{name}/values.
func (s *Server) ListLabelValues(c echo.Context, name string, p api.ListLabelValuesParams) error {
	sel, w, err := s.selectorAndWindow(c, p.Query, p.Start, p.End, p.Since)
	if err != nil {
		return err
	}
	response, err := s.loki.LabelValues(c.Request().Context(), requestOptions(c), name, sel, w)
	return s.copyNames(c, response, err)
}

// copyNames is copyResponse for names and values. Loki leaves out data where there are none; on the native API it is always
// there.
func (s *Server) copyNames(c echo.Context, response *loki.Response, err error) error {
	if err == nil && !isCompat(c.Request().URL.Path) {
		err = withData(response)
	}
	return s.copyResponse(c, response, err)
}

// noNames is how Loki begins a response, and all of one without names; withNoNames is that with an empty list.
const (
	noNames     = `{"status":"success"}`
	withNoNames = `{"status":"success","data":[]}`
)

// maxNoNames is more than a response without names has, compressed or not.
const maxNoNames = 128

// withData puts an empty list into a response without data, and leaves every other one as it is. It reads its first bytes
// alone. With an error the response is closed.
func withData(r *loki.Response) error {
	first := make([]byte, maxNoNames)
	n, err := io.ReadFull(r.Body, first)
	first = first[:n]
	rest := struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first), r.Body), r.Body}
	switch {
	case err == nil: // there is more
		r.Body = rest
		return nil
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		r.Body.Close() //nolint:errcheck,gosec // the response is rejected
		return fmt.Errorf("read names: %w", err)
	}
	var text io.Reader = bytes.NewReader(first)
	if r.ContentEncoding == "gzip" {
		if text, err = gzip.NewReader(text); err != nil {
			r.Body = rest
			return nil //nolint:nilerr // it is the client's to find
		}
	}
	// What is not read to its end is not without names.
	if all, err := io.ReadAll(io.LimitReader(text, maxNoNames)); err == nil && strings.TrimSpace(string(all)) == noNames {
		rest.Reader = strings.NewReader(withNoNames)
		r.ContentEncoding, r.Length = "", int64(len(withNoNames))
	}
	r.Body = rest
	return nil
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
