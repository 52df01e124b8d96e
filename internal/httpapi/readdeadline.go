package httpapi

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// withReadDeadlines bounds how long a request's body may take to arrive, for every request that has one,
// whatever its path, method or token. net/http has no such bound that leaves long responses alone:
// http.Server.ReadTimeout ends them as well.
//
// A handler that responds without having read the body ends the connection: net/http would otherwise read
// the rest of the body before it sends the response, so that a client which never sends it would get no
// response and hold the connection.
func withReadDeadlines(h http.Handler, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body == nil || r.Body == http.NoBody {
			h.ServeHTTP(w, r)
			return
		}
		connection := http.NewResponseController(w)
		_ = connection.SetReadDeadline(time.Now().Add(timeout)) // what cannot have one has no slow clients
		body := &timedBody{ReadCloser: r.Body, ended: func() {
			// A deadline left standing could end a long response: net/http reads on in the background, to
			// notice when the client leaves. Go 1.26 clears it then, which is not documented.
			_ = connection.SetReadDeadline(time.Time{})
		}}
		r.Body = body
		if r.ProtoMajor == 1 { // in HTTP/2, a stream ends without its connection
			w = &unreadCloser{ResponseWriter: w, body: body}
		}
		h.ServeHTTP(w, r)
	})
}

// timedBody calls ended when it has been read to its end.
type timedBody struct {
	io.ReadCloser

	ended func()
	atEnd bool
}

func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) && !b.atEnd {
		b.atEnd = true
		b.ended()
	}
	return n, err
}

// unreadCloser announces, with the header of a response, the end of a connection whose request has not
// been read to its end.
type unreadCloser struct {
	http.ResponseWriter

	body      *timedBody
	committed bool
}

func (w *unreadCloser) commit() {
	if !w.committed && !w.body.atEnd {
		w.Header().Set("Connection", "close")
	}
	w.committed = true
}

// WriteHeader writes the header.
func (w *unreadCloser) WriteHeader(status int) {
	if status >= http.StatusOK { // the others come before a response
		w.commit()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes a piece of the response.
func (w *unreadCloser) Write(b []byte) (int, error) {
	w.commit()
	return w.ResponseWriter.Write(b)
}

// FlushError sends what has been written.
func (w *unreadCloser) FlushError() error {
	w.commit()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for the rest of what http.ResponseController does.
func (w *unreadCloser) Unwrap() http.ResponseWriter { return w.ResponseWriter }
