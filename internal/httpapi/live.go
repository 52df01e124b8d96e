package httpapi

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
	"github.com/logfence/logfence/internal/tail"
	"github.com/logfence/logfence/internal/tenancy"
)

// DefaultHeartbeat is how long an open tail says nothing: proxies close what is silent for a minute.
const DefaultHeartbeat = 15 * time.Second

// live are the tails that are open.
type live struct {
	heartbeat time.Duration

	mu       sync.Mutex
	draining context.Context // ends when they are to end
	drain    context.CancelFunc
	open     sync.WaitGroup
	count    atomic.Int64 // what a WaitGroup does not tell
}

func newLive(c Config) *live {
	l := &live{heartbeat: c.Heartbeat}
	l.draining, l.drain = context.WithCancel(context.Background())
	if l.heartbeat == 0 {
		l.heartbeat = DefaultHeartbeat
	}
	return l
}

// Drain tells every tail to end, and returns when all have told their clients, or when ctx ends. Tails have
// no end of their own, so a server that stops would wait for them in vain. New ones are refused from then on.
func (s *Server) Drain(ctx context.Context) {
	s.live.mu.Lock()
	s.live.drain()
	s.live.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.live.open.Wait()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// Tails is how many tails are open.
func (s *Server) Tails() int { return int(s.live.count.Load()) }

// enter counts a tail, unless the server drains.
func (l *live) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining.Err() != nil {
		return false
	}
	l.open.Add(1)
	l.count.Add(1)
	return true
}

func (l *live) exit() {
	l.count.Add(-1)
	l.open.Done()
}

// The ends of a tail that neither the client nor Loki has chosen.
var (
	errTokenExpired = errors.New("the token has expired")
	errDraining     = errors.New("the server is shutting down")
)

// following is one tail on its way to a client.
type following struct {
	*tail.Tail

	// ctx ends with the client, and with the token or the server as its cause.
	ctx   context.Context
	began time.Time
	leave func() // ends ctx, as the client's leaving does
	close func()
}

// tailRequest are the parameters of a tail, from either of its two doors.
type tailRequest struct {
	query    string
	start    *string
	limit    *int
	delayFor *int
	after    tail.Cursor
}

// follow starts a tail for the caller. It returns when Loki has answered, so that what goes wrong before
// still has its status. Whoever gets one calls close.
func (s *Server) follow(c echo.Context, r tailRequest) (*following, error) {
	config, err := s.tailConfig(c, r)
	if err != nil {
		return nil, err
	}
	decisionOf(c).Start = config.Start
	q, err := s.lineQuery(c, r.query)
	if err != nil {
		return nil, err
	}
	if !s.live.enter() {
		return nil, codeOverloaded.problem(errDraining, "The server is shutting down. Try again shortly.").
			with(echo.HeaderRetryAfter, retryLater)
	}
	ctx, cancel := context.WithCancelCause(c.Request().Context())
	f := &following{ctx: ctx, began: s.now(), leave: func() { cancel(context.Canceled) }}
	expiry := time.AfterFunc(callerOf(c).Expiry.Sub(s.now()), func() { cancel(errTokenExpired) })
	f.Tail = tail.Start(ctx, tail.NewSource(s.loki, requestOptions(c), q), config)
	drained := context.AfterFunc(s.live.draining, func() { cancel(errDraining) })
	f.close = func() {
		expiry.Stop()
		drained()
		cancel(nil)
		f.Close()
		s.live.exit()
	}
	if err := f.Open(ctx); err != nil {
		f.close()
		return nil, ofStart(err)
	}
	return f, nil
}

// ofStart is the answer to what ended a tail before it began.
func ofStart(err error) error {
	switch {
	case errors.Is(err, errTokenExpired):
		return codeUnauthorized.problem(err, "The token is not valid. Get a new one from your identity provider.").
			with(echo.HeaderWWWAuthenticate, `Bearer realm="logfence", error="invalid_token"`)
	case errors.Is(err, errDraining):
		return codeOverloaded.problem(err, "The server is shutting down. Try again shortly.").
			with(echo.HeaderRetryAfter, retryLater)
	}
	return err
}

func (s *Server) tailConfig(c echo.Context, r tailRequest) (tail.Config, error) {
	now := s.now()
	config := tail.Config{Now: s.now, After: r.after, PageLines: pageLines(c)}
	start, err := optionalTime("start", r.start)
	if err != nil {
		return tail.Config{}, err
	}
	if start.After(now) {
		return tail.Config{}, parameterInvalid("start", "start lies in the future.")
	}
	if start.IsZero() {
		start = now.Add(-defaultSince)
	}
	config.Start = start
	if !r.after.IsZero() {
		start = time.Unix(0, r.after.Nanos())
	}
	if err := callerOf(c).limits.CheckRange(start, now); err != nil {
		return tail.Config{}, err
	}
	if config.Lines, err = s.lines(c, r.limit); err != nil {
		return tail.Config{}, err
	}
	if r.delayFor != nil {
		config.Delay = time.Duration(*r.delayFor) * time.Second
	}
	return config, nil
}

// pageLines is how many lines are asked of Loki at once: what it takes, which an operator who raised its
// bound, or lowered it, has told us as LOGFENCE_MAX_LINES.
func pageLines(c echo.Context) int { return min(callerOf(c).limits.MaxLines, pages.DefaultLines) }

// lineQuery fences a query of the caller's that has to be one for log lines.
func (s *Server) lineQuery(c echo.Context, text string) (tenancy.Query, error) {
	q, err := s.query(c, text)
	if err != nil {
		return tenancy.Query{}, err
	}
	if q.Kind() != tenancy.KindLogs {
		return tenancy.Query{}, codeKindWrong.problem(nil, "This takes a query of log lines, such as {app=\"api\"} |= \"error\"; for metrics use a query over a time range.")
	}
	return q, nil
}

// ending is why a tail ends, as its client is told.
type ending struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`

	cause error // for the log, where something failed
}

func (f *following) ending(err error) ending {
	var e *tail.EndError
	switch {
	case errors.Is(err, errTokenExpired):
		return ending{Reason: "token_expired", Detail: "The token has expired. Come back with a new one."}
	case errors.Is(err, errDraining):
		return ending{Reason: "server_shutdown", Detail: "The server is shutting down. Come back at once."}
	case errors.As(err, &e) && problemOf(err).Code != codeInternal.name:
		return ending{Reason: "loki_unavailable", Detail: "Loki cannot be followed any more: " + problemOf(err).Detail, cause: err}
	default:
		return ending{Reason: "internal", Detail: "An internal error of logfence.", cause: err}
	}
}

// note records an end that was not the client's.
func (e ending) note(c echo.Context) {
	if e.cause != nil {
		d := decisionOf(c)
		d.Code, d.Cause = problemOf(e.cause).Code, e.cause
	}
}

// next waits for the next batch until a time; both are nothing when it has passed.
func (f *following) next(until time.Time) (batch tail.Batch, ok bool, err error) {
	ctx, cancel := context.WithDeadline(f.ctx, until)
	defer cancel()
	batch, err = f.Next(ctx)
	if err != nil && errors.Is(err, context.DeadlineExceeded) && f.ctx.Err() == nil {
		return tail.Batch{}, false, nil
	}
	return batch, err == nil, err
}

// left tells whether the client has gone, and nobody is left to be told anything.
func left(c echo.Context) bool { return c.Request().Context().Err() != nil }

// merged are all labels of an entry in one object, as Loki gives them without categorize-labels.
func merged(e loki.Entry, cache map[string]string) string {
	if e.Metadata == "" && e.Parsed == "" {
		return e.Labels
	}
	key := strings.Join([]string{e.Labels, e.Metadata, e.Parsed}, "\n")
	if text, ok := cache[key]; ok {
		return text
	}
	if len(cache) >= 1024 {
		clear(cache)
	}
	text := loki.MergeObjects(e.Labels, e.Metadata, e.Parsed)
	cache[key] = text
	return text
}
