package tenancy

import (
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

// Narrowing is a selector that narrows scopes beside their tenants, as it stands in a grant: a conjunction of
// matchers. The zero Narrowing narrows nothing. Narrowings are compared and united here, where selectors are parsed;
// what becomes of one is its text, an extra of [Fence.Scope].
type Narrowing struct {
	matchers []part // sorted, each once
}

// part is one matcher. Of a regular expression that several matchers were united to, alternatives are theirs.
type part struct {
	*labels.Matcher

	alternatives []string // regular expressions; nil: the matcher is negative
}

// ParseNarrowing reads a selector with at least one matcher; "" is the zero Narrowing. Matchers on labels that begin
// with "__" are refused, which Loki does not match all of. The error is [ErrExtra].
func ParseNarrowing(text string) (Narrowing, error) {
	matchers, err := extraMatchers(text)
	if err != nil {
		return Narrowing{}, err
	}
	var n Narrowing
	for _, m := range matchers {
		n.matchers = append(n.matchers, newPart(m))
	}
	return n.sorted(), nil
}

func newPart(m *labels.Matcher) part {
	switch m.Type {
	case labels.MatchEqual:
		return part{Matcher: m, alternatives: []string{regexp.QuoteMeta(m.Value)}}
	case labels.MatchRegexp:
		return part{Matcher: m, alternatives: []string{m.Value}}
	default:
		return part{Matcher: m}
	}
}

func (n Narrowing) sorted() Narrowing {
	slices.SortFunc(n.matchers, func(a, b part) int { return strings.Compare(a.String(), b.String()) })
	n.matchers = slices.CompactFunc(n.matchers, same)
	return n
}

func same(a, b part) bool { return a.Type == b.Type && a.Name == b.Name && a.Value == b.Value }

// String is the selector, in one spelling for all of the same matchers; "" for the zero Narrowing.
func (n Narrowing) String() string {
	if len(n.matchers) == 0 {
		return ""
	}
	texts := make([]string, len(n.matchers))
	for i, m := range n.matchers {
		texts[i] = m.String()
	}
	return "{" + strings.Join(texts, ", ") + "}"
}

// Equal reports whether the two have the same matchers.
func (n Narrowing) Equal(other Narrowing) bool {
	return slices.EqualFunc(n.matchers, other.matchers, same)
}

// Contains reports whether every stream that other selects is one that n selects. It is true only where that follows
// from the matchers one by one; false proves nothing.
func (n Narrowing) Contains(other Narrowing) bool {
	for _, m := range n.matchers {
		if !slices.ContainsFunc(other.matchers, func(o part) bool { return o.implies(m) }) {
			return false
		}
	}
	return true
}

// implies reports whether every value that p matches is one that m matches.
func (p part) implies(m part) bool {
	switch {
	case p.Name != m.Name:
		return false
	case same(p, m):
		return true
	case p.Type == labels.MatchEqual:
		return m.Matches(p.Value)
	default:
		return p.alternatives != nil && m.Type == labels.MatchRegexp &&
			!slices.ContainsFunc(p.alternatives, func(a string) bool { return !slices.Contains(m.alternatives, a) })
	}
}

// Or is the selector of the streams of both, and false where no selector is known to be just that. There is one where
// the two differ in one matcher of the same label, both of them positive: `=~"(?:a)|(?:b)"`, each in a group of its
// own. Negative matchers are never united.
func (n Narrowing) Or(other Narrowing) (Narrowing, bool) {
	mine, theirs, ok := n.difference(other)
	if !ok || mine.Name != theirs.Name || mine.alternatives == nil || theirs.alternatives == nil {
		return Narrowing{}, false
	}
	united, ok := unite(mine, theirs)
	if !ok {
		return Narrowing{}, false
	}
	var both Narrowing
	for _, m := range n.matchers {
		if same(m, mine) {
			m = united
		}
		both.matchers = append(both.matchers, m)
	}
	return both.sorted(), true
}

// difference is the one matcher of each that the other does not have.
func (n Narrowing) difference(other Narrowing) (mine, theirs part, ok bool) {
	only := func(a, b []part) []part {
		return slices.DeleteFunc(slices.Clone(a), func(m part) bool {
			return slices.ContainsFunc(b, func(o part) bool { return same(m, o) })
		})
	}
	left, right := only(n.matchers, other.matchers), only(other.matchers, n.matchers)
	if len(left) != 1 || len(right) != 1 {
		return part{}, part{}, false
	}
	return left[0], right[0], true
}

// unite is the regular expression of both. There is none where its text would not be just that: an open quotation (\Q)
// would reach beyond its group; or where it costs more to compile than a selector may.
func unite(a, b part) (part, bool) {
	alternatives := slices.Clone(a.alternatives)
	for _, text := range b.alternatives {
		if !slices.Contains(alternatives, text) {
			alternatives = append(alternatives, text)
		}
	}
	groups := make([]string, len(alternatives))
	for i, text := range alternatives {
		if strings.Contains(text, `\Q`) {
			return part{}, false
		}
		groups[i] = "(?:" + text + ")"
	}
	value := strings.Join(groups, "|")
	if len(value) > maxUnitedBytes || priceRegexp(value, useMatcher) > maxParse {
		return part{}, false
	}
	m, err := labels.NewMatcher(labels.MatchRegexp, a.Name, value)
	return part{Matcher: m, alternatives: alternatives}, err == nil
}

// maxUnitedBytes bounds the expression of several grants: it stands in every selector of a query.
const maxUnitedBytes = 8 << 10
