package limits

import (
	"fmt"
	"time"
)

// ExceededError is the refusal of a request for more than its limits allow.
type ExceededError struct {
	Limit  Limit
	Detail string // a sentence or two for the caller: what was requested, what is allowed, what to do
	// InLoki is what Loki (3.7.8) reports where it has the same limit, for its clients, which decide by these words; empty
	// where it has none.
	InLoki string
	// RetryAfter is when the same request may be granted; 0 where it never will be.
	RetryAfter time.Duration
}

// Error gives the limit's key and the detail, for the log.
func (e *ExceededError) Error() string { return e.Limit.String() + ": " + e.Detail }

func exceeded(l Limit, format string, args ...any) *ExceededError {
	return &ExceededError{Limit: l, Detail: fmt.Sprintf(format, args...)}
}

// inLoki sets what Loki reports of the same limit.
func (e *ExceededError) inLoki(format string, args ...any) *ExceededError {
	e.InLoki = fmt.Sprintf(format, args...)
	return e
}

// lokiTooWide is what Loki reports of a span (ErrQueryTooLong in its pkg/util/validation).
const lokiTooWide = "the query time range exceeds the limit (query length: %s, limit: %s)"

// thousands writes a number as Loki does in its errors: 11,000.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}
