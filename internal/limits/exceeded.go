package limits

import (
	"fmt"
	"time"
)

// Kind is a limit that can be hit. The words are public: they are what metrics count by.
type Kind int

// The limits that can be hit.
const (
	KindRate Kind = iota
	KindQueries
	KindExports
	KindTails
	KindQueryBytes
	KindDepth
	KindSelectors
	KindRange
	KindRangeVector
	KindPoints
	KindLines
	KindExportLines
	KindAnswerBytes
	kinds
)

var kindNames = [kinds]string{
	KindRate: "rate", KindQueries: "queries", KindExports: "exports", KindTails: "tails", KindQueryBytes: "query_bytes",
	KindDepth: "depth", KindSelectors: "selectors", KindRange: "range", KindRangeVector: "range_vector", KindPoints: "points",
	KindLines: "lines", KindExportLines: "export_lines", KindAnswerBytes: "answer_bytes",
}

// String gives the word for the kind.
func (k Kind) String() string {
	if k < 0 || k >= kinds {
		return "unknown"
	}
	return kindNames[k]
}

// Kinds are all limits that can be hit.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

// ExceededError is the refusal of a request that asks for more than it may.
type ExceededError struct {
	Kind   Kind
	Detail string // a sentence or two for the caller: what was asked, what is allowed, what to do
	// RetryAfter is when the same request may be granted; 0 where it never will be.
	RetryAfter time.Duration
}

// Error gives the kind and the detail, for the log.
func (e *ExceededError) Error() string { return e.Kind.String() + ": " + e.Detail }

func exceeded(k Kind, format string, args ...any) *ExceededError {
	return &ExceededError{Kind: k, Detail: fmt.Sprintf(format, args...)}
}
