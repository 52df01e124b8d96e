package loki

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// direct is the way of nearly every request: a GET over plain HTTP/1.1, asked and answered on the goroutine
// of whoever asks. net/http's own transport has two goroutines for each connection, to which each request
// and each answer is handed over: a sixth of a small answer's processor time. What direct does not do itself
// (bodies, TLS and with it HTTP/2) is left to that one, and so is every message's form: requests are written
// by [http.Request.Write] and answers read by [http.ReadResponse].
//
// What is direct's own is which connection a request goes out on, and there a mistake would hand one tenant
// another's answer. So a connection that is not known to be at rest is closed: it is kept only when its
// answer was read to the end that the answer's header gave it, with nothing behind, nobody having cut it
// short, and neither side wanting it closed; and before it is used again it is looked at, and closed if
// there is anything to read on it, its own end included.
type direct struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
	next *http.Transport // for what direct does not do; its bounds hold here, too
	slow time.Duration   // slowAnswer

	mu       sync.Mutex
	idle     map[string][]*link // by address, the one used last at the end
	sweeping *time.Timer        // closes what has idled; nil: nothing does
}

func newDirect(next *http.Transport) *direct {
	return &direct{dial: next.DialContext, next: next, slow: slowAnswer, idle: map[string][]*link{}}
}

// RoundTrip asks. Errors are those of the connection, or of the context.
func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	address, ok := d.takes(r)
	if !ok {
		return d.pass(r)
	}
	for {
		l, kept, err := d.link(r.Context(), address)
		if err != nil {
			return nil, err
		}
		response, answered, err := d.ask(l, r)
		if err == nil {
			return response, nil
		}
		// Loki may close a connection that idled just as it is written to: the request is then asked on
		// another, and at last on a new one. RFC 9110, section 9.2.2.
		if !kept || answered || r.Context().Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
	}
}

// pass leaves a request to net/http's transport.
func (d *direct) pass(r *http.Request) (*http.Response, error) {
	a := askingOf(r.Context())
	if a == nil {
		return d.next.RoundTrip(r) //nolint:wrapcheck // the transport's own
	}
	ctx, stop := a.inTime(r.Context())
	response, err := d.next.RoundTrip(r.WithContext(ctx))
	if err != nil {
		stop()
		return nil, err //nolint:wrapcheck // as above
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		stop() // its body is a connection, which is more than can be read, and has no end
		return response, nil
	}
	response.Body = &timedBody{ReadCloser: response.Body, stop: stop}
	return response, nil
}

// timedBody is the body of an answer whose time ends with it.
type timedBody struct {
	io.ReadCloser

	stop func()
}

// Close ends the time, which would otherwise be kept until it passes.
func (b *timedBody) Close() error {
	b.stop()
	return b.ReadCloser.Close() //nolint:wrapcheck // the transport's own
}

// CloseIdleConnections closes the connections that no request uses.
func (d *direct) CloseIdleConnections() {
	d.closeIdle(time.Now().Add(time.Hour))
	d.next.CloseIdleConnections()
}

// takes tells whether a request is direct's to ask, and where.
func (d *direct) takes(r *http.Request) (address string, ok bool) {
	u := r.URL
	if !canLook || r.Method != http.MethodGet || r.Body != nil || u.Scheme != "http" || len(r.Header["Upgrade"]) > 0 {
		return "", false
	}
	for i := range len(u.Host) {
		if u.Host[i] >= 0x80 {
			return "", false // a name that is to be translated (RFC 5891)
		}
	}
	if port := u.Port(); port == "" {
		return net.JoinHostPort(u.Hostname(), "80"), true
	}
	return u.Host, true
}

// link is a connection that is at rest: one kept, or a new one.
func (d *direct) link(ctx context.Context, address string) (l *link, kept bool, err error) {
	until := time.Time{}
	if a := askingOf(ctx); a != nil {
		// A little later, so that the deadline has passed for whoever learns of it.
		until = a.deadline.Add(time.Millisecond)
	}
	for l := d.take(address); l != nil; l = d.take(address) {
		if l.conn.SetDeadline(until) == nil && l.atRest() {
			return l, true, nil
		}
		l.close()
	}
	conn, err := d.connect(ctx, address)
	if err != nil {
		return nil, false, err
	}
	if err := conn.SetDeadline(until); err != nil {
		_ = conn.Close()
		return nil, false, fmt.Errorf("set deadline: %w", err)
	}
	return newLink(conn, address, d.next, d.slow), false, nil
}

// connect makes a connection, within the request's time: there is no connection yet whose deadline would end
// it, the look-up of a name for one, and an [asking] does not end by itself.
func (d *direct) connect(ctx context.Context, address string) (net.Conn, error) {
	if a := askingOf(ctx); a != nil {
		timed, cancel := context.WithDeadlineCause(ctx, a.deadline, ErrTimeout)
		defer cancel()
		ctx = timed
	}
	conn, err := d.dial(ctx, "tcp", address)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return conn, err //nolint:wrapcheck // names the address
}

// take takes the connection that was used last, so that the others come to be old; nil: there is none.
func (d *direct) take(address string) *link {
	d.mu.Lock()
	defer d.mu.Unlock()
	links := d.idle[address]
	if len(links) == 0 {
		return nil
	}
	last := len(links) - 1
	l := links[last]
	links[last], d.idle[address] = nil, links[:last]
	return l
}

// keep keeps a connection for the next request.
func (d *direct) keep(l *link) {
	d.mu.Lock()
	full := len(d.idle[l.address]) >= d.next.MaxIdleConnsPerHost
	if !full {
		l.rests = time.Now()
		d.idle[l.address] = append(d.idle[l.address], l)
		if d.sweeping == nil {
			d.sweeping = time.AfterFunc(d.next.IdleConnTimeout, d.sweep)
		}
	}
	d.mu.Unlock()
	if full {
		l.close()
	}
}

// sweep closes what has idled for too long, and comes again while anything idles.
func (d *direct) sweep() {
	if d.closeIdle(time.Now().Add(-d.next.IdleConnTimeout)) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sweeping != nil { // everything may have been closed just now
		d.sweeping.Reset(d.next.IdleConnTimeout / 4)
	}
}

// closeIdle closes the connections that have been at rest since before a time. none tells that no other is
// kept, and that no sweep is to come.
func (d *direct) closeIdle(before time.Time) (none bool) {
	d.mu.Lock()
	var old []*link
	none = true
	for address, links := range d.idle {
		n := 0
		for n < len(links) && links[n].rests.Before(before) {
			n++
		}
		old = append(old, links[:n]...)
		if n == len(links) {
			delete(d.idle, address)
			continue
		}
		d.idle[address], none = append([]*link(nil), links[n:]...), false
	}
	if none && d.sweeping != nil {
		d.sweeping.Stop()
		d.sweeping = nil
	}
	d.mu.Unlock()
	for _, l := range old {
		l.close()
	}
	return none
}

// longAgo ends what is read and written at once.
var longAgo = time.Unix(1, 0)

// ask sends a request, and reads the answer's header. On an error, which closes the connection, answered says
// whether there was any answer.
func (d *direct) ask(l *link, r *http.Request) (response *http.Response, answered bool, err error) {
	ctx := r.Context()
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(longAgo) })
	answered, err = l.send(r)
	if err == nil {
		response, err = l.receive(r)
	}
	if err != nil {
		stop()
		l.close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, answered, err
	}
	b := &linkBody{from: response.Body, link: l, owner: d, stop: stop, closes: response.Close || r.Close}
	if response.Body == http.NoBody {
		b.end(io.EOF)
	}
	response.Body = b
	return response, true, nil
}

// link is one connection.
type link struct {
	conn    net.Conn
	address string
	look    func() (quiet bool) // see look
	in      *bufio.Reader
	out     *bufio.Writer
	rests   time.Time // since when it is kept
	header  int64     // the most that an answer's header may have
	room    int64     // how much more may be read for now

	asked atomic.Pointer[asking] // who waits for a first byte; nil: a probe, or nobody
	slow  time.Duration
	late  *time.Timer // tells them when it lets itself be waited for
}

func newLink(conn net.Conn, address string, like *http.Transport, slow time.Duration) *link {
	l := &link{conn: conn, address: address, look: look(conn), header: like.MaxResponseHeaderBytes, slow: slow}
	l.in, l.out = bufio.NewReaderSize(l, like.ReadBufferSize), bufio.NewWriterSize(conn, like.WriteBufferSize)
	l.late = time.AfterFunc(slow, func() {
		if a := l.asked.Load(); a != nil {
			a.slow()
		}
	})
	l.late.Stop()
	return l
}

func (l *link) close() { _ = l.conn.Close() } // nothing is written that could be lost

// atRest tells whether nothing came on the connection since its last answer, and it is not closed.
func (l *link) atRest() bool { return l.in.Buffered() == 0 && l.look() }

var errHeaderTooLong = errors.New("the answer's header is too long")

// Read reads from the connection no more than there is room for.
func (l *link) Read(p []byte) (int, error) {
	if l.room <= 0 {
		return 0, errHeaderTooLong
	}
	n, err := l.conn.Read(p[:min(int64(len(p)), l.room)])
	l.room -= int64(n)
	return n, err //nolint:wrapcheck // the connection's own
}

// send sends a request, and waits for the first byte of the answer.
func (l *link) send(r *http.Request) (answered bool, err error) {
	if err := r.Write(l.out); err != nil {
		return false, fmt.Errorf("write request: %w", err)
	}
	if err := l.out.Flush(); err != nil {
		return false, fmt.Errorf("write request: %w", err)
	}
	l.room = l.header
	a := askingOf(r.Context())
	l.asked.Store(a)
	l.late.Reset(l.slow)
	_, err = l.in.Peek(1)
	l.late.Stop()
	l.asked.Store(nil)
	if err != nil {
		return false, fmt.Errorf("read answer: %w", err)
	}
	if a != nil {
		a.answered.Store(true)
	}
	return true, nil
}

// maxInterim is how many answers may come before the answer: "103 Early Hints" and the like.
const maxInterim = 5

// receive reads the answer's header. An interim answer is none: were it given for the answer, that would
// come to whoever asks next.
func (l *link) receive(r *http.Request) (*http.Response, error) {
	for range maxInterim {
		response, err := http.ReadResponse(l.in, r)
		switch {
		case errors.Is(err, io.EOF):
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, fmt.Errorf("read answer: %w", err)
		case response.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("the answer is for another protocol")
		case response.StatusCode >= http.StatusOK:
			l.room = math.MaxInt64
			return response, nil
		}
	}
	return nil, fmt.Errorf("more than %d interim answers", maxInterim)
}

// linkBody is an answer's body, on whose end it depends what becomes of the connection.
type linkBody struct {
	from   io.ReadCloser // never closed: that would read on to the end
	link   *link
	owner  *direct
	stop   func() bool // ends the watch over the context; false: it has ended
	closes bool        // the answer says that the connection ends with it
	ended  atomic.Bool
}

// Read reads on. After the answer's end, and after Close, there is nothing.
func (b *linkBody) Read(p []byte) (int, error) {
	if b.ended.Load() {
		return 0, io.EOF
	}
	n, err := b.from.Read(p)
	if err != nil {
		b.end(err)
	}
	return n, err //nolint:wrapcheck // the connection's own
}

// Close ends the connection if the answer was not read to its end.
func (b *linkBody) Close() error {
	b.end(errUnread)
	return nil
}

var errUnread = errors.New("the answer was not read to its end")

// end keeps the connection, or closes it.
func (b *linkBody) end(why error) {
	if b.ended.Swap(true) {
		return
	}
	// Once the context's end has been seen to, the connection's deadline has passed for whoever comes next.
	watched := b.stop()
	if errors.Is(why, io.EOF) && watched && !b.closes && b.link.in.Buffered() == 0 {
		b.owner.keep(b.link)
		return
	}
	b.link.close()
}
