package httpapi

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
)

// auditGate writes nothing of a response that grants anything before begin has written its audit record. Every
// response goes through it, whichever handler writes it, so that no handler can omit the record. Refusals need none:
// they hold no data, and one of them reports that records cannot be written.
type auditGate struct {
	http.ResponseWriter

	begin         func() error
	timeout       time.Duration         // the slow-client timeout, for a hijacked connection
	audited       bool                  // the record is written
	err           error                 // the error of begin; nothing more is written
	clientErr     atomic.Pointer[error] // of the first write that failed, an errTooSlow or errClientGone
	hijackedBytes atomic.Int64          // written to a hijacked connection
	hijacked      net.Conn              // the connection of a WebSocket
}

// lose notes that the client cannot be written to, and returns the error.
func (w *auditGate) lose(err error) error {
	if errors.Is(err, errTooSlow) || errors.Is(err, errClientGone) {
		w.clientErr.CompareAndSwap(nil, &err)
	}
	return err
}

// outcome is the error of a request for which the handler has returned err. A client that could not be written to
// explains any error but a panic: net/http ends the request's context as soon as a write has failed, and what a handler waits
// for then ends first. A tail, which ends without an error with its client, has ended early if the client was too slow.
func (w *auditGate) outcome(err error) error {
	lost := w.clientErr.Load()
	if lost == nil || errors.Is(err, errPanic) || err == nil && !errors.Is(*lost, errTooSlow) {
		return err
	}
	return *lost
}

// ensureAudited writes the record, once.
func (w *auditGate) ensureAudited() error {
	if !w.audited && w.err == nil {
		w.err = w.begin()
		w.audited = w.err == nil
	}
	return w.err
}

// WriteHeader cannot return an error. The handler gets it from the next Write, and accessLog from the field err.
func (w *auditGate) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		w.audited, w.err = true, nil
	}
	if w.ensureAudited() == nil {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *auditGate) Write(p []byte) (int, error) {
	if err := w.ensureAudited(); err != nil {
		return 0, err
	}
	n, err := w.ResponseWriter.Write(p)
	return n, w.lose(err)
}

// FlushError and Hijack are implemented so that neither bypasses ensureAudited through Unwrap.
func (w *auditGate) FlushError() error {
	if err := w.ensureAudited(); err != nil {
		return err
	}
	return w.lose(http.NewResponseController(w.ResponseWriter).Flush())
}

// Hijack takes over the connection, for a WebSocket, and continues to count the bytes that are sent.
func (w *auditGate) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.ensureAudited(); err != nil {
		return nil, nil, err
	}
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	counted := &countedConn{Conn: conn, gate: w}
	buffered.Writer.Reset(counted) // it is still empty
	w.hijacked = conn
	return counted, buffered, nil
}

// countedConn counts what is written to a connection, and gives the client the slow-client timeout for each piece of it.
type countedConn struct {
	net.Conn

	gate *auditGate
}

func (c *countedConn) Write(p []byte) (n int, err error) {
	for {
		if c.gate.timeout > 0 {
			_ = c.SetWriteDeadline(time.Now().Add(c.gate.timeout)) // a connection that is broken fails when it is written to
		}
		written, err := c.Conn.Write(p[n:min(n+deadlinePiece, len(p))])
		n += written
		c.gate.hijackedBytes.Add(int64(written))
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return n, c.gate.lose(fmt.Errorf("%w: %w", errTooSlow, err))
		case err != nil:
			return n, c.gate.lose(fmt.Errorf("%w: %w", errClientGone, err))
		case n == len(p):
			return n, nil
		}
	}
}

// Unwrap is for the deadlines of http.ResponseController.
func (w *auditGate) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// resetResponse resets a response of which nothing has been sent.
func resetResponse(r *echo.Response) {
	for _, name := range []string{
		echo.HeaderContentType, echo.HeaderContentLength, echo.HeaderContentEncoding, echo.HeaderContentDisposition, "Trailer",
		echo.HeaderConnection, echo.HeaderUpgrade, "Sec-Websocket-Accept", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions",
	} {
		r.Header().Del(name)
	}
	r.Committed, r.Status, r.Size = false, http.StatusOK, 0
}
