package lokitest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"
)

// tail is one client of Loki's tail.
type tail struct {
	expr       syntax.LogSelectorExpr
	categorize bool
	frames     chan []byte               // what is to be sent
	end        chan websocket.StatusCode // how it is to be closed
}

// tailFrame is one message; fields as Loki encodes them.
type tailFrame struct {
	Streams        []streamResult `json:"streams"`
	DroppedEntries []droppedEntry `json:"dropped_entries,omitempty"`
	EncodingFlags  []string       `json:"encodingFlags,omitempty"`
}

type droppedEntry struct {
	Timestamp string            `json:"timestamp"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// queuedFrames is how many frames wait for a client before Push blocks: a fake holds on to everything, and
// drops only on request.
const queuedFrames = 1024

// tail serves /loki/api/v1/tail: lines since start first, then what is pushed. Lines are neither delayed
// nor merged: one Push is one frame.
func (l *Loki) tail(w http.ResponseWriter, r *http.Request) {
	t, backlog, err := l.openTail(request{Request: r, now: l.now()})
	if err != nil {
		send(w, r, nil, err)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // Loki checks no origin either
	if err != nil {
		return // it has responded
	}
	defer conn.CloseNow() //nolint:errcheck // closed already, or of no use any more
	if t.expr == nil {
		// Loki finds out only now that a metric query cannot be tailed.
		conn.Close(websocket.StatusInternalError, "only log queries can be tailed") //nolint:errcheck,gosec // as above
		return
	}
	if backlog != nil {
		t.frames <- backlog
	}
	l.mu.Lock()
	if l.tails == nil {
		l.tails = map[*tail]bool{}
	}
	l.tails[t] = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.tails, t)
	}()
	t.serve(conn.CloseRead(r.Context()), conn, l.PingEvery)
}

func (t *tail) serve(ctx context.Context, conn *websocket.Conn, pingEvery time.Duration) {
	var pings <-chan time.Time
	if pingEvery > 0 {
		ticker := time.NewTicker(pingEvery)
		defer ticker.Stop()
		pings = ticker.C
	}
	for {
		select {
		case <-ctx.Done(): // the client left
			return
		case <-pings:
			if err := conn.Ping(ctx); err != nil {
				return
			}
		case frame := <-t.frames:
			if err := conn.Write(ctx, websocket.MessageText, frame); err != nil {
				return
			}
		case code := <-t.end:
			if code != cutTail {
				conn.Close(code, "") //nolint:errcheck,gosec // the client may be gone
			}
			return
		}
	}
}

// openTail reads the parameters; the expression is nil for a metric query.
func (l *Loki) openTail(r request) (*tail, []byte, error) {
	parsed, err := syntax.ParseExpr(r.param("query"))
	if err != nil {
		return nil, nil, badRequest(err)
	}
	limit, err := r.positive("limit", DefaultLimit)
	if err != nil {
		return nil, nil, err
	}
	window, err := r.span()
	if err != nil {
		return nil, nil, err
	}
	if delay := r.param("delay_for"); delay != "" {
		if n, err := strconv.Atoi(delay); err != nil || n > 5 {
			return nil, nil, &httpError{http.StatusBadRequest, "delay_for can't be greater than 5"}
		}
	}
	t := &tail{categorize: r.categorize(), frames: make(chan []byte, queuedFrames), end: make(chan websocket.StatusCode, 1)}
	expr, ok := parsed.(syntax.LogSelectorExpr)
	if _, sample := parsed.(syntax.SampleExpr); !ok || sample {
		return t, nil, nil
	}
	t.expr = expr
	lines, _, err := run(expr, clip(l.snapshot(), window))
	if err != nil {
		return nil, nil, err
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.time.Compare(b.time) })
	lines = lines[max(0, len(lines)-limit):] // the newest, oldest first
	if len(lines) == 0 {
		return t, nil, nil
	}
	return t, t.frame(lines, nil), nil
}

func (t *tail) frame(lines []line, dropped []droppedEntry) []byte {
	f := tailFrame{Streams: grouped(lines, t.categorize), DroppedEntries: dropped}
	if t.categorize {
		f.EncodingFlags = []string{"categorize-labels"}
	}
	encoded, err := json.Marshal(f)
	if err != nil {
		panic("lokitest: " + err.Error()) // strings and numbers alone
	}
	return encoded
}

// Push adds entries and sends them to the tails whose queries match, one frame for each tail.
func (l *Loki) Push(streams ...Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(streams)
	pushed := make([]stream, 0, len(streams))
	for _, s := range streams {
		pushed = append(pushed, stream{labels.FromMap(s.Labels), s.Entries})
	}
	for t := range l.tails {
		if lines, _, err := run(t.expr, pushed); err == nil && len(lines) > 0 {
			t.frames <- t.frame(lines, nil)
		}
	}
}

// Drop reports to the tails that select the streams that their entries were dropped, and does not add them.
func (l *Loki) Drop(streams ...Stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for t := range l.tails {
		var dropped []droppedEntry
		for _, s := range streams {
			if !matches(labels.FromMap(s.Labels), t.expr.Matchers()) {
				continue
			}
			for _, e := range s.Entries {
				dropped = append(dropped, droppedEntry{strconv.FormatInt(e.Time.UnixNano(), 10), s.Labels})
			}
		}
		if len(dropped) > 0 {
			t.frames <- t.frame(nil, dropped)
		}
	}
}

// Tails are the queries of the tails that are open.
func (l *Loki) Tails() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	queries := []string{}
	for t := range l.tails {
		queries = append(queries, strings.TrimSpace(t.expr.String()))
	}
	slices.Sort(queries)
	return queries
}

// cutTail stands for closing without a close frame, as a crash does.
const cutTail websocket.StatusCode = -1

// CloseTails ends every tail as Loki does when it shuts down.
func (l *Loki) CloseTails() { l.endTails(websocket.StatusGoingAway) }

// CutTails drops the connection of every tail without a close frame.
func (l *Loki) CutTails() { l.endTails(cutTail) }

func (l *Loki) endTails(code websocket.StatusCode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for t := range l.tails {
		select {
		case t.end <- code:
		default: // it ends already
		}
	}
}
