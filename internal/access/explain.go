package access

import (
	"fmt"
	"strings"

	"github.com/logfence/logfence/internal/tenant"
)

// Verdict is what became of one grant for one token, for operators.
type Verdict struct {
	Grant string
	// Applies reports whether the grant applies. Gives is what it then gives, and Why why it does not.
	Applies bool
	Gives   string
	Why     string
}

// Explain returns a verdict for each grant, in the file's order.
func (r *Rules) Explain(issuer string, claims map[string]any) []Verdict {
	iss, known := r.issuers[issuer]
	hits := r.match(claims)
	given := map[string]Choice{}
	if known {
		for _, c := range r.apply(iss, claims) {
			given[c.Names[0]] = c
		}
	}
	verdicts := make([]Verdict, 0, len(r.grants))
	for i := range r.grants {
		g := &r.grants[i]
		v := Verdict{Grant: g.Name}
		if c, ok := given[g.Name]; ok {
			v.Applies, v.Gives = true, c.String()
		} else {
			v.Why = r.whyNot(g, known, issuer, claims, hits)
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

func (r *Rules) whyNot(g *grant, known bool, issuer string, claims map[string]any, hits map[int][]tenant.Name) string {
	switch {
	case !known:
		return fmt.Sprintf("the issuer %q is not configured", issuer)
	case !g.appliesTo(issuer):
		return "it is for tokens of " + strings.Join(g.Issuers, " or ")
	}
	for _, id := range g.conditions {
		if _, holds := hits[id]; holds {
			continue
		}
		c := &r.conditions[id]
		path := r.claims[c.claim].path
		found, there := path.Lookup(claims)
		n := 0
		for range values(found) {
			n++
		}
		switch {
		case leftOut(path, claims):
			return fmt.Sprintf("the provider has left %s out of the token", c.Claim)
		case !there:
			return fmt.Sprintf("the token has no %s", c.Claim)
		case n == 0:
			return fmt.Sprintf("%s has no text, boolean or integer", c.Claim)
		default:
			return fmt.Sprintf("none of the %d values of %s matches", n, c.Claim)
		}
	}
	return "none of the tenants is one that the issuer may name"
}
