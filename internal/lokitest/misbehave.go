package lokitest

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Instead serves every request with h, until [Loki.Behave]. Requests are recorded all the same.
func (l *Loki) Instead(h http.Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.instead = h
}

// Behave ends [Loki.Instead].
func (l *Loki) Behave() { l.Instead(nil) }

// Fail responds with a status and plain text, as Loki writes its errors.
func Fail(status int, message string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fail(w, status, message) })
}

// FailGzip is [Fail] with a compressed text, whether that was requested or not.
func FailGzip(status int, message string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(status)
		z := gzip.NewWriter(w)
		io.WriteString(z, message) //nolint:errcheck,gosec // the client may be gone
		z.Close()                  //nolint:errcheck,gosec // as above
	})
}

// Garbage responds 200 with a body that is not Loki's.
func Garbage() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html>It works!</html>") //nolint:errcheck,gosec // the client may be gone
	})
}

// Hanging are requests that wait for [Hanging.Release].
type Hanging struct {
	// Arrived and Left get a value for each request that comes, and that ends.
	Arrived, Left <-chan struct{}

	once    sync.Once
	release chan struct{}
}

// Release lets all waiting and later requests continue.
func (h *Hanging) Release() { h.once.Do(func() { close(h.release) }) }

// Hang has requests wait for Release, and then responds as before; a request also ends when its client disconnects.
func (l *Loki) Hang() *Hanging {
	const room = 1024
	arrived, left, release := make(chan struct{}, room), make(chan struct{}, room), make(chan struct{})
	l.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		defer func() { left <- struct{}{} }()
		select {
		case <-release:
			l.serve(w, r)
		case <-r.Context().Done():
		}
	}))
	return &Hanging{Arrived: arrived, Left: left, release: release}
}

// CutAfter sends the first n bytes of each response and then drops the connection.
func (l *Loki) CutAfter(n int) {
	l.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.serve(&truncatingWriter{ResponseWriter: w, left: n}, r)
	}))
}

// truncatingWriter is a writer that breaks off.
type truncatingWriter struct {
	http.ResponseWriter
	left int
}

func (c *truncatingWriter) Write(p []byte) (int, error) {
	if len(p) < c.left {
		c.left -= len(p)
		return c.ResponseWriter.Write(p)
	}
	c.ResponseWriter.Write(p[:c.left]) //nolint:errcheck,gosec // it is cut in any case
	if err := http.NewResponseController(c.ResponseWriter).Flush(); err != nil {
		panic(err)
	}
	panic(http.ErrAbortHandler)
}

// Unwrap is for http.ResponseController.
func (c *truncatingWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// Generate responds to every request with a well-formed response of streams of at least so many bytes, which it
// makes as it goes: its memory does not grow with it.
func Generate(bytes int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		out, finish := compressed(w, r)
		defer finish()
		io.WriteString(out, `{"status":"success","data":{"resultType":"streams","result":[{"stream":{"app":"generated"},"values":[`) //nolint:errcheck,gosec // the client may be gone
		line := `","` + strings.Repeat("x", 1000) + `"]`
		const first = 1_700_000_000_000_000_000
		for sent := 0; sent < bytes; sent += len(line) + 22 {
			comma := ","
			if sent == 0 {
				comma = ""
			}
			if _, err := io.WriteString(out, comma+`["`+strconv.Itoa(first+sent)+line); err != nil {
				return
			}
		}
		io.WriteString(out, `]}],"stats":{}}}`) //nolint:errcheck,gosec // the client may be gone
	})
}
