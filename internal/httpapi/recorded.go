package httpapi

import (
	"bufio"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/labstack/echo/v4"
)

// recordedWriter lets nothing out that grants anything before begin has written the record of it.
// Every answer goes through it, whatever handler gives it, so that none has to remember. Refusals
// pass: they hold no data, and they say when records cannot be written.
type recordedWriter struct {
	http.ResponseWriter

	begin  func() error
	passed bool         // the way is free, for the rest of the answer
	err    error        // what begin said; nothing is let out any more
	taken  atomic.Int64 // bytes written to a connection that was given away
}

// pass asks for the record, once.
func (w *recordedWriter) pass() error {
	if !w.passed && w.err == nil {
		w.err = w.begin()
		w.passed = w.err == nil
	}
	return w.err
}

// WriteHeader has no way to tell that it failed; the handler learns it by the next Write, and who
// made the writer in any case.
func (w *recordedWriter) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		w.passed, w.err = true, nil
	}
	if w.pass() == nil {
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *recordedWriter) Write(p []byte) (int, error) {
	if err := w.pass(); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}

// FlushError and Hijack are here so that neither goes around pass by Unwrap.
func (w *recordedWriter) FlushError() error {
	if err := w.pass(); err != nil {
		return err
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack gives the connection away, for a WebSocket, and goes on counting what is sent.
func (w *recordedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.pass(); err != nil {
		return nil, nil, err
	}
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	counted := &countedConn{Conn: conn, written: &w.taken}
	buffered.Writer.Reset(counted) // there is nothing in it yet
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
func (w *recordedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// takeBack makes the response as if the answer that was not let out had never begun.
func takeBack(r *echo.Response) {
	for _, name := range []string{
		echo.HeaderContentType, echo.HeaderContentLength, echo.HeaderContentEncoding, echo.HeaderContentDisposition, "Trailer",
		echo.HeaderConnection, echo.HeaderUpgrade, "Sec-Websocket-Accept", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions",
	} {
		r.Header().Del(name)
	}
	r.Committed, r.Status, r.Size = false, http.StatusOK, 0
}
