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
	// ErrNotFenced refuses the zero Query or Selector: text that no fence has seen.
	ErrNotFenced = errors.New("the query is not fenced")
	// ErrMixedTenants refuses fenced values of different scopes in one request: it has one organization.
	ErrMixedTenants = errors.New("one request for the logs of different tenants")
	// ErrNoSelector refuses a request for series without a selector, which Loki answers with every
	// tenant's.
	ErrNoSelector = errors.New("series of no selector would be everyone's")
	// ErrParameter refuses a parameter that the caller should have checked: a name that is no label's,
	// a time that nanoseconds cannot hold.
	ErrParameter = errors.New("unfit parameter")
	// ErrOrgID refuses a tenant whose name Loki would not take as an organization.
	ErrOrgID = errors.New("unfit organization")
)

// What became of a request that was sent. The texts are public and name no address; [Error] holds the
// cause for the log.
var (
	// ErrUnreachable means that no connection to Loki could be made, or that it broke before an answer.
	ErrUnreachable = errors.New("loki cannot be reached")
	// ErrUnavailable means that nothing was sent, since Loki is known to be down.
	ErrUnavailable = errors.New("loki is down")
	// ErrTimeout means that our time-out or Loki's own passed.
	ErrTimeout = errors.New("loki did not answer in time")
	// ErrRateLimited means that Loki, or what stands before it, takes no more for now.
	ErrRateLimited = errors.New("loki takes no more requests for now")
	// ErrFailed means that Loki answered with a failure of its own, with what is not an answer of Loki's,
	// or broke off in the middle.
	ErrFailed = errors.New("loki failed")
)

// RefusedError is Loki's refusal of a query: what it says is the caller's to read.
type RefusedError struct {
	Status  int    // a 4xx
	Message string // Loki's own, shortened and without control characters
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("loki refused with %d: %s", e.Status, e.Message)
}

// Error is a failure with its cause. Its text is that of Kind alone; the cause may hold addresses and is
// for the log, which finds it by [errors.As] or [slog.LogValuer].
type Error struct {
	Kind  error // ErrUnreachable, ErrUnavailable, ErrTimeout, ErrRateLimited or ErrFailed
	Cause error
	// RetryAfter is when to ask again at the earliest; 0: not known.
	RetryAfter time.Duration
}

func (e *Error) Error() string { return e.Kind.Error() }

// Unwrap gives both, so that errors.Is finds the kind and what lies under the cause.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Cause} }

// LogValue is what a log shows: the cause too.
func (e *Error) LogValue() slog.Value {
	return slog.StringValue(e.Kind.Error() + ": " + e.Cause.Error())
}

func failed(format string, args ...any) error {
	return &Error{Kind: ErrFailed, Cause: fmt.Errorf(format, args...)}
}

// classify tells whose end an error of the transport is: the caller's, the deadline's or Loki's. The caller's
// context is looked at first, since its end makes everything else fail as well; request is made of it by
// withDeadline. A connection's own deadline, which is set from it, may fail a moment before it ends.
func classify(caller, request context.Context, kind, err error) error {
	deadline, _ := request.Deadline()
	switch {
	case caller.Err() != nil:
		return fmt.Errorf("request to loki: %w", caller.Err())
	case !time.Now().Before(deadline):
		return &Error{Kind: ErrTimeout, Cause: err}
	default:
		return &Error{Kind: kind, Cause: err}
	}
}
