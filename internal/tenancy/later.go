package tenancy

import (
	"strings"

	"github.com/grafana/loki/v3/pkg/logql/log"
	"github.com/grafana/loki/v3/pkg/logql/syntax"
)

// checkLater prices what Loki's parser leaves alone and Loki compiles all the same when it runs the
// query: line filters. It refuses with a [*TooComplexError].
func (q *scan) checkLater(text string, original syntax.Expr) error {
	var filters []compiledString
	original.Walk(func(e syntax.Expr) bool {
		if f, ok := e.(*syntax.LineFilterExpr); ok && f.Op == "" && (f.Ty == log.LineMatchRegexp || f.Ty == log.LineMatchNotRegexp) {
			filters = append(filters, compiledString{value: f.Match, use: useLineFilter})
		}
		return true
	})
	if len(filters) == 0 {
		return nil
	}
	cost := q.tokens
	cost.addRegexps(append(filters, q.compiled...))
	if cost.total <= maxParse {
		return nil
	}
	for i := range filters { // only for a refusal: where they are
		filters[i].at = strings.Index(text, filters[i].value) - 1 // the quote before it
	}
	cost = q.tokens
	cost.addRegexps(append(filters, q.compiled...))
	return cost.check(text)
}
