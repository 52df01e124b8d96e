package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/logfence/logfence/internal/claimpath"
	"github.com/logfence/logfence/internal/tenant"
)

// The errors of the package. Their texts are for the log.
var (
	// ErrNone means that no grant applies to the token.
	ErrNone = errors.New("no grant applies")
	// ErrLeftOut means that no grant applies, and that the provider has left out a claim that grants read, since it would
	// be too long.
	ErrLeftOut = errors.New("the provider has left a claim out of the token")
	// ErrNotYours means that the caller has chosen a grant that does not apply to the token, or does not exist.
	ErrNotYours = errors.New("not a grant of the token")
)

// TooManyError means that a token is given more than is taken. Nothing is left out of it: what would be, is a guess.
type TooManyError struct {
	What         string // grants or tenants
	Count, Limit int
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("the token is given %d %s; at most %d are taken", e.Count, e.What, e.Limit)
}

// Resolve returns what a token of the issuer with these claims is given. Its errors are [ErrNone], [ErrLeftOut] and
// [*TooManyError].
func (r *Rules) Resolve(issuer string, claims map[string]any) (Choices, error) {
	iss, known := r.issuers[issuer]
	if !known { // package auth has accepted the token, so this is a fault; unknown means refused
		return Choices{}, fmt.Errorf("%w: the issuer %q is not known", ErrNone, issuer)
	}
	applied := r.apply(iss, claims)
	switch {
	case len(applied) > MaxApplied:
		return Choices{}, &TooManyError{What: "grants", Count: len(applied), Limit: MaxApplied}
	case len(applied) > 0:
		return Choices{all: merge(applied), generation: r.generation}, nil
	}
	for _, c := range r.claims {
		if leftOut(c.path, claims) {
			return Choices{}, fmt.Errorf("%w: %s; assign fewer groups to the application, or use roles", ErrLeftOut, c.path)
		}
	}
	return Choices{}, ErrNone
}

// apply returns the grants that apply, in the file's order, each by itself.
func (r *Rules) apply(iss Issuer, claims map[string]any) []Choice {
	hits := r.match(claims)
	count := map[int]int{} // conditions that hold, by grant
	for id := range hits {
		count[r.conditions[id].grant]++
	}
	var applied []Choice
	for at, n := range count {
		g := &r.grants[at]
		if n != len(g.conditions) || !g.appliesTo(iss.Name) {
			continue
		}
		c := Choice{Names: []string{g.Name}, Selector: g.narrowing, Limits: g.Limits, Default: g.Default, order: at}
		if c.Any = g.Source == SourceAny; !c.Any {
			if c.Tenants = g.tenants(iss, hits); len(c.Tenants) == 0 {
				continue
			}
		}
		applied = append(applied, c)
	}
	slices.SortFunc(applied, func(a, b Choice) int { return a.order - b.order })
	return applied
}

// tenants are the tenants of a grant that applies: those that the issuer may name, sorted.
func (g *grant) tenants(iss Issuer, hits map[int][]tenant.Name) []tenant.Name {
	names := slices.Clone(g.Tenants)
	if g.Source != SourceList {
		for _, id := range g.conditions {
			names = append(names, hits[id]...)
		}
	}
	names = slices.DeleteFunc(names, func(name tenant.Name) bool { return !iss.mayName(name) })
	slices.Sort(names)
	return slices.Compact(names)
}

// match returns the conditions that hold, each with the tenants that its values name.
func (r *Rules) match(claims map[string]any) map[int][]tenant.Name {
	hits := map[int][]tenant.Name{}
	for i := range r.claims {
		c := &r.claims[i]
		found, ok := c.path.Lookup(claims)
		if !ok {
			continue
		}
		for value := range values(found) {
			for _, id := range c.exact[value] {
				hits[id] = append(hits[id], r.conditions[id].Map[value]...)
			}
			for _, n := range c.lengths {
				if n > len(value) {
					continue
				}
				for _, m := range c.prefixed[value[:n]] {
					if name, ok := r.holds(m, value); ok {
						hits[m.condition] = append(hits[m.condition], name...)
					}
				}
			}
		}
	}
	return hits
}

// holds reports whether a value matches, and the tenant that it names.
func (r *Rules) holds(m matcher, value string) ([]tenant.Name, bool) {
	if m.value != "" {
		return nil, matchesWildcard(m.value, value)
	}
	c := &r.conditions[m.condition]
	if c.group < 0 {
		return nil, c.pattern.MatchString(value)
	}
	found := c.pattern.FindStringSubmatchIndex(value)
	if found == nil || found[2*c.group] < 0 {
		return nil, false
	}
	name, ok := tenant.Parse(value[found[2*c.group]:found[2*c.group+1]])
	return []tenant.Name{name}, ok
}

// values are the texts of a claim's values, up to [MaxClaimValues].
func values(claim any) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		items, ok := claim.([]any)
		if !ok {
			items = []any{claim}
		}
		for _, item := range items[:min(len(items), MaxClaimValues)] {
			if text, ok := valueText(item); ok && !yield(text) {
				return
			}
		}
	}
}

// valueText is the text of a string, or the JSON text of a boolean or an integer. Other numbers have several texts.
func valueText(value any) (string, bool) {
	switch value := value.(type) {
	case string:
		return value, true
	case bool:
		return strconv.FormatBool(value), true
	case json.Number:
		digits := strings.TrimPrefix(value.String(), "-")
		return value.String(), digits != "" && strings.Trim(digits, "0123456789") == ""
	default:
		return "", false
	}
}

// matchesWildcard reports whether the text is the pattern with any characters in place of each `*`.
func matchesWildcard(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	first, last := parts[0], parts[len(parts)-1]
	if len(text) < len(first)+len(last) || !strings.HasPrefix(text, first) || !strings.HasSuffix(text, last) {
		return false
	}
	rest := text[len(first) : len(text)-len(last)]
	for _, part := range parts[1 : len(parts)-1] { // the earliest place of each leaves most for the others
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return true
}

// leftOut reports whether the provider says that it has left the claim out: Entra ID does with more than 200 groups.
// https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference#groups-overage-claim
func leftOut(path claimpath.Path, claims map[string]any) bool {
	if _, there := claims[path[0]]; there {
		return false
	}
	sources, _ := claims["_claim_names"].(map[string]any)
	_, named := sources[path[0]]
	return named || path[0] == "groups" && claims["hasgroups"] != nil
}
