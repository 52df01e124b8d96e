// Package tenant defines the name of a tenant.
//
// Guarantee: [Parse] accepts exactly the names of the grammar, 1 to 128 bytes of [A-Za-z0-9._-]. In such a name
// nothing is special to LogQL, to a URL or to a header's list.
//
// Not promised here: that a [Name] which was converted from other text is valid (package tenancy checks each before
// it becomes a matcher), that such a tenant exists, or that the name is valid as an organization of Loki's (package
// loki; "." and ".." are names here).
package tenant

import "fmt"

const (
	// MaxNames is how many tenants one caller may have.
	MaxNames = 64
	// MaxBytes is how long a name may be.
	MaxBytes = 128
)

// Grammar describes a valid name, for messages.
var Grammar = fmt.Sprintf("1 to %d bytes of [A-Za-z0-9._-]", MaxBytes)

// Any stands for every tenant where there is no list of names: in records and in counts. It is no valid name, and
// never becomes a matcher.
const Any Name = "*"

// Name is the name of a tenant.
type Name string

// Parse returns the text as a name, and false if it is not one.
func Parse(text string) (Name, bool) {
	name := Name(text)
	return name, name.Valid()
}

// Valid reports whether the name is one of the grammar.
func (n Name) Valid() bool {
	if n == "" || len(n) > MaxBytes {
		return false
	}
	for _, c := range []byte(n) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// Names returns the texts as names, unchecked.
func Names(texts []string) []Name {
	return convert[Name](texts)
}

// Texts returns the names as texts.
func Texts(names []Name) []string {
	return convert[string](names)
}

func convert[To, From ~string](from []From) []To {
	if from == nil {
		return nil
	}
	to := make([]To, len(from))
	for i, text := range from {
		to[i] = To(text)
	}
	return to
}
