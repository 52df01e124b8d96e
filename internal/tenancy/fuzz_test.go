package tenancy

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/logfence/logfence/internal/bench/costly"
)

// confined checks the guarantee anew, by other means than the fence's own: Loki's Walk over a fresh
// parse of the fenced text finds every selector with the scope's matchers.
func confined(t *testing.T, s Scope, in string, q Query) {
	t.Helper()
	expr, err := syntax.ParseExpr(q.LogQL())
	if err != nil {
		t.Fatalf("Query(%q) = %q, which does not parse: %v", in, q.LogQL(), err)
	}
	expr.Walk(func(e syntax.Expr) bool {
		if m, ok := e.(*syntax.MatchersExpr); ok && !carries(m.Mts, string(s.tenants[0])) {
			t.Errorf("Query(%q) = %q\nselector %s lacks the tenant", in, q.LogQL(), m)
		}
		return true
	})
}

func carries(ms []*labels.Matcher, tenant string) bool {
	for _, m := range ms {
		if m.Name == DefaultLabel && m.Value == tenant && (m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp) {
			return true
		}
	}
	return false
}

// FuzzQuery states the fence's guarantee as a property: whatever is accepted comes out with the
// tenant's matcher in every selector; refusal is always allowed, and is one of the known kinds.
func FuzzQuery(f *testing.F) {
	for _, tt := range queryCases {
		f.Add(tt.in)
	}
	for _, tt := range costly.Texts {
		f.Add(tt.Of(300))
	}
	for _, tt := range honest {
		f.Add(tt.text)
	}
	s := newScope(f, "acme")
	f.Fuzz(func(t *testing.T, in string) {
		q, err := s.Query(in)
		if err != nil {
			refusal(t, in, err)
			return
		}
		confined(t, s, in, q)
		sel, err := s.Selector(in)
		if err == nil {
			confined(t, s, in, Query{logql: sel.LogQL(), kind: KindLogs})
		}
	})
}

func refusal(t *testing.T, in string, err error) {
	t.Helper()
	var (
		invalid     *InvalidError
		complexity  *TooComplexError
		unsupported *UnsupportedError
	)
	if !errors.Is(err, ErrTooLong) && !errors.As(err, &invalid) && !errors.As(err, &complexity) && !errors.As(err, &unsupported) {
		t.Errorf("Query(%q): an unknown kind of refusal: %v", in, err)
	}
}

// TestLokisOwnQueries runs the fence over every string in the tests of Loki's parser: what Loki takes
// is fenced, and nothing but `variants` is refused as unsupported.
func TestLokisOwnQueries(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	texts := lokisTexts(t)
	taken, valid := 0, 0
	for text := range texts {
		q, err := s.Query(text)
		if _, theirs := syntax.ParseExpr(text); theirs == nil {
			valid++
			if err != nil && !allowedRefusal(err) {
				t.Errorf("Loki takes %q, the fence does not: %v", text, err)
			}
		}
		if err == nil {
			taken++
			confined(t, s, text, q)
		}
	}
	t.Logf("%d texts, %d valid to Loki, %d fenced", len(texts), valid, taken)
	if taken < 500 {
		t.Errorf("only %d of %d texts were fenced: the corpus is gone, or the fence refuses everything", taken, len(texts))
	}
}

// lokisTexts are the strings in the tests of Loki's parser: queries of every kind, and texts that are none.
func lokisTexts(t *testing.T) map[string]bool {
	t.Helper()
	texts := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(lokiSyntax(t), "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("find the tests of Loki's parser: %d files, %v", len(files), err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					texts[text] = true
				}
			}
			return true
		})
	}
	return texts
}

func allowedRefusal(err error) bool {
	var unsupported *UnsupportedError
	return errors.As(err, &unsupported) && unsupported.Reason == "this construct of LogQL is not supported (MultiVariantExpr)"
}
