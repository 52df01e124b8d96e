package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/tail"
)

// TailLogs answers GET /api/v1/logs/tail with server-sent events.
func (s *Server) TailLogs(c echo.Context, p api.TailLogsParams) error {
	r := tailRequest{query: p.Query, start: p.Start, limit: p.Limit, delayFor: p.DelayFor}
	if p.LastEventID != nil {
		cursor, err := tail.ParseCursor(*p.LastEventID)
		if err != nil {
			return parameterInvalid("Last-Event-ID", "Last-Event-ID: this is no id of an event of a tail.")
		}
		r.after = cursor
	}
	f, err := s.follow(c, r)
	if err != nil {
		return err
	}
	defer f.close()
	e := &events{Context: c, mark: r.after}
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back until it has a page of them
	c.Response().WriteHeader(http.StatusOK)
	end, err := e.pass(f, s.live.heartbeat)
	switch {
	case left(c):
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

	mark   tail.Cursor
	buffer bytes.Buffer
}

// pass passes a tail on until it ends or the client can't be written to.
func (e *events) pass(f *following, heartbeat time.Duration) (ending, error) {
	// The header goes out now, and how soon to come back.
	if err := e.send(":\nretry: 1000\n\n"); err != nil {
		return ending{}, err
	}
	for {
		batch, ok, err := f.next(time.Now().Add(heartbeat))
		switch {
		case err != nil:
			return f.ending(err), nil
		case ok:
			err = e.sendBatch(batch)
		default:
			err = e.beat(f)
		}
		if err != nil {
			return ending{}, err
		}
	}
}

func (e *events) send(text string) error {
	return e.write([]byte(text))
}

// beat writes a comment. To a client that has seen no line yet it tells where to go on from, so that one
// that comes back does not begin anew.
func (e *events) beat(f *following) error {
	if !e.mark.IsZero() {
		return e.send(":\n\n")
	}
	return e.send(": no line yet\nid: " + tail.CursorAt(f.began).String() + "\n\n")
}

func (e *events) sendBatch(b tail.Batch) error {
	e.buffer.Reset()
	if n := b.Drops.Count(); n > 0 {
		fmt.Fprintf(&e.buffer, "event: dropped\ndata: {\"count\":%d,\"slow_reader\":%d,\"loki\":%d}\n\n", n, b.Drops.Slow, b.Drops.Loki)
	}
	if len(b.Entries) > 0 {
		for _, entry := range b.Entries {
			e.mark.Add(entry)
		}
		e.buffer.WriteString("event: entries\nid: " + e.mark.String() + "\ndata: {\"streams\":")
		appendStreams(&e.buffer, b.Entries, nil)
		e.buffer.WriteString("}\n\n")
	}
	return e.write(e.buffer.Bytes())
}

func (e *events) write(b []byte) error {
	if _, err := e.Response().Write(b); err != nil {
		return err
	}
	return flush(e)
}

func (e *events) end(why ending) error {
	data, err := json.Marshal(why)
	if err != nil {
		return fmt.Errorf("encode end: %w", err)
	}
	if err := e.send("event: end\ndata: " + string(data) + "\n\n"); err != nil {
		return fmt.Errorf("%w: %w", errAborted, err)
	}
	return nil
}

// LokiTail answers GET /loki/api/v1/tail with Loki's own WebSocket.
func (s *Server) LokiTail(c echo.Context, p api.LokiTailParams) error {
	r := c.Request()
	if !asksForWebSocket(r) {
		return codeUpgradeRequired.problem(nil, "This resource is a WebSocket. Over HTTP, follow lines by /api/v1/logs/tail.").
			with(echo.HeaderConnection, "Upgrade").with(echo.HeaderUpgrade, "websocket")
	}
	if err := s.checkOrigin(r); err != nil {
		return err
	}
	f, err := s.follow(c, tailRequest{query: p.Query, start: p.Start, limit: p.Limit, delayFor: p.DelayFor})
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
	client := conn.CloseRead(r.Context()) // ends when the client leaves
	defer context.AfterFunc(client, f.leave)()
	w := &frames{conn: conn, response: c.Response(), stall: s.stall, cache: map[string]string{}}
	if p.XLokiResponseEncodingFlags == nil {
		w.labels = func(e loki.Entry) string { return merged(e, w.cache) }
	}
	end, err := w.pass(client, f, s.live.heartbeat)
	if client.Err() != nil || err != nil {
		return nil // it left, or can't be told any more: the connection breaks
	}
	end.note(c)
	return conn.Close(end.closeCode(), end.Detail[:min(len(end.Detail), 120)])
}

// asksForWebSocket holds a handshake to what RFC 6455, section 4.2.1, asks of it; websocket.Accept would
// write answers of its own.
func asksForWebSocket(r *http.Request) bool {
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

// hasWebSocketKey tells whether there is one key, of 16 bytes in base64.
func hasWebSocketKey(h http.Header) bool {
	keys := h.Values("Sec-WebSocket-Key")
	if len(keys) != 1 {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0]))
	return err == nil && len(key) == 16
}

// checkOrigin refuses pages of other origins than the operator has named. Browsers let any page open a
// WebSocket anywhere, and send it what credentials they hold; they always say for which page. Our own
// origin has no special right: pages are not told apart by the host that a request names.
func (s *Server) checkOrigin(r *http.Request) error {
	given := r.Header.Values(echo.HeaderOrigin)
	if len(given) == 0 || len(given) == 1 && slices.Contains(s.origins, given[0]) {
		return nil
	}
	return codeOriginForbidden.problem(nil, "Pages of this origin may not open a tail. The server's LOGFENCE_CORS_ORIGINS names those that may.")
}

func (e ending) closeCode() websocket.StatusCode {
	switch e.Reason {
	case "token_expired":
		return websocket.StatusPolicyViolation
	case "server_shutdown":
		return websocket.StatusGoingAway
	default:
		return websocket.StatusInternalError
	}
}

// frames writes Loki's frames.
type frames struct {
	conn     *websocket.Conn
	response *echo.Response
	stall    time.Duration
	labels   func(loki.Entry) string // nil: as with categorize-labels
	cache    map[string]string
	buffer   bytes.Buffer
}

// errPing says that a client does not answer.
var errPing = errors.New("the client does not answer")

// pass passes a tail on until it ends or the client can't be written to.
func (w *frames) pass(ctx context.Context, f *following, heartbeat time.Duration) (ending, error) {
	for {
		batch, ok, err := f.next(time.Now().Add(heartbeat)) //nolint:contextcheck // it has the client's, and more ends
		switch {
		case err != nil:
			return f.ending(err), nil
		case ok:
			err = w.send(ctx, batch)
		default:
			err = w.ping(ctx)
		}
		if err != nil {
			return ending{}, err
		}
	}
}

func (w *frames) send(ctx context.Context, b tail.Batch) error {
	w.buffer.Reset()
	appendFrame(&w.buffer, b, w.labels)
	ctx, cancel := context.WithTimeout(ctx, w.stall)
	defer cancel()
	w.response.Size += int64(w.buffer.Len())
	return w.conn.Write(ctx, websocket.MessageText, w.buffer.Bytes())
}

func (w *frames) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.stall)
	defer cancel()
	if err := w.conn.Ping(ctx); err != nil {
		return errors.Join(errPing, err)
	}
	return nil
}
