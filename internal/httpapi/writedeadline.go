package httpapi

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/labstack/echo/v4"
)

// DefaultClientTimeout is the slow-client timeout: how long a client may take for one piece of a response. One that has
// stopped reading would otherwise hold its connection, and what is behind it, for ever.
const DefaultClientTimeout = 30 * time.Second

// deadlinePiece is what a client has the timeout for, in bytes: one that is slow and steady takes a long write in pieces. What
// the kernel holds for it, which the gateway bounds, comes on top: it takes a piece when the client has read as much.
const deadlinePiece = 32 << 10

// The errors of a response that could not be written.
var (
	errTooSlow    = errors.New("the client did not take the response in time")
	errClientGone = errors.New("the client has disconnected")
)

// withWriteDeadlines gives the clients of h the timeout for each piece of every response, the last among them,
// which net/http writes when h has returned. (Then it clears the deadline: the connection may serve another
// request.)
func withWriteDeadlines(h http.Handler, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := &deadlineWriter{ResponseWriter: w, timeout: timeout, multiplexed: r.ProtoMajor > 1}
		h.ServeHTTP(d, r)
		d.renew()
	})
}

// deadlineWriter is a writer with a write deadline that is renewed as long as the client reads.
type deadlineWriter struct {
	http.ResponseWriter

	timeout     time.Duration
	multiplexed bool      // several responses share the connection: HTTP/2
	renewed     time.Time // zero: there is no deadline
}

// renew gives the client at least the timeout from now, and a quarter more at most: a deadline is set once in
// a quarter of the timeout, not with each write. What has no deadlines, in a test, has no slow clients, and a
// connection that is broken fails when it is written to.
func (w *deadlineWriter) renew() {
	now := time.Now()
	if !w.renewed.IsZero() && now.Sub(w.renewed) < w.timeout/4 {
		return
	}
	w.renewed = now
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(w.deadline())
}

// deadline is that of the last renewal.
func (w *deadlineWriter) deadline() time.Time { return w.renewed.Add(w.timeout + w.timeout/4) }

// Write writes within the deadline, which each piece has anew.
func (w *deadlineWriter) Write(b []byte) (n int, err error) {
	for {
		w.renew()
		written, err := w.ResponseWriter.Write(b[n:min(n+deadlinePiece, len(b))])
		n += written
		if err != nil || n == len(b) {
			return n, w.ofClient(err)
		}
	}
}

// ofClient returns an error of the connection as what the client has done: net/http has an error for each protocol.
func (w *deadlineWriter) ofClient(err error) error {
	switch {
	case err == nil, errors.Is(err, http.ErrContentLength), errors.Is(err, http.ErrBodyNotAllowed), errors.Is(err, http.ErrHijacked),
		errors.Is(err, errors.ErrUnsupported):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded), !w.renewed.IsZero() && !time.Now().Before(w.deadline()):
		return fmt.Errorf("%w: %w", errTooSlow, err)
	default:
		return fmt.Errorf("%w: %w", errClientGone, err)
	}
}

// FlushError flushes within the deadline. Nothing is left then that the client could read. In HTTP/1.1 a
// deadline that passes while nothing is written does no harm; in HTTP/2 it would end the response, and is
// cleared.
func (w *deadlineWriter) FlushError() error {
	w.renew()
	connection := http.NewResponseController(w.ResponseWriter)
	if err := connection.Flush(); err != nil {
		return w.ofClient(err)
	}
	if w.multiplexed {
		w.renewed = time.Time{}
		_ = connection.SetWriteDeadline(w.renewed) // as in renew
	}
	return nil
}

// Hijack sends the header, which is not yet out, within the deadline; the connection has none then.
func (w *deadlineWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.renew()
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap is for the rest of what http.ResponseController does.
func (w *deadlineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// flush sends what has been written, and reports what Echo's Flush does not: that it could not.
func flush(c echo.Context) error {
	return http.NewResponseController(c.Response().Writer).Flush()
}
