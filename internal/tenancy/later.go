package tenancy

import (
	"github.com/grafana/loki/v3/pkg/logql/log"
	"github.com/grafana/loki/v3/pkg/logql/syntax"
)

// checkLater prices what Loki's parser leaves alone and Loki compiles all the same when it runs the
// query: line filters. It refuses with a [*TooComplexError].
func (q *scan) checkLater(text string, original syntax.Expr) error {
	filters := lineFilters(original)
	if len(filters) == 0 {
		return nil
	}
	cost := q.tokens
	cost.addRegexps(append(filters, q.compiled...))
	if cost.total <= maxParse {
		return nil
	}
	for i := range filters { // only for a refusal: where they are
		filters[i].at = findString(text, filters[i].value, behindRegexpFilter)
	}
	cost = q.tokens
	cost.addRegexps(append(filters, q.compiled...))
	return cost.check(text)
}

// lineFilters are the strings of an expression that Loki compiles as filters of lines.
func lineFilters(e syntax.Expr) (filters []compiledString) {
	e.Walk(func(e syntax.Expr) bool {
		if f, ok := e.(*syntax.LineFilterExpr); ok && f.Op == "" && (f.Ty == log.LineMatchRegexp || f.Ty == log.LineMatchNotRegexp) {
			filters = append(filters, compiledString{value: f.Match, use: useLineFilter})
		}
		return true
	})
	return filters
}

// behindRegexpFilter is findString's for line filters: `|~`, `!~`, and the `or` that goes on with them.
func behindRegexpFilter(last, _ rune) bool { return last == '~' || last == syntax.Ident }
