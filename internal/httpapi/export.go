package httpapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/cpuslots"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
	"github.com/logfence/logfence/internal/web"
)

// ExportLogs handles GET /api/v1/logs/export.
func (s *Server) ExportLogs(c echo.Context, p api.ExportLogsParams) error {
	w, err := s.window(c, p.Start, p.End, p.Since)
	if err != nil {
		return err
	}
	most, err := s.exportLineLimit(c, p.Limit)
	if err != nil {
		return err
	}
	q, err := s.lineQuery(c, p.Query)
	if err != nil {
		return err
	}
	f, err := exportFormat(p)
	if err != nil {
		return err
	}
	if err := s.checkBytesRead(c, q, w); err != nil {
		return err
	}
	x := &export{Context: c, cpuSlots: s.cpuSlots, problemOf: s.problemOf, format: f, left: most, limited: p.Limit != nil}
	x.name = fileName(callerOf(c).Tenants, w, f.extension)
	return x.finish(x.run(c.Request().Context(), pages.Walk{
		Source: s.pageSource(requestOptions(c), q), Window: w, Lines: pageLines(c), LongBytes: s.longBytes(), Reserve: s.pageMemory(c),
	}))
}

func (s *Server) pageSource(options loki.RequestOptions, q tenancy.Query) pages.Source {
	return func(ctx context.Context, p loki.RangeParams, maxBytes int64) (loki.Lines, error) {
		return s.loki.Entries(ctx, options, q, p, maxBytes)
	}
}

// exportLineLimit returns the maximum number of lines of an export.
func (s *Server) exportLineLimit(c echo.Context, limit *int) (int, error) {
	l := callerOf(c).limits
	if limit == nil {
		return l.MaxExportLines, nil
	}
	if err := l.CheckExportLines(*limit); err != nil {
		return 0, err
	}
	return *limit, nil
}

// fileName returns a name that describes the content and is valid on every system: tenants consist of letters, digits,
// dots, dashes and underscores.
func fileName(tenants []tenant.Name, w loki.Window, extension string) string {
	whose := fmt.Sprintf("%d-tenants", len(tenants))
	switch {
	case len(tenants) != 1:
	case tenants[0] == tenant.Any:
		whose = "all-tenants"
	default:
		whose = string(tenants[0])
	}
	return "logs-" + whose + "-" + nameTime(w.Start) + "-" + nameTime(w.End) + extension
}

// export is one export in progress. Its memory is that of a page and of a piece.
type export struct {
	echo.Context

	problemOf func(err error, queries ...string) *problem

	format  format
	name    string
	left    int  // lines that may still be written
	limited bool // by the caller, not by the server alone
	lines   int  // written so far

	cpuSlots cpuslots.Slots
	began    bool
	text     bytes.Buffer // of the next piece
	piece    bytes.Buffer // the same as it is sent
	gzip     *gzip.Writer // writes to the piece; nil if the client doesn't take it
}

// headerExportLines is a trailer (RFC 9110, section 6.5) that a complete export alone has: its number of lines.
const (
	headerTrailer     = "Trailer"
	headerExportLines = "X-Logfence-Lines"
)

// run writes the lines. An error means that not all of them have been written.
func (x *export) run(ctx context.Context, w pages.Walk) error {
	for page, err := range w.Pages(ctx) {
		if err != nil {
			return err
		}
		fits := page[:min(x.left, len(page))]
		if err := x.write(fits); err != nil {
			return err
		}
		x.left -= len(fits)
		x.lines += len(fits)
		switch {
		case x.limited && x.left == 0:
			return nil
		case len(fits) < len(page):
			return callerOf(x).limits.ExportTooLong()
		}
	}
	return x.begin()
}

// begin sends the header, with the first page: an error before that still has its status.
func (x *export) begin() error {
	if x.began {
		return nil
	}
	x.began = true
	h := x.Response().Header()
	h.Set(echo.HeaderContentType, x.format.media)
	h.Set(echo.HeaderContentDisposition, `attachment; filename="`+x.name+`"`)
	h.Add(echo.HeaderVary, echo.HeaderAcceptEncoding)
	if x.Request().ProtoAtLeast(1, 1) {
		h.Set(headerTrailer, headerExportLines)
	}
	if web.AcceptsGzip(x.Request().Header) {
		h.Set(echo.HeaderContentEncoding, "gzip")
		z, err := gzip.NewWriterLevel(&x.piece, gzip.BestSpeed)
		if err != nil {
			return fmt.Errorf("compress: %w", err)
		}
		x.gzip = z
	}
	x.Response().WriteHeader(http.StatusOK)
	x.text.WriteString(x.format.header)
	return x.send()
}

// write writes a page, a piece at a time, each of which is made in a CPU slot, and flushes it, so that a client sees progress.
func (x *export) write(page []loki.Entry) error {
	if err := x.begin(); err != nil {
		return err
	}
	for i := 0; i < len(page); {
		var err error
		x.cpuSlots.Do(func() {
			for ; i < len(page) && x.text.Len() < writePiece; i++ {
				x.format.line(&x.text, page[i])
			}
			if err = x.compress(); err == nil && x.gzip != nil && i == len(page) {
				err = x.gzip.Flush()
			}
		})
		if err == nil {
			err = x.sendPiece()
		}
		if err != nil {
			return aborted(err)
		}
	}
	return aborted(flush(x))
}

// compress makes the piece of the text.
func (x *export) compress() error {
	to := io.Writer(&x.piece)
	if x.gzip != nil {
		to = x.gzip
	}
	_, err := x.text.WriteTo(to)
	return err
}

// sendPiece writes the piece.
func (x *export) sendPiece() error {
	_, err := x.piece.WriteTo(x.Response())
	return err
}

// send writes the text.
func (x *export) send() error { return aborted(errors.Join(x.compress(), x.sendPiece())) }

// aborted marks an error of writing to the client: nothing more can be sent to it.
func aborted(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errAborted, err)
}

// finish ends the response so that the client can tell whether it is complete.
func (x *export) finish(err error) error {
	if !errors.Is(err, errAborted) {
		err = accessChanged(x.Request().Context(), err)
	}
	switch {
	case err != nil && !x.Response().Committed, errors.Is(err, errAborted):
		return err
	case err != nil && (x.format.failure == nil || clientGone(x)):
		return aborted(err)
	case err != nil:
		if err := x.fail(err); err != nil {
			return err
		}
	default:
		if err := x.complete(); err != nil {
			return err
		}
	}
	if x.gzip == nil {
		return nil
	}
	return aborted(errors.Join(x.gzip.Close(), x.sendPiece()))
}

// fail writes the last record of an export that failed.
func (x *export) fail(cause error) error {
	d := recordOf(x)
	p := x.problemOf(cause, d.Requested...)
	p.RequestID = d.RequestID
	d.Code, d.Cause = p.Code, cause
	if err := x.format.failure(&x.text, p); err != nil {
		return aborted(err)
	}
	return x.send()
}

// complete writes the last record of an export that has all its lines, where the format has one, and the trailer.
func (x *export) complete() error {
	if x.Response().Header().Get(headerTrailer) != "" {
		x.Response().Header().Set(headerExportLines, strconv.Itoa(x.lines))
	}
	if x.format.end == nil {
		return nil
	}
	x.format.end(&x.text, x.lines)
	return x.send()
}
