package tenancy

import (
	"errors"
	"testing"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
)

// The tests of this file hold checks that no text is known to reach: each is there for a mistake of another step,
// or of Loki's parser.

// TestParseRefusesWhatParsersMustNotDo guarantees that a panic of Loki's parser, and a parser that returns neither an
// expression nor an error, are refusals.
func TestParseRefusesWhatParsersMustNotDo(t *testing.T) {
	t.Parallel()
	var unsupported *UnsupportedError
	for name, parser := range map[string]func(string) (syntax.Expr, error){
		"panic":   func(string) (syntax.Expr, error) { panic("no error") },
		"nothing": func(string) (syntax.Expr, error) { return nil, nil },
		"nil":     func(string) (syntax.Expr, error) { var e *syntax.MatchersExpr; return e, errors.New(e.Mts[0].Name) },
	} {
		if e, err := parse(`{a="b"}`, parser); e != nil || !errors.As(err, &unsupported) {
			t.Errorf("%s: %v, %v, want UnsupportedError", name, e, err)
		}
	}
}

// TestRefuseFenced guarantees that a fenced text that does not parse is a failed proof, unless Loki's validation, whose
// messages have no position, refuses what the caller wrote.
func TestRefuseFenced(t *testing.T) {
	t.Parallel()
	var unsupported *UnsupportedError
	validation := &InvalidError{Message: "too wide"}
	if err := refuseFenced(validation); !errors.Is(err, validation) {
		t.Errorf("validation: %v", err)
	}
	for _, err := range []error{&InvalidError{Message: "unexpected }", Line: 1, Column: 3}, errors.New("another")} {
		if got := refuseFenced(err); !errors.As(got, &unsupported) || unsupported.Reason != unproven {
			t.Errorf("%v: %v, want UnsupportedError", err, got)
		}
	}
}

// TestCheckPatterns guarantees that the check after the proof refuses by itself what [prefix.forPatterns] is to
// prevent.
func TestCheckPatterns(t *testing.T) {
	t.Parallel()
	for text, allowed := range map[string]bool{
		`{tenant_id="acme"}`:                                         true,
		`{tenant_id="acme",service_name="web"}`:                      true,
		`{service_name=~".+",tenant_id="acme",service_name="a\"b"}`:  true,
		`{tenant_id="acme",service_name="a\"b"}`:                     false,
		`{tenant_id="acme",service_name="a\"b",service_name=~".+"}`:  false,
		`{tenant_id="acme",app="x",service_name!~"a\\.b"}`:           false,
		`{tenant_id="acme",service_name="web"} |= "x"`:               false,
		`count_over_time({tenant_id="acme",service_name="web"}[1m])`: false,
	} {
		e, err := syntax.ParseExpr(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkPatterns(e); (err == nil) != allowed {
			t.Errorf("%s: %v", text, err)
		}
	}
}
