package loki

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/logfence/logfence/internal/tenancy"
)

// How Loki's tail behaves (3.7.8, by its source and by experiment), for callers of [Tail]:
//
//   - It returns 101 before it has begun. Refusals that come after (too many tails, which is more than 10
//     unless max_concurrent_tail_requests says otherwise) are close frames of status 1011.
//   - It begins with the newest lines since start, at most limit, oldest first; then come the lines that
//     ingesters take in, whatever their timestamps. What is taken in between the two (some milliseconds)
//     is in neither.
//   - It pings every second once it has begun: from the first ping on no line is missed.
//   - It drops lines when the reader is slow, and when many streams are written at once: ingesters queue
//     five streams. It reports some of those (dropped_entries, at most 1,000) and not others.
//   - It ends after an hour (querier.tail_max_duration), and when it stops.
//   - Without categorize-labels, live lines lack their structured metadata unless the query has a pipeline.

// MaxTailDelay is how long Loki holds lines back at most, to bring those that arrive late into order.
const MaxTailDelay = 5 * time.Second

const (
	// maxTailFrame bounds a frame: 100 entries at most, of lines of up to 256 KiB unless Loki is configured
	// otherwise. Escaped they can be longer.
	maxTailFrame = 32 << 20
	// tailIdleTimeout is how long a tail may be silent, pings included, before it is closed: a proxy between
	// logfence and Loki may have dropped the connection.
	tailIdleTimeout = 30 * time.Second
	// tailSuspect is how long a tail that has sent pings may send none before the health of its URL is checked. A tail of
	// an upstream that is down ends.
	tailSuspect = 3 * time.Second
)

// TailParams are the optional parameters of a tail. Zero values are not sent.
type TailParams struct {
	Start time.Time     // of the lines that it begins with; Loki takes the past hour if there is none
	Limit int           // most lines to begin with; Loki takes 100 if there is none
	Delay time.Duration // whole seconds, at most MaxTailDelay
}

// Frame is one message of a tail: entries in the order in which Loki sent them, and those that it reports
// as dropped.
type Frame struct {
	Entries []Entry
	Dropped []Dropped
}

// Dropped is an entry that was left out.
type Dropped struct {
	Nanos  int64
	Labels string // as in [Entry]
}

// Tail is an open tail of Loki's. One goroutine at a time may call Receive.
type Tail struct {
	conn   *websocket.Conn
	labels interner

	started   chan struct{} // closed when Loki has begun
	startOnce sync.Once

	idleCtx   context.Context // ends when Loki has been silent for too long, or is down
	fail      context.CancelCauseFunc
	idleTimer *time.Timer
	suspect   *time.Timer // runs from the first ping on
	release   func()      // releases the upstream
}

// errIdleTimeout is the cause of the end of idleCtx.
var errIdleTimeout = errors.New("loki fell silent")

// Tail opens a tail. It has the time-out of a request for opening; then it lasts until Close, the end of
// the context that Receive is called with, or Loki's own end.
func (c *Client) Tail(ctx context.Context, options RequestOptions, q tenancy.Query, p TailParams) (*Tail, error) {
	if q.Kind() != tenancy.KindLogs {
		if q.LogQL() == "" {
			return nil, fmt.Errorf("query: %w", ErrNotFenced)
		}
		return nil, fmt.Errorf("%w: not a query for log lines", ErrParameter)
	}
	params := query(q).time("start", p.Start).integer("limit", p.Limit).seconds("delay_for", p.Delay, MaxTailDelay)
	if params.err != nil {
		return nil, params.err
	}
	opening, cancel := c.withDeadline(ctx, options)
	defer cancel()
	// Only its headers are used. A long query stays in the URL: a WebSocket has no form.
	options.AcceptGzip, options.CategorizeLabels = false, true
	t := &Tail{started: make(chan struct{})}
	t.idleCtx, t.fail = context.WithCancelCause(context.Background())
	e, err := c.doWithRetry(opening, func(attempt context.Context, e *upstream) error {
		request, err := c.newRequest(attempt, e, options, "/loki/api/v1/tail", encoded{tenants: params.tenants})
		if err != nil {
			return err
		}
		request.URL.RawQuery = params.encoded().text
		conn, response, err := c.dial(request, t) //nolint:bodyclose // "You never need to close resp.Body yourself" (websocket.Dial)
		if err != nil {
			return c.dialError(ctx, opening, e, request.URL, response, err)
		}
		t.conn = conn
		return nil
	})
	if err != nil {
		t.fail(nil)
		return nil, err
	}
	t.conn.SetReadLimit(maxTailFrame)
	t.idleTimer = time.AfterFunc(tailIdleTimeout, func() { t.fail(&Error{Kind: ErrTimeout, Cause: errIdleTimeout}) })
	t.suspect = time.AfterFunc(tailSuspect, func() { c.pool.triggerHealthCheck(e) })
	t.suspect.Stop()
	c.pool.enter(e, t)
	t.release = sync.OnceFunc(func() {
		c.pool.leave(e, t)
		e.release()
	})
	return t, nil
}

func (c *Client) dial(request *http.Request, t *Tail) (*websocket.Conn, *http.Response, error) {
	return websocket.Dial(request.Context(), request.URL.String(), &websocket.DialOptions{
		HTTPClient:      c.tailClient(),
		HTTPHeader:      request.Header,
		CompressionMode: websocket.CompressionDisabled, // each message's dictionary costs more memory than it saves
		OnPingReceived: func(context.Context, []byte) bool {
			t.idleTimer.Reset(tailIdleTimeout)
			t.suspect.Reset(tailSuspect)
			t.startOnce.Do(func() { close(t.started) })
			return true
		},
	})
}

// tailClient is for handshakes: HTTP/1.1, which WebSockets need, and connections that nobody else gets. It
// follows no redirects: they lead to a place that the operator has not chosen.
func (c *Client) tailClient() *http.Client {
	transport := c.newTransport(protocolHTTP1)
	transport.DisableKeepAlives = true
	return &http.Client{
		Transport:     c.wrap(transport),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dialError classifies a failed handshake. The response's body is in memory by now.
func (c *Client) dialError(caller, opening context.Context, e *upstream, target *url.URL, response *http.Response, err error) error {
	if response == nil || response.StatusCode == http.StatusSwitchingProtocols || caller.Err() != nil {
		return classify(caller, opening, ErrUnreachable, err)
	}
	if response.StatusCode == http.StatusOK {
		return failed("open tail: %w", err)
	}
	if isGatewayError(response.StatusCode) {
		c.pool.triggerHealthCheck(e)
	}
	body := response.Body
	if body == nil {
		body = http.NoBody
	}
	return handshakeError(response, len(target.RequestURI()), statusError(response, io.LimitReader(body, maxMessage)))
}

// handshakeError finds out what a reverse proxy in front of Loki has made of a handshake: err is that of any request with this
// response. Loki, which gets a request without Upgrade from a proxy that does not pass it on, responds with 400 or 426 and
// names the version of the protocol (gorilla/websocket).
func handshakeError(r *http.Response, urlBytes int, err error) error {
	cause := errors.New(text(err)) // which does not unwrap to a refusal of the query
	var refused *RefusedError
	switch {
	case errors.Is(err, ErrTooLong):
		return &Error{Kind: ErrTooLongForURL, Cause: cause}
	case r.StatusCode == http.StatusUpgradeRequired, r.StatusCode == http.StatusBadRequest && r.Header.Get("Sec-WebSocket-Version") != "":
		return &Error{Kind: ErrNoUpgrade, Cause: cause}
	case r.StatusCode != http.StatusBadRequest, errors.As(err, &refused) && isLokis(r, refused.Message):
		return err
	case urlBytes >= maxURL: // haproxy reports one that it does not take so
		return &Error{Kind: ErrTooLongForURL, Cause: cause}
	default:
		return &Error{Kind: ErrNoUpgrade, Cause: cause}
	}
}

// text is an error with its cause, for the log.
func text(err error) string {
	var failure *Error
	if errors.As(err, &failure) {
		return failure.Cause.Error()
	}
	return err.Error()
}

// Begun is closed when Loki has begun: what it takes in from then on will arrive here. That is its first
// ping, not its first frame, which it may send before its ingesters have heard of the tail. It needs
// a concurrent Receive.
func (t *Tail) Begun() <-chan struct{} { return t.started }

// Receive waits for the next frame. After an error there is nothing more to come; the end of ctx closes
// the tail.
func (t *Tail) Receive(ctx context.Context) (Frame, error) {
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.idleCtx, cancel)() //nolint:contextcheck // either of the two ends the reading
	kind, message, err := t.conn.Read(reading)
	if err != nil {
		return Frame{}, t.closeReason(ctx, err)
	}
	t.idleTimer.Reset(tailIdleTimeout)
	if kind != websocket.MessageText {
		return Frame{}, failed("tail: a frame that is not text")
	}
	frame, err := decodeFrame(message, &t.labels)
	if err != nil {
		return Frame{}, failed("tail: decode frame: %w", err)
	}
	return frame, nil
}

// closeReason returns why a tail ended.
func (t *Tail) closeReason(ctx context.Context, err error) error {
	var closed websocket.CloseError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("tail loki: %w", ctx.Err())
	case t.idleCtx.Err() != nil:
		return context.Cause(t.idleCtx) //nolint:contextcheck // of the two that end the reading, the one that did
	case errors.As(err, &closed) && strings.Contains(closed.Reason, "max concurrent tail requests limit"):
		return &Error{Kind: ErrTooManyTails, Cause: closed}
	default:
		return failed("tail: %w", err)
	}
}

// Close closes the tail without waiting for Loki.
func (t *Tail) Close() {
	t.idleTimer.Stop()
	t.suspect.Stop()
	t.fail(nil)
	t.release()
	t.conn.CloseNow() //nolint:errcheck,gosec // it is closed either way
}

// decodeFrame decodes a message of a tail: an object of streams, as in a response, and of what was dropped.
func decodeFrame(message []byte, names *interner) (Frame, error) {
	var dropped []struct {
		Timestamp string          `json:"timestamp"`
		Labels    json.RawMessage `json:"labels"`
	}
	d := decoder{json: json.NewDecoder(bytes.NewReader(message)), labels: names}
	err := d.object(func(name json.Token) error {
		switch name {
		case "streams":
			return d.streams()
		case "dropped_entries":
			return d.json.Decode(&dropped)
		default:
			return d.ignore()
		}
	})
	if err == nil {
		err = d.end(0)
	}
	if err != nil {
		return Frame{}, err
	}
	f := Frame{Entries: d.entries}
	for _, d := range dropped {
		nanos, err := strconv.ParseInt(d.Timestamp, 10, 64)
		if err != nil {
			return Frame{}, err
		}
		set, err := names.object(d.Labels)
		if err != nil {
			return Frame{}, err
		}
		f.Dropped = append(f.Dropped, Dropped{Nanos: nanos, Labels: set})
	}
	return f, nil
}

// seconds adds a duration in whole seconds, the one way in which Loki reads this one.
func (p *params) seconds(name string, d, most time.Duration) *params {
	switch {
	case d < 0 || d > most || d%time.Second != 0:
		return p.fail("%w: %s: %s is not a whole number of seconds up to %s", ErrParameter, name, d, most)
	case d == 0:
		return p
	default:
		return p.text(name, strconv.Itoa(int(d/time.Second)))
	}
}
