package tenancy

import (
	"fmt"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"
)

// Explanation is what the fence makes of a query, for editors and for support.
type Explanation struct {
	Query Query
	// Selectors are the stream selectors of the text as the caller wrote it, in its order.
	Selectors []SelectorPart
}

// SelectorPart is one stream selector of a caller's text.
type SelectorPart struct {
	// Text is the selector as LogQL prints it, without the fence's matchers.
	Text string
	// Line and Column are where its opening brace stands, from 1 and in characters.
	Line, Column int
	Matchers     []Matcher
}

// Matcher is one label matcher of a selector: Op is one of =, !=, =~ and !~.
type Matcher struct{ Name, Op, Value string }

// Explain fences a text and describes its parts. The errors are those of [Scope.Query], with the place of a regular expression
// that is none, and a [*RefusedLaterError] for what Loki finds only when it runs the query.
func (s Scope) Explain(text string) (Explanation, error) {
	f, err := s.fenceText(text, wantQuery)
	if err != nil {
		return Explanation{}, located(text, err)
	}
	if err := checkStages(text, f.original); err != nil {
		return Explanation{}, err
	}
	parts := partsOf(f.original)
	if len(parts) != len(f.seen.braces) {
		return Explanation{}, &UnsupportedError{Reason: unproven, Proof: fmt.Sprintf("%d selectors behind %d braces", len(parts), len(f.seen.braces))}
	}
	for i, b := range f.seen.braces {
		parts[i].Line, parts[i].Column = b.line, b.column
	}
	return Explanation{Query: f.query, Selectors: parts}, nil
}

// partsOf lists the selectors of an expression in the order of the text: Walk goes from left to right.
func partsOf(expr syntax.Expr) []SelectorPart {
	var parts []SelectorPart
	// Walk, not Accept: Loki's DepthFirstTraversal (v3.7.8) passes over what label_replace holds.
	expr.Walk(func(e syntax.Expr) bool {
		if m, ok := e.(*syntax.MatchersExpr); ok {
			parts = append(parts, SelectorPart{Text: m.String(), Matchers: matchersOf(m.Mts)})
		}
		return true
	})
	return parts
}

func matchersOf(ms []*labels.Matcher) []Matcher {
	matchers := make([]Matcher, len(ms))
	for i, m := range ms {
		matchers[i] = Matcher{Name: m.Name, Op: m.Type.String(), Value: m.Value}
	}
	return matchers
}

// Loki's printer prints all that is left of a line filter anew for each one in a chain, and again for
// each that it prints: its cost grows with the cube of their number, and 3,000 of them take minutes.
const (
	maxFormatBytes   = 8 << 10
	maxFormatFilters = 300
)

// Format lays a query out over several lines, as Loki's format_query does, without its costs. The
// result is text for users, not a [Query]. What the fence takes can be formatted, `{}` included, which
// Loki's own refuses, unless it is too long or too expensive to print. The errors are those of
// [Scope.Query], and those of check, which is called with the query's shape before anything is printed:
// what printing costs grows with the square of a query's depth.
func (s Scope) Format(text string, check func(Shape) error) (formatted string, err error) {
	f, err := s.fenceText(text, wantQuery)
	if err != nil {
		return "", err
	}
	if err := check(f.query.shape); err != nil {
		return "", err
	}
	if len(text) > maxFormatBytes {
		return "", &TooComplexError{What: "bytes to format", Limit: maxFormatBytes}
	}
	filters := 0
	f.original.Walk(func(e syntax.Expr) bool {
		if _, ok := e.(*syntax.LineFilterExpr); ok {
			filters++
		}
		return true
	})
	if filters > maxFormatFilters {
		return "", &TooComplexError{What: "line filters to format", Limit: maxFormatFilters}
	}
	// Loki's printer panics on some expressions that its parser takes.
	defer func() {
		if r := recover(); r != nil {
			formatted, err = "", &UnsupportedError{Reason: "this query cannot be formatted", Proof: fmt.Sprintf("printer panicked: %v", r)}
		}
	}()
	return syntax.Prettify(f.original), nil
}
