package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"runtime/debug"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/tenancy"
)

// exchange is one request on its way to its record.
type exchange struct {
	decision audit.AccessRecord
	who      caller // of an operation
	out      recordedWriter

	// Most requests have one of each; the decision's lists begin here.
	asked, fenced [1]string
}

// exchangeKey finds it in the request's context, and not in Echo's, which would make a map for it.
type exchangeKey struct{}

func exchangeOf(c echo.Context) *exchange {
	if x, ok := c.Request().Context().Value(exchangeKey{}).(*exchange); ok {
		return x
	}
	return &exchange{} // outside of observed, where nothing is recorded
}

// decisionOf is the record of a request, to be filled in on the way.
func decisionOf(c echo.Context) *audit.AccessRecord { return &exchangeOf(c).decision }

// errAborted is an answer that ended early, after its first bytes were sent: nothing can be said to
// the caller any more but by breaking the connection, which a client can tell from a whole answer.
var errAborted = errors.New("answer ended early")

// statusClientClosed is what the record says of a caller who left; nobody receives it.
const statusClientClosed = 499

// What every answer says of itself. The names are canonical, and the lists are nobody's to change.
var (
	noSniff, noStore     = []string{"nosniff"}, []string{"no-store"}
	isJSON, varyEncoding = []string{echo.MIMEApplicationJSON}, []string{echo.HeaderAcceptEncoding}
)

// observed turns every outcome into an answer and a record: errors, panics and lost callers alike.
func (s *Server) observed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		x := &exchange{}
		d := &x.decision
		d.Requested, d.Fenced = x.asked[:0], x.fenced[:0]
		d.Time, d.Client = s.now(), s.proxies.Client(c.Request())
		d.RequestID = audit.RequestID(c.Request().Header.Get(audit.HeaderRequestID))
		c.SetRequest(s.recorder.Start(context.WithValue(c.Request().Context(), exchangeKey{}, x), c.Request(), d))
		h := c.Response().Header()
		h[audit.HeaderRequestID] = []string{d.RequestID}
		h[echo.HeaderXContentTypeOptions], h[echo.HeaderCacheControl] = noSniff, noStore
		out := &x.out
		out.ResponseWriter, out.begin = c.Response().Writer, func() error { return s.recorder.Begin(*d) }
		c.Response().Writer = out
		err = caught(next, c)
		if out.err != nil {
			takeBack(c.Response())
			err = out.err
		}
		abort := s.settle(c, d, err)
		d.Bytes, d.Duration = c.Response().Size+out.taken.Load(), s.now().Sub(d.Time)
		s.recorder.Record(c.Request().Context(), *d)
		if abort {
			// The server closes the connection without the end of a chunked body.
			panic(http.ErrAbortHandler)
		}
		return nil
	}
}

// caught runs the rest of the chain and makes an error of a panic.
func caught(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return next(c)
}

// settle answers what went wrong, where it still can be answered, and says whether the connection is
// to be broken.
func (s *Server) settle(c echo.Context, d *audit.AccessRecord, err error) (abort bool) {
	d.Status = c.Response().Status
	if err == nil {
		return false
	}
	d.Cause = err
	if errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil {
		d.Status, d.Code = statusClientClosed, "client_closed_request"
		return true
	}
	p := problemOf(err)
	d.Code = p.Code
	d.Unproven = unproven(err)
	if c.Response().Committed {
		return true
	}
	p.RequestID = d.RequestID
	d.Status = p.Status
	if err := p.send(c); err != nil {
		d.Cause = errors.Join(d.Cause, err)
	}
	return false
}

// unproven tells an error that is about logfence from all that are about a query: the alarm of alarms.
func unproven(err error) bool {
	var unsupported *tenancy.UnsupportedError
	return errors.As(err, &unsupported) && unsupported.Unproven()
}

// exactPath takes a path only as the spec writes it: no `//`, `.` or `..`, no slash at the end, and
// nothing escaped but the colon, which clients escape in label names. What another server on the way
// would take for another path is not found here.
func exactPath(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		if u.RawPath != "" && strings.NewReplacer("%3A", ":", "%3a", ":").Replace(u.RawPath) != u.Path {
			return echo.ErrNotFound
		}
		if u.Path == "" || path.Clean(u.Path) != u.Path {
			return echo.ErrNotFound
		}
		u.RawPath = ""
		return next(c)
	}
}

// noOptions refuses OPTIONS as every method that the spec doesn't describe; Echo would answer it by
// itself. Preflights of the configured origins are answered before.
func noOptions(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if c.Request().Method != http.MethodOptions {
			return next(c)
		}
		allow, ok := c.Get(echo.ContextKeyHeaderAllow).(string)
		if !ok {
			return echo.ErrNotFound
		}
		c.Response().Header().Set(echo.HeaderAllow, allow)
		return echo.ErrMethodNotAllowed
	}
}
