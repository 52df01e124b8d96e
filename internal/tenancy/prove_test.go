package tenancy

import (
	"errors"
	"strings"
	"testing"

	"github.com/grafana/loki/v3/pkg/logql/syntax"

	"github.com/logfence/logfence/internal/bench/costly"
)

// TestProveRefuses guarantees that the proof finds every kind of mistake that the steps before it
// might make: a selector missed, a matcher lost or changed, a meaning changed.
func TestProveRefuses(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	const tenant = `tenant_id="acme"`
	for _, tt := range []struct{ name, original, fenced string }{
		{"not fenced at all", `{a="b"}`, `{a="b"}`},
		{"right leg left out", `rate({a="b"}[1m])/rate({c="d"}[1m])`, `rate({tenant_id="acme",a="b"}[1m])/rate({c="d"}[1m])`},
		{"left leg left out", `rate({a="b"}[1m])/rate({c="d"}[1m])`, `rate({a="b"}[1m])/rate({tenant_id="acme",c="d"}[1m])`},
		{"under label_replace left out", `label_replace(rate({a="b"}[1m]),"a","b","c","d")`, `label_replace(rate({a="b"}[1m]),"a","b","c","d")`},
		{"another tenant", `{a="b"}`, `{tenant_id="globex",a="b"}`},
		{"another label", `{a="b"}`, `{tenant="acme",a="b"}`},
		{"another operator", `{a="b"}`, `{tenant_id!="acme",a="b"}`},
		{"regular expression", `{a="b"}`, `{tenant_id=~"acme",a="b"}`},
		{"behind, not before", `{a="b"}`, `{a="b",tenant_id="acme"}`},
		{"caller's matcher lost", `{a="b",c="d"}`, `{tenant_id="acme",a="b"}`},
		{"caller's matcher changed", `{a="b"}`, `{tenant_id="acme",a="c"}`},
		{"caller's matcher taken for the fence's", `{tenant_id="acme",a="b"}`, `{tenant_id="acme",a="b"}`},
		{"more than the fence's", `{a="b"}`, `{tenant_id="acme",x="y",a="b"}`},
		{"filter lost", `{a="b"} |= "x"`, `{tenant_id="acme",a="b"}`},
		{"filter changed", `{a="b"} |= "x"`, `{tenant_id="acme",a="b"} |= "y"`},
		{"filter turned", `{a="b"} |= "x"`, `{tenant_id="acme",a="b"} != "x"`},
		{"drop changed", `{a="b"} | drop x`, `{tenant_id="acme",a="b"} | drop y`},
		{"drop's matcher changed", `{a="b"} | drop x="1"`, `{tenant_id="acme",a="b"} | drop x="2"`},
		{"keep changed", `{a="b"} | keep x`, `{tenant_id="acme",a="b"} | keep x,y`},
		{"label filter changed", `{a="b"} | x="1"`, `{tenant_id="acme",a="b"} | x="2"`},
		{"label filter's number changed", `{a="b"} | x>1`, `{tenant_id="acme",a="b"} | x>2`},
		{"unit changed", `{a="b"} | x>20KiB`, `{tenant_id="acme",a="b"} | x>20kB`},
		{"ip changed", `{a="b"} | x=ip("::1")`, `{tenant_id="acme",a="b"} | x=ip("::2")`},
		{"range changed", `rate({a="b"}[1m])`, `rate({tenant_id="acme",a="b"}[2m])`},
		{"offset lost", `rate({a="b"}[1m] offset 1h)`, `rate({tenant_id="acme",a="b"}[1m])`},
		{"unwrap lost", `max_over_time({a="b"}|unwrap x[1m])`, `rate({tenant_id="acme",a="b"}[1m])`},
		{"grouping changed", `sum by (x) (rate({a="b"}[1m]))`, `sum without (x) (rate({tenant_id="acme",a="b"}[1m]))`},
		{"operation changed", `sum(rate({a="b"}[1m]))`, `max(rate({tenant_id="acme",a="b"}[1m]))`},
		{"matching changed", `rate({a="b"}[1m])/on(x)rate({a="b"}[1m])`, `rate({tenant_id="acme",a="b"}[1m])/ignoring(x)rate({tenant_id="acme",a="b"}[1m])`},
		{"bool lost", `rate({a="b"}[1m])>bool 1`, `rate({tenant_id="acme",a="b"}[1m])>1`},
		{"precision lost", `vector(0.1234567)`, `vector(0.123457)`},
		{"selector came from nowhere", `vector(1)`, `rate({tenant_id="acme"}[1m])`},
		{"replacement changed", `label_replace(vector(1),"a","b","c","d")`, `label_replace(vector(1),"a","b","c","e")`},
		{"template changed", `{a="b"} | line_format "x"`, `{tenant_id="acme",a="b"} | line_format "y"`},
		{"parser changed", `{a="b"} | json`, `{tenant_id="acme",a="b"} | logfmt`},
		{"flag lost", `{a="b"} | logfmt --strict`, `{tenant_id="acme",a="b"} | logfmt`},
		{"extraction changed", `{a="b"} | json x="y"`, `{tenant_id="acme",a="b"} | json x="z"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			original, err := syntax.ParseExprWithoutValidation(tt.original)
			if err != nil {
				t.Fatal(err)
			}
			fenced, err := syntax.ParseExpr(tt.fenced)
			if err != nil {
				t.Fatal(err)
			}
			if err := prove(original, fenced, s.plain.matchers, strings.Count(tt.original, "{")); err == nil {
				t.Errorf("%s passed as %s fenced by %s", tt.fenced, tt.original, tenant)
			}
		})
	}
}

// TestProveCountsBraces guarantees that a brace which the parser did not take for a selector is
// noticed, and the reverse.
func TestProveCountsBraces(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	original, err := syntax.ParseExpr(`{a="b"}`)
	if err != nil {
		t.Fatal(err)
	}
	fenced, err := syntax.ParseExpr(`{tenant_id="acme",a="b"}`)
	if err != nil {
		t.Fatal(err)
	}
	for braces, want := range map[int]bool{0: false, 1: true, 2: false} {
		if err := prove(original, fenced, s.plain.matchers, braces); (err == nil) != want {
			t.Errorf("%d braces: %v", braces, err)
		}
	}
}

// TestExplain guarantees that the parts told are the caller's own, where the caller wrote them.
func TestExplain(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	e, err := s.Explain("sum(rate({app=\"ü\"}[1m])) /\n # note {\n sum(rate({env!~\"x|y\"} | json [1m]))")
	if err != nil {
		t.Fatal(err)
	}
	if e.Query.Kind() != KindMetrics || !strings.Contains(e.Query.LogQL(), `{tenant_id="acme",env!~"x|y"}`) {
		t.Errorf("fenced: %v %s", e.Query.Kind(), e.Query.LogQL())
	}
	want := []SelectorPart{
		{Text: `{app="ü"}`, Line: 1, Column: 10, Matchers: []Matcher{{"app", "=", "ü"}}},
		{Text: `{env!~"x|y"}`, Line: 3, Column: 11, Matchers: []Matcher{{"env", "!~", "x|y"}}},
	}
	if len(e.Selectors) != len(want) {
		t.Fatalf("selectors: %+v", e.Selectors)
	}
	for i, w := range want {
		g := e.Selectors[i]
		if g.Text != w.Text || g.Line != w.Line || g.Column != w.Column || g.Matchers[0] != w.Matchers[0] {
			t.Errorf("selector %d: %+v, want %+v", i, g, w)
		}
	}
}

// TestFormat guarantees that formatting is bounded like fencing, and never adds the tenant.
func anyShape(Shape) error { return nil }

// TestFormatChecksTheShapeFirst guarantees that nothing is printed of a query whose shape is refused.
func TestFormatChecksTheShapeFirst(t *testing.T) {
	t.Parallel()
	tooDeep := errors.New("too deep")
	deep := strings.Repeat("sum(", 40) + `rate({a="b"}[1m])` + strings.Repeat(")", 40)
	_, err := newScope(t, "acme").Format(deep, func(s Shape) error {
		if s.Depth != 42 {
			t.Errorf("depth %d, want 42", s.Depth)
		}
		return tooDeep
	})
	if !errors.Is(err, tooDeep) {
		t.Errorf("Format = %v, want what the check refuses with", err)
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for _, text := range []string{`sum(rate({a="b"}[5m]))`, `{}`} {
		if got, err := s.Format(text, anyShape); err != nil || got != text {
			t.Errorf("Format(%s) = %q, %v", text, got, err)
		}
	}
	// Printing a chain of line filters costs the cube of its length.
	var complexity *TooComplexError
	for _, text := range []string{`{a="b"}` + strings.Repeat(`|="a"`, 400), `{a="` + strings.Repeat("x", maxFormatBytes) + `"}`} {
		if _, err := s.Query(text); err != nil {
			t.Errorf("Query of %d bytes: %v", len(text), err)
		}
		if _, err := s.Format(text, anyShape); !errors.As(err, &complexity) {
			t.Errorf("Format of %d bytes: %v, want TooComplexError", len(text), err)
		}
	}
	for _, tt := range costly.Texts {
		if _, err := s.Format(tt.Of(queryBytes), anyShape); err == nil {
			t.Errorf("%s: formatted", tt.Name)
		}
	}
}
