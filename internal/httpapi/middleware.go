package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/tenancy"
)

// requestState is the state of a request in flight.
type requestState struct {
	record audit.AccessRecord
	caller caller // of an operation
	out    auditGate
	ticket *limits.Ticket // of an operation
	slot   sync.Once      // acquired, with slotErr
	// slotErr is why there is no slot at Loki.
	slotErr error

	// Most requests have one of each. They are the initial storage of the record's lists.
	requested, fenced [1]string
}

// errNoTicket is the error of a request to Loki for a request that was not admitted.
var errNoTicket = errors.New("not admitted")

// Acquire takes the request's slot at Loki, once for all that is requested of Loki for it. It comes last of all that
// a request waits for, after its query was parsed and the memory for Loki's response reserved.
func (x *requestState) Acquire(ctx context.Context) error {
	x.slot.Do(func() {
		if x.slotErr = errNoTicket; x.ticket != nil {
			x.slotErr = x.ticket.Acquire(ctx)
		}
	})
	return x.slotErr
}

// requestStateKey is its key in the request's context. Echo's own context would allocate a map.
type requestStateKey struct{}

func requestStateOf(c echo.Context) *requestState {
	if x, ok := c.Request().Context().Value(requestStateKey{}).(*requestState); ok {
		return x
	}
	return &requestState{} // outside of accessLog, where nothing is recorded
}

// recordOf is the record of a request, to be filled in on the way.
func recordOf(c echo.Context) *audit.AccessRecord { return &requestStateOf(c).record }

// errAborted is the error of a response that failed after its first bytes were sent. The only way left to report it is
// to abort the connection, which a client can distinguish from a complete response.
var errAborted = errors.New("response ended early")

// statusClientClosed is the recorded status of a request whose client disconnected, or was disconnected as too slow;
// nobody receives it.
const statusClientClosed = 499

// Codes of records alone: nobody receives a response with one of them.
const (
	codeClientClosed  = "client_closed_request"
	codeClientTooSlow = "client_too_slow"
)

// errPanic is the error of a handler that panicked.
var errPanic = errors.New("panic")

// Header values of every response. They are shared between requests and must not be changed.
var (
	noSniff, noStore     = []string{"nosniff"}, []string{"no-store"}
	isJSON, varyEncoding = []string{echo.MIMEApplicationJSON}, []string{echo.HeaderAcceptEncoding}
)

// accessLog is the access-log and recovery middleware. It turns every outcome into a response and an access record,
// including errors, panics and disconnected clients.
func (s *Server) accessLog(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		x := &requestState{}
		d := &x.record
		d.Requested, d.Fenced = x.requested[:0], x.fenced[:0]
		d.Time, d.Client = s.now(), s.proxies.Client(c.Request())
		d.RequestID = audit.RequestID(c.Request().Header.Get(audit.HeaderRequestID))
		c.SetRequest(s.recorder.Start(context.WithValue(c.Request().Context(), requestStateKey{}, x), c.Request(), d))
		h := c.Response().Header()
		h[audit.HeaderRequestID] = []string{d.RequestID}
		h[echo.HeaderXContentTypeOptions], h[echo.HeaderCacheControl] = noSniff, noStore
		out := &x.out
		out.ResponseWriter, out.timeout = c.Response().Writer, s.clientTimeout
		out.begin = func() error { return s.recorder.Begin(*d) }
		c.Response().Writer = out
		err = out.outcome(recovered(next, c))
		if out.err != nil {
			resetResponse(c.Response())
			err = out.err
		}
		abort := s.writeError(c, d, err)
		d.Bytes, d.Duration = c.Response().Size+out.hijackedBytes.Load(), s.now().Sub(d.Time)
		s.recorder.Record(c.Request().Context(), *d)
		if abort {
			if !c.Request().ProtoAtLeast(1, 1) {
				resetConnection(out.ResponseWriter)
			}
			// The server closes the connection without the end of a chunked body.
			panic(http.ErrAbortHandler)
		}
		return nil
	}
}

// resetConnection closes the connection of a request over HTTP/1.0 by a TCP reset. There, the end of the connection is
// the end of the body, so that a response that was cut off would look complete to a client, and to a proxy such as nginx,
// which speaks HTTP/1.0 to its upstreams by default, and would pass it on as complete. Over TLS, the alert
// that closes the session is left out for the same reason.
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // hijacked before, or not a real connection
	}
	raw := conn
	if t, ok := conn.(*tls.Conn); ok {
		raw = t.NetConn()
	}
	if t, ok := raw.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // it fails for a connection that is closed already
	}
	_ = raw.Close() // as above
}

// recovered runs the rest of the chain and turns a panic into an error.
func recovered(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, r, debug.Stack())
		}
	}()
	return next(c)
}

// writeError writes the response to an error if none has been started, and reports whether the connection must be
// aborted instead.
func (s *Server) writeError(c echo.Context, d *audit.AccessRecord, err error) (abort bool) {
	d.Status = c.Response().Status
	if err == nil {
		return false
	}
	d.Cause = err
	switch {
	case errors.Is(err, errTooSlow):
		d.Status, d.Code = statusClientClosed, codeClientTooSlow
		return true
	case errors.Is(err, errClientGone), errors.Is(err, context.Canceled) && c.Request().Context().Err() != nil:
		d.Status, d.Code = statusClientClosed, codeClientClosed
		return true
	}
	p := s.problemOf(err, d.Requested...)
	d.Code = p.Code
	d.Unproven = unproven(err)
	if c.Response().Committed {
		return true
	}
	p.RequestID = d.RequestID
	if err := p.send(c); err != nil {
		d.Cause = errors.Join(d.Cause, err)
	}
	d.Status = p.Status // which send chooses by the surface
	return false
}

// unproven reports whether the proof of a fence failed, which is a fault of logfence and not of the query.
func unproven(err error) bool {
	var unsupported *tenancy.UnsupportedError
	return errors.As(err, &unsupported) && unsupported.Unproven()
}

// exactPath accepts a path only as the spec writes it: no `//`, `.` or `..`, no slash at the end, and
// nothing escaped but the colon, which clients escape in label names. Paths that a proxy might interpret differently
// are not found, but for what [Server.redirectOf] redirects.
func (s *Server) exactPath(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		if u.RawPath != "" && strings.NewReplacer("%3A", ":", "%3a", ":").Replace(u.RawPath) != u.Path {
			return echo.ErrNotFound
		}
		if status, location := s.redirectOf(c.Request()); status != 0 {
			return c.Redirect(status, location)
		}
		if u.Path == "" || path.Clean(u.Path) != u.Path {
			return echo.ErrNotFound
		}
		u.RawPath = ""
		return next(c)
	}
}

// noOptions refuses OPTIONS as every method that the spec doesn't describe; Echo would respond to it by
// itself. Preflight requests of the configured origins are handled before.
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
