package tenancy

import (
	"errors"
	"strings"

	"github.com/grafana/loki/v3/pkg/logql/log"
	"github.com/grafana/loki/v3/pkg/logql/syntax"
	gsyntax "github.com/grafana/regexp/syntax"
)

// RefusedLaterError is a mistake that Loki's parser takes, and for which Loki refuses the query when it runs it.
type RefusedLaterError struct {
	// Message is in Loki's words.
	Message string
	// Line and Column are where in the caller's text, from 1 and in characters; 0 where that is not known.
	Line, Column int
}

func (e *RefusedLaterError) Error() string { return "refused by Loki later: " + e.Message }

// maxStages bounds how many stages of a query are compiled for an explanation.
const maxStages = 500

// stageError is what is wrong with a stage, and the string that causes it: its value, and what is before it.
type stageError struct {
	error

	value  string
	behind func(last, before rune) bool
}

// checkStages compiles the stages of a query as Loki does when it runs it: line filters, filters of labels, and templates. What
// that costs has been priced by [scan.checkLater] and checkTemplates, and the text's length bounds the rest. The error is a
// [*RefusedLaterError].
func checkStages(text string, original syntax.Expr) error {
	var refused *stageError
	n := 0
	original.Walk(func(e syntax.Expr) bool {
		if stage, ok := e.(syntax.StageExpr); ok && n < maxStages && refused == nil {
			n++
			refused = compile(stage)
		}
		return refused == nil
	})
	if refused == nil {
		return nil
	}
	err := &RefusedLaterError{Message: refused.Error()}
	if refused.behind != nil {
		if at := findString(text, refused.value, refused.behind); at >= 0 {
			err.Line, err.Column = positionOf(text, at)
		}
	}
	return err
}

// compile compiles a stage alone. A panic is Loki's to have: the query is then neither refused nor called wrong.
func compile(stage syntax.StageExpr) (refused *stageError) {
	defer func() {
		if recover() != nil {
			refused = nil
		}
	}()
	switch e := stage.(type) {
	case *syntax.LineFilterExpr:
		return compileLineFilter(e)
	case *syntax.JSONExpressionParserExpr, *syntax.LogfmtExpressionParserExpr:
		return nil // Loki's parsers of these write their mistakes to standard output
	case *syntax.LabelFmtExpr:
		for _, x := range e.Formats {
			if _, err := log.NewLabelsFormatter([]log.LabelFmt{x}); err != nil {
				return &stageError{err, x.Value, behindAssignment}
			}
		}
	}
	if _, err := stage.Stage(); err != nil {
		return locate(stage, err)
	}
	return nil
}

// compileLineFilter compiles one filter of lines; Walk passes those beside it. Loki takes the text of ip() in a chain of
// `or` as it stands.
func compileLineFilter(e *syntax.LineFilterExpr) *stageError {
	alone, behind := e.LineFilter, behindRegexpFilter
	switch {
	case e.Or != nil || e.IsOrChild:
		alone.Op = ""
	case e.Op == syntax.OpFilterIP:
		behind = behindCall
	}
	if e.Ty == log.LineMatchPattern || e.Ty == log.LineMatchNotPattern {
		behind = behindPatternFilter
	}
	if _, err := (&syntax.LineFilterExpr{LineFilter: alone}).Filter(); err != nil {
		return &stageError{err, e.Match, behind}
	}
	return nil
}

// locate says which string of a stage an error is about.
func locate(stage syntax.StageExpr, err error) *stageError {
	switch e := stage.(type) {
	case *syntax.LabelFilterExpr:
		if ip, ok := e.LabelFilterer.(*log.IPLabelFilter); ok {
			return &stageError{err, ip.Pattern, behindCall}
		}
	case *syntax.LineFmtExpr:
		return &stageError{err, e.Value, behindTemplate}
	}
	return &stageError{error: err}
}

// Of findString, for the strings of stages.
func behindAssignment(last, _ rune) bool    { return last == '=' }
func behindCall(last, _ rune) bool          { return last == '(' }
func behindPatternFilter(last, _ rune) bool { return last == '>' || last == syntax.Ident }

// located adds its place to an error about a regular expression: Loki's parser reports none.
func located(text string, err error) error {
	var invalid *InvalidError
	if !errors.As(err, &invalid) || invalid.Line > 0 || !strings.Contains(invalid.Message, "error parsing regexp: ") {
		return err
	}
	seen, scanErr := scanQuery(text)
	if scanErr != nil {
		return err
	}
	for _, s := range seen.compiled {
		if _, wrong := gsyntax.Parse(s.value, gsyntax.Perl); wrong != nil {
			at := *invalid
			at.Line, at.Column = positionOf(text, s.at)
			return &at
		}
	}
	return err
}
