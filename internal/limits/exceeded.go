package limits

import (
	"fmt"
	"time"
)

// ExceededError is the refusal of a request for more than its limits allow.
type ExceededError struct {
	Limit  Limit
	Detail string // a sentence or two for the caller: what was requested, what is allowed, what to do
	// RetryAfter is when the same request may be granted; 0 where it never will be.
	RetryAfter time.Duration
}

// Error gives the limit's key and the detail, for the log.
func (e *ExceededError) Error() string { return e.Limit.String() + ": " + e.Detail }

func exceeded(l Limit, format string, args ...any) *ExceededError {
	return &ExceededError{Limit: l, Detail: fmt.Sprintf(format, args...)}
}
