package httpapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
	"github.com/logfence/logfence/internal/tail"
	"github.com/logfence/logfence/internal/tenancy"
)

// DefaultHeartbeat is the interval of heartbeats of a silent tail: proxies close connections that are silent for a
// minute.
const DefaultHeartbeat = 15 * time.Second

// DefaultDrainSpread is the time over which tails end when the server stops, so that their clients, which reconnect at
// once, do not arrive at the other replicas together.
const DefaultDrainSpread = 5 * time.Second

// tailRegistry holds the open tails.
type tailRegistry struct {
	heartbeat time.Duration
	spread    time.Duration // see Config.DrainSpread
	hub       *tail.Hub

	mu       sync.Mutex
	draining context.Context // ends when tails must end
	drain    context.CancelFunc
	sessions map[*tailSession]struct{}
	open     sync.WaitGroup
	count    atomic.Int64 // a WaitGroup does not expose its count
}

func newTailRegistry(c Config) *tailRegistry {
	l := &tailRegistry{
		heartbeat: c.Heartbeat, spread: c.DrainSpread, sessions: map[*tailSession]struct{}{},
		hub: tail.NewHub(tail.HubConfig{Now: c.Now, MaxTails: c.LokiTails}),
	}
	l.draining, l.drain = context.WithCancel(context.Background())
	if l.heartbeat == 0 {
		l.heartbeat = DefaultHeartbeat
	}
	if l.spread == 0 {
		l.spread = DefaultDrainSpread
	}
	return l
}

// Drain ends every tail, and returns when all have sent the close reason to their clients, or when ctx ends. Tails have
// no end of their own, so a graceful shutdown would otherwise never finish. New tails are refused from then on.
func (s *Server) Drain(ctx context.Context) {
	s.tails.mu.Lock()
	if deadline, ok := ctx.Deadline(); ok {
		s.tails.spread = min(s.tails.spread, time.Until(deadline)/2)
	}
	s.tails.drain()
	s.tails.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.tails.open.Wait()
		s.tails.hub.Close() // what was shared has no end of its own either
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// drainDelay is how long one tail outlives the start of the drain.
func (l *tailRegistry) drainDelay() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spread <= 0 {
		return 0
	}
	return rand.N(l.spread) //nolint:gosec // no secret
}

// Tails returns the number of open tails.
func (s *Server) Tails() int { return int(s.tails.count.Load()) }

// TailStats returns the figures of what open tails share.
func (s *Server) TailStats() tail.HubStats { return s.tails.hub.Stats() }

// add counts a tail, unless the server drains.
func (l *tailRegistry) add(f *tailSession) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining.Err() != nil {
		return false
	}
	l.sessions[f] = struct{}{}
	l.open.Add(1)
	l.count.Add(1)
	return true
}

func (l *tailRegistry) remove(f *tailSession) {
	l.mu.Lock()
	delete(l.sessions, f)
	l.mu.Unlock()
	l.count.Add(-1)
	l.open.Done()
}

// endWhere ends the tails that match, each with the cause, which [tailSession.closeReason] turns into what the client is
// told. It does not wait for them; the other viewers of the same query go on.
func (l *tailRegistry) endWhere(match func(*caller) bool, cause error) (ended int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for f := range l.sessions {
		if match(f.caller) {
			f.end(cause)
			ended++
		}
	}
	return ended
}

// The causes that end a tail beside the client and Loki.
var (
	errTokenExpired = errors.New("the token has expired")
	errDraining     = errors.New("the server is shutting down")
	// errAccessChanged ends other requests as well.
	errAccessChanged = errors.New("the grants have changed")
)

// tailSession is one open tail: a viewer of lines that others may view as well.
type tailSession struct {
	*tail.Viewer

	caller *caller
	// ctx ends with the client, and with the token or the server as its cause.
	ctx context.Context
	// end ends the tail with a cause; the first one counts.
	end        func(cause error)
	disconnect func() // ends ctx, as a disconnected client does
	close      func()
	heartbeat  time.Duration
	silence    *time.Timer
}

// tailRequest holds the parameters of a tail, from either endpoint.
type tailRequest struct {
	query    string
	start    *string
	limit    *int
	delayFor *int
	after    tail.Cursor
}

// startTail starts a tail for the caller. It returns after Loki's response, so that an error before that still has its
// status. The caller closes the session.
func (s *Server) startTail(c echo.Context, r tailRequest) (*tailSession, error) {
	config, err := s.tailConfig(c, r)
	if err != nil {
		return nil, err
	}
	recordOf(c).Start = config.Start
	q, err := s.lineQuery(c, r.query)
	if err != nil {
		return nil, err
	}
	if err := s.shareTail(c, q, &config); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(c.Request().Context())
	f := &tailSession{
		caller: callerOf(c), ctx: ctx, end: cancel, disconnect: func() { cancel(context.Canceled) },
		heartbeat: s.tails.heartbeat, silence: time.NewTimer(s.tails.heartbeat),
	}
	if !s.tails.add(f) {
		cancel(nil)
		return nil, ofTailStart(errDraining)
	}
	expiry := time.AfterFunc(callerOf(c).Expiry.Add(s.leeway).Sub(s.now()), func() { cancel(errTokenExpired) })
	drained := context.AfterFunc(s.tails.draining, func() {
		time.AfterFunc(s.tails.drainDelay(), func() { cancel(errDraining) })
	})
	f.close = func() {
		expiry.Stop()
		drained()
		cancel(nil)
		f.silence.Stop()
		if f.Viewer != nil {
			f.Close()
		}
		s.tails.remove(f)
	}
	if f.Viewer, err = s.tails.hub.Open(ctx, config); err != nil {
		f.close()
		return nil, ofTailStart(err)
	}
	return f, nil
}

// shareTail configures what the tail shares with others of the same tenants, organization and fenced text. It reads
// with what these have in common: nothing of the caller's token or request is in it.
func (s *Server) shareTail(c echo.Context, q tenancy.Query, config *tail.ViewerConfig) error {
	organization, err := s.loki.Organization(q)
	if err != nil {
		return err
	}
	owner := streamOwner(c)
	config.Key = tail.Key{Query: q, Organization: organization}
	config.Source = tail.NewSource(s.loki, requestOptions(c), q)
	config.Stream = tail.StreamConfig{
		Source:    tail.NewSource(s.loki, loki.RequestOptions{Timeout: callerOf(c).limits.Timeout}, q),
		PageLines: pageLines(c), LongBytes: s.longBytes(), Reserve: s.pageMemoryOf(owner), Room: s.tailMemory(limits.MemoryTails, owner, tail.BaseBytes),
		Slot: func(ctx context.Context) (func(), error) { return s.limits.Slot(ctx, s.limits.Of(owner.Tenants)) },
	}
	return nil
}

// ofTailStart returns the error of a tail that ended before it began.
func ofTailStart(err error) error {
	switch {
	case errors.Is(err, errTokenExpired):
		return tokenExpired()
	case errors.Is(err, errDraining), errors.Is(err, tail.ErrClosed):
		return codeOverloaded.problem(err, "The server is shutting down. Try again shortly.").
			with(echo.HeaderRetryAfter, retryLater)
	}
	return err
}

// maxClockSkew is how far ahead of ours the clock of a client may be that tails from now on.
const maxClockSkew = 10 * time.Second

func (s *Server) tailConfig(c echo.Context, r tailRequest) (tail.ViewerConfig, error) {
	now := s.now()
	config := tail.ViewerConfig{After: r.after, Reserve: s.pageMemory(c), Room: s.tailMemory(limits.MemoryViewers, memoryOwner(c), tail.ViewerBytes)}
	start, err := optionalTime("start", r.start)
	if err != nil {
		return tail.ViewerConfig{}, err
	}
	if start.After(now) && start.Sub(now) <= maxClockSkew {
		start = now
	}
	if start.After(now) {
		return tail.ViewerConfig{}, parameterInvalid("start", "start lies in the future.")
	}
	if start.IsZero() {
		start = now.Add(-defaultSince)
	}
	config.Start = start
	if !r.after.IsZero() {
		start = time.Unix(0, r.after.Nanos())
	}
	if err := callerOf(c).limits.CheckRange(start, now); err != nil {
		return tail.ViewerConfig{}, err
	}
	if config.Lines, err = s.lineLimit(c, r.limit); err != nil {
		return tail.ViewerConfig{}, err
	}
	if r.delayFor != nil {
		config.Delay = time.Duration(*r.delayFor) * time.Second
	}
	return config, nil
}

// pageLines is how many lines are requested of Loki at once: at most its own limit, which operators who change it set
// as LOGFENCE_MAX_LINES as well.
func pageLines(c echo.Context) int { return min(callerOf(c).limits.MaxLines, pages.DefaultLines) }

// lineQuery fences a query of the caller's, which must be a log query.
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

// closeReason is why a tail ends, as sent to its client.
type closeReason struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`

	cause error // for the log, where something failed
}

func (f *tailSession) closeReason(err error) closeReason {
	var e *tail.EndError
	switch {
	case errors.Is(err, errTokenExpired):
		return closeReason{Reason: "token_expired", Detail: "The token has expired. Reconnect with a new one."}
	case errors.Is(err, errAccessChanged):
		return closeReason{Reason: "access_changed", Detail: "What your token may read has changed. Reconnect to read what it may now.", cause: accessChangedProblem()}
	case errors.Is(err, errDraining):
		return closeReason{Reason: "server_shutdown", Detail: "The server is shutting down. Reconnect now."}
	case errors.Is(err, tail.ErrTooManyPolled):
		return closeReason{Reason: "overloaded", Detail: "Loki takes no more live tails at present. Reconnect in a few seconds.", cause: err}
	case errors.Is(err, limits.ErrOverloaded):
		return closeReason{Reason: "overloaded", Detail: "The server has no memory free for the lines that were missed. Reconnect in a few seconds.", cause: err}
	case errors.As(err, &e) && problemOf(err).Code != codeInternal.name:
		return closeReason{Reason: "loki_unavailable", Detail: "Loki cannot be followed any more: " + problemOf(err).Detail, cause: err}
	default:
		return closeReason{Reason: "internal", Detail: "An internal error of logfence.", cause: err}
	}
}

// note records the error that ended a tail.
func (e closeReason) note(c echo.Context) {
	if e.cause != nil {
		d := recordOf(c)
		d.Code, d.Cause = problemOf(e.cause).Code, e.cause
	}
}

// next waits for the next batch. After a heartbeat's time without one it returns nil.
func (f *tailSession) next() (*tail.Batch, error) {
	f.silence.Reset(f.heartbeat)
	return f.Next(f.ctx, f.silence.C)
}

// clientGone reports whether the client has disconnected.
func clientGone(c echo.Context) bool { return isGone(c.Request().Context()) }

// isGone reports whether the context of a client has ended, and not by a change of the grants.
func isGone(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(context.Cause(ctx), errAccessChanged)
}

// mergedLabels returns all labels of an entry in one object, as Loki does without categorize-labels.
func mergedLabels(e loki.Entry, cache map[string]string) string {
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
