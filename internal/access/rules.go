package access

import (
	"regexp"
	"slices"
	"strings"

	"github.com/logfence/logfence/internal/claimpath"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// Rules are the grants of a valid file, prepared for matching. They are safe for use by many goroutines.
type Rules struct {
	generation string
	issuers    map[string]Issuer
	grants     []grant
	conditions []condition
	claims     []claim
	byPath     map[string]int // of claims
}

// grant is a grant that has been validated.
type grant struct {
	Grant

	issuers    map[string]bool // nil: every configured one
	conditions []int           // of Rules.conditions
	narrowing  tenancy.Narrowing
}

// condition is a condition of a grant.
type condition struct {
	Condition

	grant   int
	claim   int            // of Rules.claims
	pattern *regexp.Regexp // anchored; nil: no pattern
	group   int            // of the tenant in the pattern; below 0: the grant's tenants are not from it
}

// claim is a claim that conditions read, with the conditions by what a value may be: a token with hundreds of groups
// is compared with thousands of grants.
type claim struct {
	path  claimpath.Path
	exact map[string][]int // conditions, by a complete value
	// prefixed are the other values and patterns, by the text that a value has to begin with; lengths are those of the
	// texts, each once.
	prefixed map[string][]matcher
	lengths  []int
}

// matcher is a value with `*`, or the pattern of the condition.
type matcher struct {
	condition int
	value     string // empty: the pattern
}

// New makes rules of grants, or reports every mistake in them, each as a [fielderror.Error] of the path that it has in
// the file, such as `grants[3].selector`.
func New(grants []Grant, c Config) (*Rules, error) {
	v := validator{config: c, rules: &Rules{generation: c.Generation, issuers: map[string]Issuer{}, byPath: map[string]int{}}}
	for _, iss := range c.Issuers {
		v.rules.issuers[iss.Name] = iss
	}
	v.check(grants)
	if err := v.err(); err != nil {
		return nil, err
	}
	return v.rules, nil
}

// Generation names the content of the file that the rules are of.
func (r *Rules) Generation() string { return r.generation }

// Len is how many grants there are.
func (r *Rules) Len() int { return len(r.grants) }

// Classes are the classes of the limits file that the grants name, sorted.
func (r *Rules) Classes() []string {
	var classes []string
	for _, g := range r.grants {
		if g.Limits != "" {
			classes = append(classes, g.Limits)
		}
	}
	slices.Sort(classes)
	return slices.Compact(classes)
}

// Grants are the grants, in the file's order.
func (r *Rules) Grants() []Grant {
	all := make([]Grant, len(r.grants))
	for i, g := range r.grants {
		all[i] = g.Grant
	}
	return all
}

// add indexes a condition that is valid.
func (r *Rules) add(c condition, path claimpath.Path) int {
	at, known := r.byPath[path.String()]
	if !known {
		at = len(r.claims)
		r.byPath[path.String()] = at
		r.claims = append(r.claims, claim{path: path, exact: map[string][]int{}, prefixed: map[string][]matcher{}})
	}
	id, of := len(r.conditions), &r.claims[at]
	c.claim = at
	r.conditions = append(r.conditions, c)
	for _, value := range c.Values {
		if prefix, _, wild := strings.Cut(value, "*"); wild {
			of.addMatcher(prefix, matcher{condition: id, value: value})
		} else {
			of.exact[value] = append(of.exact[value], id)
		}
	}
	for value := range c.Map {
		of.exact[value] = append(of.exact[value], id)
	}
	if c.pattern != nil {
		prefix := ""
		if alone, err := regexp.Compile(c.Pattern); err == nil {
			prefix, _ = alone.LiteralPrefix() // of every match, and so of a value that is one
		}
		of.addMatcher(prefix, matcher{condition: id})
	}
	return id
}

func (c *claim) addMatcher(prefix string, m matcher) {
	c.prefixed[prefix] = append(c.prefixed[prefix], m)
	if !slices.Contains(c.lengths, len(prefix)) {
		c.lengths = append(c.lengths, len(prefix))
	}
}

// appliesTo reports whether the grant is for tokens of the issuer, which is a configured one.
func (g *grant) appliesTo(issuer string) bool { return g.issuers == nil || g.issuers[issuer] }

// mayName reports whether tokens of the issuer may be given the tenant.
func (i Issuer) mayName(name tenant.Name) bool { return i.MayName == nil || i.MayName(name) }
