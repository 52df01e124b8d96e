package httpapi

import (
	"bufio"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/labstack/echo/v4"
)

// auditGate writes nothing of a response that grants anything before begin has written its audit record. Every
// response goes through it, whichever handler writes it, so that no handler can omit the record. Refusals need none:
// they hold no data, and one of them reports that records cannot be written.
type auditGate struct {
	http.ResponseWriter

	begin         func() error
	audited       bool         // the record is written
	err           error        // the error of begin; nothing more is written
	hijackedBytes atomic.Int64 // written to a hijacked connection
	hijacked      net.Conn     // the connection of a WebSocket
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
	return w.ResponseWriter.Write(p)
}

// FlushError and Hijack are implemented so that neither bypasses ensureAudited through Unwrap.
func (w *auditGate) FlushError() error {
	if err := w.ensureAudited(); err != nil {
		return err
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
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
	counted := &countedConn{Conn: conn, written: &w.hijackedBytes}
	buffered.Writer.Reset(counted) // it is still empty
	w.hijacked = conn
	return counted, buffered, nil
}

// countedConn counts what is written to a connection.
type countedConn struct {
	net.Conn

	written *atomic.Int64
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
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
