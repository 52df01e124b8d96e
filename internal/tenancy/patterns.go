package tenancy

import (
	"errors"
	"slices"
	"strconv"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/logfence/logfence/internal/tenant"
)

// serviceLabel is the label whose value Loki prints without quoting it; see [PatternSelector].
const serviceLabel = "service_name"

// anyService selects the streams that have a service name. Its value is printed as it stands.
var anyService = labels.MustNewMatcher(labels.MatchRegexp, serviceLabel, ".+")

// PatternSelector is a stream selector for Loki's patterns endpoint that carries the matchers of the
// [Scope] that made it. Only [Scope.PatternSelector] makes one; the zero PatternSelector must be refused.
//
// It is a type of its own since Loki makes a query of its own from this selector. Where patterns are
// persisted, Loki 3.7.8 (GetSampleQuery in pkg/logproto/extensions.go) takes the first matcher on
// service_name out of the selector and prints its value between quotation marks without escaping it, as
// the selector of that query. The other matchers, the scope's among them, become label filters, which are
// escaped. A value with a quotation mark would therefore end the string and continue as LogQL of its own.
//
// Guarantee: the first matcher on service_name, where there is one, has a value that escaping does not
// change, and is not the scope's. Otherwise the fence puts service_name=~".+" first, and streams without a
// service name are then left out.
type PatternSelector struct {
	logql   string
	tenants string // as in [Scope.joined]
}

// LogQL is the fenced text, to be sent to Loki as it is; empty for the zero PatternSelector.
func (s PatternSelector) LogQL() string { return s.logql }

// Tenants are the tenants of the scope that made the selector, sorted; none for the zero PatternSelector.
func (s PatternSelector) Tenants() []tenant.Name { return tenant.Names(split(s.tenants)) }

// PatternSelector fences a bare stream selector for Loki's patterns endpoint; the empty text is every
// stream in the scope. The errors are those of [Scope.Selector].
func (s Scope) PatternSelector(text string) (PatternSelector, error) {
	if s.fence == nil {
		return PatternSelector{}, ErrScope
	}
	if text == "" {
		text = "{}"
	}
	f, err := s.fenceText(text, wantPatterns)
	if err != nil {
		return PatternSelector{}, err
	}
	return PatternSelector{logql: f.query.logql, tenants: s.joined}, nil
}

// forPatterns is the prefix with service_name=~".+" before it, where Loki would otherwise print the
// value of a matcher that is not to be printed: one of the scope's, or one of the original that needs escaping.
func (p prefix) forPatterns(original syntax.Expr) (prefix, error) {
	own, ok := original.(*syntax.MatchersExpr)
	if !ok {
		return prefix{}, ErrNotSelector
	}
	if !slices.ContainsFunc(p.matchers, isService) && printsUnchanged(own.Mts) {
		return p, nil
	}
	return prefix{
		text:     anyService.String() + "," + p.text,
		matchers: append([]*labels.Matcher{anyService}, p.matchers...),
	}, nil
}

// checkPatterns repeats the guarantee of [PatternSelector] on the fenced expression, after its proof.
func checkPatterns(result syntax.Expr) error {
	m, ok := result.(*syntax.MatchersExpr)
	if !ok {
		return errors.New("a selector for patterns became something else")
	}
	if !printsUnchanged(m.Mts) {
		return errors.New("the first matcher on " + serviceLabel + " would not be printed unchanged")
	}
	return nil
}

// printsUnchanged reports whether the value of the first matcher on service_name is the same with
// and without escaping. No such matcher has nothing to print.
func printsUnchanged(ms []*labels.Matcher) bool {
	first := slices.IndexFunc(ms, isService)
	return first < 0 || strconv.Quote(ms[first].Value) == `"`+ms[first].Value+`"`
}

func isService(m *labels.Matcher) bool { return m.Name == serviceLabel }
