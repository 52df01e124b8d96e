package loki

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Refusals before anything is sent.
var (
	// ErrNotFenced rejects the zero Query or Selector, which is not fenced.
	ErrNotFenced = errors.New("the query is not fenced")
	// ErrMixedTenants refuses fenced values of different scopes in one request: it has one organization.
	ErrMixedTenants = errors.New("one request for the logs of different tenants")
	// ErrNoSelector refuses a request for series without a selector, for which Loki returns every
	// tenant's.
	ErrNoSelector = errors.New("series of no selector would be everyone's")
	// ErrParameter refuses a parameter that the caller should have checked: a name that is no label's,
	// a time that nanoseconds cannot hold.
	ErrParameter = errors.New("unfit parameter")
	// ErrOrgID refuses a tenant whose name Loki would not take as an organization.
	ErrOrgID = errors.New("unfit organization")
)

// Errors of a request that was sent. The texts are public and hold no address; [Error] holds the
// cause for the log.
var (
	// ErrUnreachable means that no connection to Loki could be made, or that it broke before a response.
	ErrUnreachable = errors.New("loki cannot be reached")
	// ErrUnavailable means that nothing was sent, since Loki is known to be down.
	ErrUnavailable = errors.New("loki is down")
	// ErrTimeout means that logfence's timeout or Loki's own passed.
	ErrTimeout = errors.New("loki did not respond in time")
	// ErrRateLimited means that Loki, or a proxy in front of it, accepts no more requests for now.
	ErrRateLimited = errors.New("loki accepts no more requests for now")
	// ErrTooManyTails means that Loki takes no more tails for now (max_concurrent_tail_requests). It is an ErrRateLimited.
	ErrTooManyTails = fmt.Errorf("%w: too many live tails", ErrRateLimited)
	// ErrDenied means that Loki, or a reverse proxy in front of it, does not accept logfence's credentials, or its requests.
	ErrDenied = errors.New("loki denies access")
	// ErrTooLong means that a reverse proxy in front of Loki does not accept a request of this length.
	ErrTooLong = errors.New("the request is too long for the reverse proxy in front of loki")
	// ErrTooLongForURL is the ErrTooLong of a tail, whose query stays in the URL.
	ErrTooLongForURL = fmt.Errorf("%w: the query of a tail is a part of its URL", ErrTooLong)
	// ErrNoUpgrade means that a reverse proxy in front of Loki does not pass on Upgrade, which a tail needs.
	ErrNoUpgrade = errors.New("the reverse proxy in front of loki does not pass on WebSockets")
	// ErrNotEnabled means that Loki does not have the feature that the request needs, or has it disabled.
	ErrNotEnabled = errors.New("loki does not have the feature, or has it disabled")
	// ErrFailed means that Loki returned a server error, something that is not a response of Loki's, or
	// an incomplete response.
	ErrFailed = errors.New("loki failed")
)

// RefusedError is Loki's rejection of a query. Its message may quote the query that was sent and its organization, so it
// is for the log; [RefusedError.Public] returns what the caller may read.
type RefusedError struct {
	Status  int    // a 4xx, or 500 for one of the mistakes of a query that Loki reports as a failure
	Message string // Loki's own, shortened and without control characters
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("loki refused with %d: %s", e.Status, e.Message)
}

// Error is a failure with its cause. Its text is that of Kind alone; the cause may hold addresses and is
// for the log, which finds it by [errors.As] or [slog.LogValuer].
type Error struct {
	Kind  error // one of the errors above
	Cause error
	// RetryAfter is how long to wait before the next request; 0: not known.
	RetryAfter time.Duration

	// noLoki is set for the response of a reverse proxy that had no Loki to pass the request to. Another one may be there.
	noLoki bool
}

func (e *Error) Error() string { return e.Kind.Error() }

// Unwrap returns both, so that errors.Is finds the kind and the cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Cause} }

// LogValue includes the cause.
func (e *Error) LogValue() slog.Value {
	return slog.StringValue(e.Kind.Error() + ": " + e.Cause.Error())
}

func failed(format string, args ...any) error {
	return &Error{Kind: ErrFailed, Cause: fmt.Errorf(format, args...)}
}

// classify attributes an error of the transport to the caller, the deadline or Loki. The caller's
// context is checked first, since its end makes everything else fail as well; request is made of it by
// withDeadline or startClock. A connection's own deadline, which is set from that of a context, may fail a moment before it ends.
func classify(caller, request context.Context, kind, err error) error {
	deadline, limited := request.Deadline()
	switch {
	case caller.Err() != nil:
		return fmt.Errorf("request to loki: %w", caller.Err())
	case errors.Is(context.Cause(request), ErrTimeout), limited && !time.Now().Before(deadline):
		return &Error{Kind: ErrTimeout, Cause: err}
	default:
		return &Error{Kind: kind, Cause: err}
	}
}
