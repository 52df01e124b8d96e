package tenancy

import (
	"errors"
	"fmt"
)

// The errors of the package. Each is one kind of refusal, with a problem of its own in the API;
// there is no outcome but these and a fenced value.
var (
	// ErrTenant means that a scope was requested with no tenant, too many, or an unfit name.
	ErrTenant = errors.New("unfit tenant")
	// ErrExtra means that the selector of a token's claim is none.
	ErrExtra = errors.New("unfit selector in the token")
	// ErrScope means that the zero [Scope] was used.
	ErrScope = errors.New("no scope")
	// ErrTooLong means that a text is longer than [MaxQueryBytes].
	ErrTooLong = errors.New("query is too long")
	// ErrNotSelector means that a bare stream selector was wanted and the text is something else.
	ErrNotSelector = errors.New("only a stream selector is taken here, without a pipeline or function")
)

// InvalidError is LogQL that Loki's parser refuses.
type InvalidError struct {
	// Message is the parser's own, without its position.
	Message string
	// Line and Column are where in the caller's text, from 1 and in characters; 0 where the parser
	// does not say.
	Line, Column int
}

func (e *InvalidError) Error() string {
	if e.Line == 0 {
		return "invalid query: " + e.Message
	}
	return fmt.Sprintf("invalid query at line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// TooComplexError is a text that would cost too much: to parse here, or in Loki.
type TooComplexError struct {
	// What is expensive, or is counted, as the caller would say it.
	What string
	// Limit is how much of it is taken; 0 where it is weighed with the rest of the text.
	Limit int
	// Instead is what to write instead; empty where that is to write less of it.
	Instead string
	// Line and Column are where the most expensive of it is, or the first that is one too many, from 1 and in
	// characters; 0 where it is not in one place.
	Line, Column int
}

func (e *TooComplexError) Error() string {
	message := "query is too complex: "
	if e.Limit == 0 {
		message += e.What
	} else {
		message += fmt.Sprintf("more than %d %s", e.Limit, e.What)
	}
	switch {
	case e.Line == 0:
	case e.Limit > 0:
		message += fmt.Sprintf(" (one too many at line %d, column %d)", e.Line, e.Column)
	default:
		message += fmt.Sprintf(" (the most expensive at line %d, column %d)", e.Line, e.Column)
	}
	if e.Instead != "" {
		message += "; " + e.Instead
	}
	return message
}

// UnsupportedError is LogQL that could not be proven to be confined: a construct that the fence
// does not know, or one that did not come through unchanged. Reason is fit for the caller; a
// refusal without one is a bug of ours or of Loki's lexer, and wants to be looked into.
type UnsupportedError struct {
	Reason string
	// Proof is what the proof found, for the log; empty where the construct is simply not supported.
	Proof string
	// Line and Column are where the construct is, from 1 and in characters; 0 where that is not known.
	Line, Column int
}

// Unproven tells a proof that failed, which no query should be able to bring about, from a construct that
// is simply not known.
func (e *UnsupportedError) Unproven() bool { return e.Reason == unproven }

func (e *UnsupportedError) Error() string {
	if e.Proof == "" {
		return "unsupported query: " + e.Reason
	}
	return "unsupported query: " + e.Reason + " (" + e.Proof + ")"
}
