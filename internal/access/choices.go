package access

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// Choice is what a caller reads with one choice of a grant: one scope, of all the grants that make it.
type Choice struct {
	// Names are those of its grants, in the file's order.
	Names []string
	// Tenants are the tenants, sorted and without repetition; none where it is of Any tenant.
	Tenants []tenant.Name
	Any     bool
	// Selector narrows it.
	Selector tenancy.Narrowing
	// Limits is the class of limits; empty: the tenants' own.
	Limits string
	// Default says that one of its grants is the caller's default.
	Default bool

	order int // of its first grant in the file
}

// Choices are all that a token is given. The zero Choices gives nothing.
type Choices struct {
	all        []Choice
	generation string
}

// AmbiguousError means that a caller has several choices, and has made none.
type AmbiguousError struct {
	Names []string // of the caller's grants
}

func (e *AmbiguousError) Error() string {
	return "several grants apply: " + strings.Join(e.Names, ", ")
}

// All are the choices, in the file's order. The caller must not change them.
func (c Choices) All() []Choice { return c.all }

// Generation names the content of the file that they are of.
func (c Choices) Generation() string { return c.generation }

// IsZero reports whether there are none: they were made by no [Rules.Resolve].
func (c Choices) IsZero() bool { return len(c.all) == 0 }

// Equal reports whether both give the same.
func (c Choices) Equal(other Choices) bool {
	return c.generation == other.generation && slices.EqualFunc(c.all, other.all, func(a, b Choice) bool {
		return slices.Equal(a.Names, b.Names) && a.Default == b.Default && a.String() == b.String()
	})
}

// Names are the names of all grants in the choices.
func (c Choices) Names() []string {
	var names []string
	for _, choice := range c.all {
		names = append(names, choice.Names...)
	}
	return names
}

// Choose returns the choice with the grant of that name. Without a name it is the only one, or the only default. The
// errors are [ErrNotYours], which does not reveal whether there is such a grant, [*AmbiguousError] and [*TooManyError].
func (c Choices) Choose(name string, named bool) (Choice, error) {
	choice, err := c.pick(name, named)
	if err == nil && len(choice.Tenants) > tenant.MaxNames {
		err = &TooManyError{What: "tenants", Count: len(choice.Tenants), Limit: tenant.MaxNames}
	}
	return choice, err
}

func (c Choices) pick(name string, named bool) (Choice, error) {
	if named {
		for _, choice := range c.all {
			if slices.Contains(choice.Names, name) {
				return choice, nil
			}
		}
		return Choice{}, ErrNotYours
	}
	if len(c.all) == 1 {
		return c.all[0], nil
	}
	var found []Choice
	for _, choice := range c.all {
		if choice.Default {
			found = append(found, choice)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return Choice{}, &AmbiguousError{Names: c.Names()}
}

// merge makes as few choices of grants as there are scopes that are exactly theirs. It takes them in the file's order,
// so that a grant which is added at the end of the file takes nothing from the choices that there were.
func merge(applied []Choice) []Choice {
	var all []Choice
	for _, c := range applied {
		for i := 0; i < len(all); {
			united, ok := unite(all[i], c)
			if !ok {
				i++
				continue
			}
			all = slices.Delete(all, i, i+1)
			c, i = united, 0 // it is wider now, and may unite with an earlier one
		}
		all = append(all, c)
	}
	place := map[string]int{}
	for _, c := range applied {
		place[c.Names[0]] = c.order
	}
	for _, c := range all {
		slices.SortFunc(c.Names, func(a, b string) int { return cmp.Compare(place[a], place[b]) })
	}
	slices.SortFunc(all, func(a, b Choice) int { return cmp.Compare(a.order, b.order) })
	return all
}

// unite returns the one choice that reaches the streams of both and no other, and false where none is known to. Both
// are of one token, and so of one issuer.
func unite(a, b Choice) (Choice, bool) {
	if a.Limits != b.Limits {
		return Choice{}, false
	}
	both := a
	switch {
	case a.Contains(b):
	case b.Contains(a):
		both = b
	case a.Selector.Equal(b.Selector):
		both.Tenants = slices.Compact(slices.Sorted(slices.Values(slices.Concat(a.Tenants, b.Tenants))))
	case a.Any == b.Any && slices.Equal(a.Tenants, b.Tenants):
		selector, ok := a.Selector.Or(b.Selector)
		if !ok {
			return Choice{}, false
		}
		both.Selector = selector
	default:
		return Choice{}, false
	}
	both.Default, both.order = a.Default || b.Default, min(a.order, b.order)
	both.Names = slices.Concat(a.Names, b.Names)
	return both, true
}

// Contains reports whether every stream that other reaches is one that c reaches. False proves nothing.
func (c Choice) Contains(other Choice) bool {
	return (c.Any || !other.Any && isSubset(other.Tenants, c.Tenants)) && c.Selector.Contains(other.Selector)
}

// isSubset reports whether each of the names is among the others; both are sorted.
func isSubset(names, of []tenant.Name) bool {
	for _, name := range names {
		if _, found := slices.BinarySearch(of, name); !found {
			return false
		}
	}
	return true
}

// String describes the choice for operators.
func (c Choice) String() string {
	whose := TextAny
	if !c.Any {
		whose = strings.Join(tenant.Texts(c.Tenants), ",")
	}
	if selector := c.Selector.String(); selector != "" {
		whose += " " + selector
	}
	if c.Limits != "" {
		whose += fmt.Sprintf(" (limits: %s)", c.Limits)
	}
	return whose
}
