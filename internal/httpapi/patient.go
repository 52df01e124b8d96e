package httpapi

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// DefaultStall is how long a client may take for one piece of an answer. One that has stopped reading would
// otherwise hold its connection, and what is behind it, for ever.
const DefaultStall = 30 * time.Second

// keptBuffer is what net/http keeps of an answer before it writes any of it (bufferBeforeChunkingSize in its
// server.go, of Go 1.26; in HTTP/2 it is more).
const keptBuffer = 2048

// patiently gives whoever is answered by h so much time for each piece of every answer, the last among them,
// which net/http writes when h has returned. (Then it takes the deadline back: the connection may serve
// another request.)
func patiently(h http.Handler, stall time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := &patient{ResponseWriter: w, stall: stall, shared: r.ProtoMajor > 1}
		h.ServeHTTP(p, r)
		p.wait()
	})
}

// patient is a writer to a client with so much time for each piece.
type patient struct {
	http.ResponseWriter

	stall   time.Duration
	given   int  // bytes
	shared  bool // the connection, by several answers: HTTP/2
	waiting bool // the client's time has begun
}

// wait begins the client's time. What has no deadlines, in a test, has no slow clients, and a connection that
// is broken fails when it is written to.
func (p *patient) wait() {
	p.waiting = true
	_ = http.NewResponseController(p.ResponseWriter).SetWriteDeadline(time.Now().Add(p.stall))
}

// Write waits for nobody while net/http keeps what it is given.
func (p *patient) Write(b []byte) (int, error) {
	if p.given += len(b); p.given > keptBuffer {
		p.wait()
	}
	return p.ResponseWriter.Write(b)
}

// FlushError writes what net/http keeps. Nothing is left then that the client could take, and its time does not
// run. In HTTP/1.1 a deadline that passes is one for what is written; in HTTP/2 it would end the answer.
func (p *patient) FlushError() error {
	if !p.waiting {
		p.wait()
	}
	connection := http.NewResponseController(p.ResponseWriter)
	if err := connection.Flush(); err != nil {
		return err
	}
	p.waiting = false
	if p.shared {
		_ = connection.SetWriteDeadline(time.Time{}) // as in wait
	}
	return nil
}

// Unwrap is for the rest of what http.ResponseController does.
func (p *patient) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// flush sends what has been written, and tells what Echo's Flush does not: that it could not.
func flush(c echo.Context) error {
	return http.NewResponseController(c.Response().Writer).Flush() //nolint:wrapcheck // a writer's error
}
