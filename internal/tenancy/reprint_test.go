package tenancy

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/grafana/loki/v3/pkg/querier/plan"
	"github.com/prometheus/prometheus/model/labels"
	"pgregory.net/rapid"

	"github.com/logfence/logfence/internal/bench/costly"
	"github.com/logfence/logfence/internal/tenant"
)

// Loki does not keep the text that it is sent. Its query frontend prints the parsed query again for every
// split, shard and cache key (Expr.String), clones it for shards, and hands it on as a plan in JSON
// (pkg/querier/plan), whose selectors are printed texts once more. The fence proves the text that is
// sent; the tests of this file hold the same guarantee for what Loki makes of it.

// forms are what Loki 3.7.8 makes of a query on its way from the frontend to the store. Each returns an error
// where Loki fails, which ends the request.
var forms = []struct {
	name string
	of   func(syntax.Expr) (syntax.Expr, error)
}{
	{"printed", func(e syntax.Expr) (syntax.Expr, error) { return syntax.ParseExpr(e.String()) }},
	// Shards and splits of one printed query are printed again.
	{"printed twice", func(e syntax.Expr) (syntax.Expr, error) {
		once, err := syntax.ParseExpr(e.String())
		if err != nil {
			return nil, err
		}
		return syntax.ParseExpr(once.String())
	}},
	{"cloned", syntax.Clone[syntax.Expr]},
	{"plan", func(e syntax.Expr) (syntax.Expr, error) {
		text, err := plan.QueryPlan{AST: e}.MarshalJSON()
		if err != nil {
			return nil, err
		}
		var p plan.QueryPlan
		err = p.UnmarshalJSON(text)
		return p.AST, err
	}},
	{"plan of the printed", func(e syntax.Expr) (syntax.Expr, error) {
		printed, err := syntax.ParseExpr(e.String())
		if err != nil {
			return nil, err
		}
		text, err := plan.QueryPlan{AST: printed}.MarshalJSON()
		if err != nil {
			return nil, err
		}
		return syntax.DecodeJSON(string(text))
	}},
	{"prettified", func(e syntax.Expr) (syntax.Expr, error) { return syntax.ParseExpr(e.Pretty(0)) }},
}

// makeForm returns what Loki makes of e. A panic is an error: Loki recovers from it and fails the request.
func makeForm(of func(syntax.Expr) (syntax.Expr, error), e syntax.Expr) (made syntax.Expr, err error) {
	defer func() {
		if r := recover(); r != nil {
			made, err = nil, fmt.Errorf("panic: %v", r)
		}
	}()
	made, err = of(e)
	if err == nil && made == nil {
		err = errors.New("nothing was made")
	}
	return made, err
}

// checkForms fails when a form of a fenced query has a selector without the scope's matchers, or another
// number of selectors. It returns how many forms Loki made.
func checkForms(t failer, s Scope, in string, q Query) (made int) {
	t.Helper()
	fenced, err := syntax.ParseExpr(q.LogQL())
	if err != nil {
		t.Errorf("Query(%q) = %q, which does not parse: %v", in, q.LogQL(), err)
		return 0
	}
	want, err := selectorsOf(fenced)
	if err != nil {
		t.Errorf("Query(%q): %v", in, err)
	}
	for _, form := range forms {
		e, err := makeForm(form.of, fenced)
		if err != nil {
			continue
		}
		made++
		got, err := selectorsOf(e)
		if err != nil {
			t.Errorf("%s: of %q Loki makes an expression with something unknown: %v", form.name, q.LogQL(), err)
		}
		if len(got) != len(want) {
			t.Errorf("%s: of %q Loki makes %s\nwith %d selectors, not %d", form.name, q.LogQL(), e, len(got), len(want))
		}
		for _, selector := range got {
			if !inScope(selector, s) {
				t.Errorf("%s: of %q Loki makes %s\nwhose selector %v lacks the scope", form.name, q.LogQL(), e, selector)
			}
		}
	}
	return made
}

// inScope reports whether a selector has the scope's matchers, in either of the forms that the fence inserts.
func inScope(selector []string, s Scope) bool {
	for _, hasAbsent := range []bool{false, true} {
		p, err := s.prefix(hasAbsent)
		if err == nil && !slices.ContainsFunc(p.matchers, func(m *labels.Matcher) bool { return !slices.Contains(selector, textOf(m.Name, m.Type, m.Value)) }) {
			return true
		}
	}
	return false
}

// textOf tells matchers apart; it is not LogQL, and does not depend on how Loki quotes.
func textOf(name string, op labels.MatchType, value string) string {
	return fmt.Sprintf("%q %d %q", name, op, value)
}

// selectorsOf finds the matchers of every selector by reflection, in fields that are not exported as well:
// Loki's own Walk passes over some. A type that the proof does not know is an error.
func selectorsOf(e syntax.Expr) ([][]string, error) {
	var found [][]string
	err := eachSelector(reflect.ValueOf(&e).Elem(), func(mts reflect.Value) {
		selector := make([]string, mts.Len())
		for i := range selector {
			m := mts.Index(i).Elem()
			selector[i] = textOf(m.FieldByName("Name").String(), labels.MatchType(m.FieldByName("Type").Int()), m.FieldByName("Value").String())
		}
		found = append(found, selector)
	})
	return found, err
}

func eachSelector(v reflect.Value, visit func(mts reflect.Value)) error {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		if v.Type() == matchersExpr {
			visit(v.Elem().FieldByName("Mts"))
			return nil
		}
		return eachSelector(v.Elem(), visit)
	case reflect.Slice:
		for i := range v.Len() {
			if err := eachSelector(v.Index(i), visit); err != nil {
				return err
			}
		}
	case reflect.Struct:
		fields, ok := known[v.Type()]
		if !ok {
			return &unknownError{construct: v.Type().String()}
		}
		for _, i := range fields {
			if err := eachSelector(v.Field(i), visit); err != nil {
				return err
			}
		}
	}
	return nil
}

// reprintScopes are of one tenant, of several, and narrowed by claims whose values are hard to quote.
func reprintScopes(tb testing.TB) []Scope {
	tb.Helper()
	f, err := New(Config{})
	if err != nil {
		tb.Fatal(err)
	}
	var scopes []Scope
	for _, of := range []struct {
		tenants []string
		extra   string
	}{
		{[]string{"acme"}, ""},
		{[]string{"acme", "a.b", "c-d"}, ""},
		{[]string{"acme"}, `{env!="pr\"od",x=~"a\\.b|\\x7f",y!~"#` + "`" + `"}`},
	} {
		s, err := f.Scope(tenant.Names(of.tenants), of.extra)
		if err != nil {
			tb.Fatal(err)
		}
		scopes = append(scopes, s)
	}
	return scopes
}

// TestReprint guarantees for the fence's own cases, for honest and expensive texts, and for every text in the
// tests of Loki's parser, that what Loki makes of the fenced query carries the scope in every selector.
func TestReprint(t *testing.T) {
	t.Parallel()
	texts := lokisTexts(t)
	for _, tt := range queryCases {
		texts[tt.in] = true
	}
	for _, tt := range honest {
		texts[tt.text] = true
	}
	for _, tt := range costly.Texts {
		texts[tt.Of(300)] = true
	}
	taken, made, turn := 0, 0, 0
	for i, s := range reprintScopes(t) {
		for text := range texts {
			// All of them for one scope, every fourth for the others.
			if turn++; i > 0 && turn%4 != 0 {
				continue
			}
			q, err := s.Query(text)
			if err != nil {
				continue
			}
			taken++
			made += checkForms(t, s, fmt.Sprintf("scope %d: %s", i, text), q)
		}
	}
	t.Logf("%d texts fenced, Loki made %d of %d forms", taken, made, taken*len(forms))
	if taken < 800 || made < taken*len(forms)*9/10 {
		t.Error("there is little to look at")
	}
}

// TestReprintRandom is the same for queries that are drawn from a grammar, with values that are hard to quote.
func TestReprintRandom(t *testing.T) {
	scopes := reprintScopes(t)
	query := randomQuery()
	drawn, taken, made := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(scopes).Draw(t, "scope")
		in := query.Draw(t, "query")
		drawn++
		if q, err := s.Query(in); err == nil {
			taken++
			made += checkForms(t, s, in, q)
		}
	})
	t.Logf("%d of %d drawn queries fenced, Loki made %d of %d forms", taken, drawn, made, taken*len(forms))
	if taken < drawn/4 || made < taken*len(forms)/2 {
		t.Error("there is little to look at")
	}
}

type recorder struct{ errors int }

func (*recorder) Helper()                 {}
func (r *recorder) Errorf(string, ...any) { r.errors++ }

// TestReprintNotices guarantees that the tests above see a selector without the scope in every form, on any
// side of an operator and below label_replace.
func TestReprintNotices(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for _, logql := range []string{
		`{app="x"}`, `{tenant_id="acme2"}`, `{app="x",tenant_id!="acme"}`, `rate({tenant_id="acme"}[1m]) / rate({app="x"}[1m])`,
		`label_replace(rate({app="x"}[1m]), "a", "b", "c", "d")`, `sum(vector(1) or rate({app="x"} |= "y" [1m]))`,
	} {
		var r recorder
		if made := checkForms(&r, s, logql, Query{logql: logql}); made != len(forms) || r.errors != made {
			t.Errorf("%s: %d errors in %d forms, want %d", logql, r.errors, made, len(forms))
		}
	}
}

// FuzzReprint is the same for any text.
func FuzzReprint(f *testing.F) {
	for _, tt := range queryCases {
		f.Add(tt.in)
	}
	for _, tt := range honest {
		f.Add(tt.text)
	}
	for _, value := range hostileValues {
		f.Add(fmt.Sprintf(`sum by (a) (rate({a=%q,b!~"x"} |= %q | b=%q [1m])) / label_replace(vector(1), "a", %q, "b", ".*")`, value, value, value, value))
	}
	s := newScope(f, "acme")
	f.Fuzz(func(t *testing.T, in string) {
		if q, err := s.Query(in); err == nil {
			checkForms(t, s, in, q)
		}
	})
}

// randomQuery draws queries of every construct, of which the fence takes many.
func randomQuery() *rapid.Generator[string] {
	value := rapid.OneOf(rapid.SampledFrom(hostileValues), rapid.String(),
		rapid.StringOfN(rapid.SampledFrom([]rune("\"\\`'{}()|#/*=~!,\n\t xX1")), 0, 12, -1))
	quoted := rapid.Custom(func(t *rapid.T) string {
		return rapid.SampledFrom(quotings(value.Draw(t, "value"))).Draw(t, "quoted")
	})
	regexp := rapid.SampledFrom([]string{`".+"`, `"a|b\\.c"`, "`\\d+\"`", `"(?i)x#{}"`, `"(?P<n>.*)"`})
	name := rapid.SampledFrom([]string{"app", "tenant_id", "ip", "duration", "n", "by", "offset", "unwrap", "_", "level"})
	word := func(words ...string) *rapid.Generator[string] { return rapid.SampledFrom(words) }
	// fill replaces each %-letter of a drawn shape: v a value, r a regular expression, n a name.
	parts := map[byte]*rapid.Generator[string]{'v': quoted, 'r': regexp, 'n': name}
	fill := func(shapes ...string) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string { return filled(t, rapid.SampledFrom(shapes).Draw(t, "shape"), parts) })
	}
	parts['m'] = fill("%n=%v", "%n!=%v", "%n=~%r", "%n!~%r")
	selector := rapid.Custom(func(t *rapid.T) string {
		return "{" + strings.Join(rapid.SliceOfN(parts['m'], 0, 3).Draw(t, "matchers"), word(",", ", ", ",\n# {\n").Draw(t, "comma")) + "}"
	})
	stage := fill(`|= %v`, `!= %v`, `|~ %r`, `!~ %r`, `|> %v`, `!> %v`, `|= ip(%v)`, `|= %v or %v`, `| json`, `| json %n=%v, %n=%v`, `| logfmt`,
		`| logfmt --strict --keep-empty`, `| logfmt %n=%v`, `| regexp %r`, `| pattern %v`, `| unpack`, `| decolorize`, `| line_format %v`,
		`| label_format %n=%n`, `| label_format %n=%v`, `| drop %n`, `| drop %n=%v, %n`, `| keep %n=~%r`, `| %n=%v`, `| %n=~%r and %n!=%v`, `| %n>1.5`,
		`| %n<=20KiB or (%n>=1h2m and %n!=ip(%v))`, `| __error__=""`)
	lines := rapid.Custom(func(t *rapid.T) string {
		return selector.Draw(t, "selector") + " " + strings.Join(rapid.SliceOfN(stage, 0, 4).Draw(t, "stages"), " ")
	})
	parts['l'] = lines
	var samples *rapid.Generator[string]
	parts['s'] = rapid.Deferred(func() *rapid.Generator[string] { return samples })
	leaf := fill(`rate(%l[1m])`, `count_over_time(%l[1h30m] offset 5m)`, `sum_over_time(%l | unwrap %n [1m])`, `quantile_over_time(0.99, %l | unwrap duration(%n) | %n=%v [5m]) by (%n)`,
		`absent_over_time(%l[1m])`, `last_over_time(%l | unwrap bytes(%n) [1m]) without (%n,%n)`, `vector(1e-7)`, `1.5`, `bytes_rate((%l)[1s])`)
	inner := fill(`sum(%s)`, `sum by (%n) (%s)`, `topk(3, %s) without (%n)`, `approx_topk(2, %s)`, `sort_desc(%s)`, `count_values(%v, %s)`, `%s + %s`, `%s / on (%n) group_left (%n) %s`,
		`%s or %s`, `%s unless ignoring (%n) %s`, `%s >= bool %s`, `(%s)`, `label_replace(%s, "a", %v, "b", %r)`)
	samples = rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 2).Draw(t, "leaf") > 0 {
			return leaf.Draw(t, "leaf")
		}
		return inner.Draw(t, "inner")
	})
	return rapid.OneOf(lines, samples)
}

func filled(t *rapid.T, shape string, parts map[byte]*rapid.Generator[string]) string {
	var b strings.Builder
	for i := 0; i < len(shape); i++ {
		if shape[i] == '%' && i+1 < len(shape) && parts[shape[i+1]] != nil {
			i++
			b.WriteString(parts[shape[i]].Draw(t, "part"))
			continue
		}
		b.WriteByte(shape[i])
	}
	return b.String()
}
