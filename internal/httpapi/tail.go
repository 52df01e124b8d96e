package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
	"github.com/logfence/logfence/internal/tail"
)

// TailLogs handles GET /api/v1/logs/tail with server-sent events.
func (s *Server) TailLogs(c echo.Context, p api.TailLogsParams) error {
	r := tailRequest{query: p.Query, start: p.Start, limit: p.Limit, delayFor: p.DelayFor}
	if p.LastEventID != nil {
		cursor, err := tail.ParseCursor(*p.LastEventID)
		if err != nil {
			return parameterInvalid("Last-Event-ID", "Last-Event-ID is not the id of an event of a tail.")
		}
		r.after = cursor
	}
	f, err := s.startTail(c, r)
	if err != nil {
		return err
	}
	defer f.close()
	e := &events{Context: c, encode: s.inCPUSlot(encodeEntries)}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // otherwise nginx buffers events until it has a page of them
	c.Response().WriteHeader(http.StatusOK)
	end, err := e.run(f)
	switch {
	case clientGone(c):
		return nil // as every tail ends
	case err != nil:
		return fmt.Errorf("%w: %w", errAborted, err)
	}
	end.note(c)
	return e.end(end)
}

// events writes server-sent events.
type events struct {
	echo.Context

	encode   func(*tail.Batch) []byte
	received bool // whether the client has an id
}

// run forwards a tail until it ends or the client can't be written to.
func (e *events) run(f *tailSession) (closeReason, error) {
	// Send the header now, and the delay before a client reconnects.
	if err := e.send(":\nretry: 1000\n\n"); err != nil {
		return closeReason{}, err
	}
	for {
		batch, err := f.next()
		switch {
		case err != nil:
			return f.closeReason(err), nil
		case batch != nil:
			// One that is behind gets the next batches by the same packets: that costs less, the more there is to do.
			if err = e.writeBatch(batch); err == nil && !f.Behind() {
				err = flush(e)
			}
		default:
			err = e.sendHeartbeat(f)
		}
		if err != nil {
			return closeReason{}, err
		}
	}
}

func (e *events) send(text string) error {
	if err := e.write([]byte(text)); err != nil {
		return err
	}
	return flush(e)
}

// sendHeartbeat writes a comment. A client that has received no line yet also gets the ID to resume from, so that it
// does not start over after a reconnect.
func (e *events) sendHeartbeat(f *tailSession) error {
	if e.received || f.ID() == "" {
		return e.send(":\n\n")
	}
	return e.send(": no line yet\nid: " + f.ID() + "\n\n")
}

// writeBatch writes a batch, and leaves it to the caller to flush it. The lines are encoded once for all clients; the rest is
// short.
func (e *events) writeBatch(b *tail.Batch) error {
	if b.Event != nil {
		return e.write(b.Encoded(tail.FormatEvents, encodeEvent))
	}
	var head []byte
	if n := b.Drops.Count(); n > 0 {
		head = fmt.Appendf(head, "event: dropped\ndata: {\"count\":%d,\"slow_reader\":%d,\"loki\":%d}\n\n", n, b.Drops.Slow, b.Drops.Loki)
	}
	if len(b.Entries) == 0 {
		return e.write(head)
	}
	head = append(head, "event: entries\n"...)
	if b.ID() != "" {
		e.received = true
		head = append(append(append(head, "id: "...), b.ID()...), '\n')
	}
	if err := e.write(head); err != nil {
		return err
	}
	return e.write(b.Encoded(tail.FormatEvents, e.encode))
}

// inCPUSlot has batches encoded in a CPU slot: those of lines that were missed come by the megabyte.
func (s *Server) inCPUSlot(encode func(*tail.Batch) []byte) func(*tail.Batch) []byte {
	return func(b *tail.Batch) (text []byte) {
		s.cpuSlots.Do(func() { text = encode(b) })
		return text
	}
}

// encodeEntries writes the data of an event of lines, to its end.
func encodeEntries(b *tail.Batch) []byte {
	var out bytes.Buffer
	out.Grow(int(pages.Size(b.Entries)))
	out.WriteString("data: {\"streams\":")
	appendStreams(&out, b.Entries, nil)
	out.WriteString("}\n\n")
	return out.Bytes()
}

func (e *events) write(b []byte) error {
	_, err := e.Response().Write(b)
	return err
}

func (e *events) end(why closeReason) error {
	data, err := json.Marshal(why)
	if err != nil {
		return fmt.Errorf("encode end: %w", err)
	}
	if err := e.send("event: end\ndata: " + string(data) + "\n\n"); err != nil {
		return fmt.Errorf("%w: %w", errAborted, err)
	}
	return nil
}

// LokiTail handles GET /loki/api/v1/tail with Loki's own WebSocket.
func (s *Server) LokiTail(c echo.Context, p api.LokiTailParams) error {
	r := c.Request()
	if !isWebSocketUpgrade(r) {
		return codeUpgradeRequired.problem(nil, "This resource is a WebSocket. Over HTTP, follow lines by /api/v1/logs/tail.").
			with(echo.HeaderConnection, "Upgrade").with(echo.HeaderUpgrade, "websocket")
	}
	if err := s.checkOrigin(r); err != nil {
		return err
	}
	query, err := s.withLegacyRegexp(c, p.Query)
	if err != nil {
		return err
	}
	f, err := s.startTail(c, tailRequest{query: query, start: p.Start, limit: p.Limit, delayFor: p.DelayFor})
	if err != nil {
		return err
	}
	defer f.close()
	conn, err := websocket.Accept(c.Response(), r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the origin has been checked, by a stricter rule
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return fmt.Errorf("%w: accept websocket: %w", errAborted, err)
	}
	defer conn.CloseNow()                 //nolint:errcheck // it is closed either way
	conn.SetReadLimit(1 << 10)            // nothing is expected but control frames, which are shorter
	client := conn.CloseRead(r.Context()) // ends when the client disconnects
	defer context.AfterFunc(client, f.disconnect)()
	w := &frames{conn: conn, response: c.Response(), timeout: s.clientTimeout, format: tail.FormatCategorized, encode: s.inCPUSlot(encodeCategorized)}
	if p.XLokiResponseEncodingFlags == nil {
		w.format, w.encode = tail.FormatMerged, s.inCPUSlot(encodeMerged)
	}
	end, err := w.run(client, f)
	if isGone(client) || err != nil {
		return nil // it has disconnected, or nothing can be sent any more: the connection breaks
	}
	end.note(c)
	drop(client, requestStateOf(c).out.hijacked)
	return nil
}

// dropTimeout is how long a client may take to close its side of a connection that ends.
const dropTimeout = time.Second

// drop ends a WebSocket without a close frame. Loki's clients (Grafana's Live, logcli) reconnect after such an end (1006)
// and after no other: of a close frame they take it that the tail is complete. The write side is closed first, and the
// connection when the client has closed its side: closing both at once could discard frames that are still on their way.
func drop(client context.Context, conn net.Conn) {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return // the caller closes the connection
	}
	timeout := time.NewTimer(dropTimeout)
	defer timeout.Stop()
	select {
	case <-client.Done():
	case <-timeout.C:
	}
}

// isWebSocketUpgrade checks a handshake against RFC 6455, section 4.2.1; websocket.Accept would write error responses
// of its own.
func isWebSocketUpgrade(r *http.Request) bool {
	has := func(name, token string) bool {
		for _, v := range strings.Split(strings.Join(r.Header.Values(name), ","), ",") {
			if strings.EqualFold(strings.TrimSpace(v), token) {
				return true
			}
		}
		return false
	}
	return r.ProtoMajor == 1 && has(echo.HeaderConnection, "upgrade") && has(echo.HeaderUpgrade, "websocket") &&
		slices.Equal(r.Header.Values("Sec-WebSocket-Version"), []string{"13"}) && hasWebSocketKey(r.Header)
}

// hasWebSocketKey reports whether there is exactly one key, of 16 bytes in base64.
func hasWebSocketKey(h http.Header) bool {
	keys := h.Values("Sec-WebSocket-Key")
	if len(keys) != 1 {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0]))
	return err == nil && len(key) == 16
}

// checkOrigin refuses pages of other origins than the operator has configured. Browsers let any page open a
// WebSocket to any host, and send the credentials that they hold; they always send the page's origin. Our own
// origin has no special right: a request's Host header does not prove it.
func (s *Server) checkOrigin(r *http.Request) error {
	given := r.Header.Values(echo.HeaderOrigin)
	if len(given) == 0 || len(given) == 1 && (slices.Contains(s.origins, given[0]) || isLibrary(r, given[0])) {
		return nil
	}
	return codeOriginForbidden.problem(nil, "Pages of this origin may not open a tail. Ask your administrator to allow the origin.")
}

// isLibrary reports whether a request with an origin comes from no page: libraries for WebSockets send the server's own
// address as the origin. A page cannot send an Authorization header with a WebSocket, and a browser sends its cookies and
// Sec-Fetch headers.
func isLibrary(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || !strings.EqualFold(withoutDefaultPort(u.Scheme, u.Host), withoutDefaultPort(u.Scheme, r.Host)) {
		return false
	}
	for name := range r.Header {
		if name == echo.HeaderCookie || strings.HasPrefix(name, "Sec-Fetch-") {
			return false
		}
	}
	return r.Header.Get(echo.HeaderAuthorization) != ""
}

func withoutDefaultPort(scheme, host string) string {
	port := map[string]string{"http": ":80", "ws": ":80", "https": ":443", "wss": ":443"}[scheme]
	if port == "" {
		return host
	}
	return strings.TrimSuffix(host, port)
}

// frames writes Loki's frames.
type frames struct {
	conn     *websocket.Conn
	response *echo.Response
	timeout  time.Duration
	format   tail.Format
	encode   func(*tail.Batch) []byte
}

func encodeCategorized(b *tail.Batch) []byte {
	var out bytes.Buffer
	out.Grow(int(pages.Size(b.Entries)))
	appendFrame(&out, b, nil)
	return out.Bytes()
}

func encodeMerged(b *tail.Batch) []byte {
	var out bytes.Buffer
	out.Grow(int(pages.Size(b.Entries)))
	cache := map[string]string{}
	appendFrame(&out, b, func(e loki.Entry) string { return mergedLabels(e, cache) })
	return out.Bytes()
}

// errPing is the error of a client that does not respond to a ping.
var errPing = errors.New("the client does not respond")

// run forwards a tail until it ends or the client can't be written to. Loki's protocol has no frame for what happens to
// a tail beside lines.
func (w *frames) run(ctx context.Context, f *tailSession) (closeReason, error) {
	for {
		batch, err := f.next() // it ends with the client, the token or the server
		switch {
		case err != nil:
			return f.closeReason(err), nil
		case batch == nil:
			err = w.ping(ctx)
		case batch.Event == nil:
			err = w.send(ctx, batch)
		}
		if err != nil {
			return closeReason{}, err
		}
	}
}

// send writes a frame. The connection has a deadline for each piece of it.
func (w *frames) send(ctx context.Context, b *tail.Batch) error {
	text := b.Encoded(w.format, w.encode)
	w.response.Size += int64(len(text))
	return w.conn.Write(ctx, websocket.MessageText, text)
}

func (w *frames) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	if err := w.conn.Ping(ctx); err != nil {
		return errors.Join(errPing, err)
	}
	return nil
}
