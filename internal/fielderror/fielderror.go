// Package fielderror defines a mistake in one field of a configuration.
//
// Guarantee: every mistake of a joined error is found by [All] under the path of its field, so that the operator can
// be shown each under the name that the operator wrote.
package fielderror

import (
	"errors"
	"fmt"
	"strings"
)

// Error is one mistake.
type Error struct {
	// Field is the path of the field, such as `Issuers[0].Audience`; empty: the mistake is none of a field's.
	Field string
	// Problem is what is wrong and what to write instead.
	Problem error
}

// New returns a mistake in a field. The format is that of [fmt.Errorf].
func New(field, format string, args ...any) error {
	return &Error{Field: field, Problem: fmt.Errorf(format, args...)}
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Problem.Error()
	}
	return e.Field + ": " + e.Problem.Error()
}

// Unwrap returns the problem.
func (e *Error) Unwrap() error { return e.Problem }

// All takes a joined error apart, in its order. What is no [Error] becomes one without a field. Of nil there are none.
func All(err error) []*Error {
	switch e := err.(type) { //nolint:errorlint // an error around several is not looked through: its text would be lost
	case nil:
		return nil
	case *Error:
		return []*Error{e}
	case interface{ Unwrap() []error }:
		var all []*Error
		for _, part := range e.Unwrap() {
			all = append(all, All(part)...)
		}
		return all
	default:
		return []*Error{{Problem: err}}
	}
}

// Within returns the mistakes in a part of a configuration, as those of the field that holds the part; nil if err is.
// The part may be a list, whose fields are items such as `[2]`.
func Within(field string, err error) error {
	var within []error
	for _, e := range All(err) {
		path := field
		switch {
		case strings.HasPrefix(e.Field, "["):
			path += e.Field
		case e.Field != "":
			path += "." + e.Field
		}
		within = append(within, &Error{Field: path, Problem: e.Problem})
	}
	return errors.Join(within...)
}
