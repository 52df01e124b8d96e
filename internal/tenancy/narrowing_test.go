package tenancy

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"pgregory.net/rapid"

	"github.com/logfence/logfence/internal/tenant"
)

func narrowing(t rapid.TB, text string) Narrowing {
	t.Helper()
	n, err := ParseNarrowing(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return n
}

// TestAnyTenant guarantees what the scope of every tenant adds: streams without the label, and those with an empty
// value, do not match it.
func TestAnyTenant(t *testing.T) {
	t.Parallel()
	f, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		extras   []string
		in, want string
	}{
		{"a log query", nil, `{app="api"}`, `{tenant_id=~".+",app="api"}`},
		{"with a selector", []string{`{env="prod"}`, `{app!="x"}`}, `{app="api"}`, `{tenant_id=~".+",env="prod",app!="x",app="api"}`},
		{"absent_over_time", nil, `absent_over_time({app="api"}[1m])`, `absent_over_time({tenant_id=~".+",app="api"}[1m])`},
	} {
		s, err := f.AnyTenant(tt.extras...)
		if err != nil {
			t.Fatal(err)
		}
		q, err := s.Query(tt.in)
		if err != nil || q.LogQL() != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.name, q.LogQL(), err, tt.want)
		}
		if len(s.Tenants()) != 0 || len(q.Tenants()) != 1 || q.Tenants()[0] != tenant.Any {
			t.Errorf("%s: it names the tenants %v, %v", tt.name, s.Tenants(), q.Tenants())
		}
	}
	if _, err := f.AnyTenant(`{__name__="x"}`); !errors.Is(err, ErrExtra) {
		t.Errorf("a reserved label: %v", err)
	}
	if _, err := f.Scope(nil); !errors.Is(err, ErrTenant) {
		t.Errorf("no names: %v; only AnyTenant makes the scope of every tenant", err)
	}
}

// TestScopesDiffer guarantees that a scope is never taken from the cache for other tenants or selectors.
func TestScopesDiffer(t *testing.T) {
	t.Parallel()
	f, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Scope([]tenant.Name{"a", "b"}, `{x="1"}`); err != nil {
		t.Fatal(err)
	}
	// The same texts in the same order, of which one is a tenant there and a selector here.
	if s, err := f.Scope([]tenant.Name{"a"}, "b", `{x="1"}`); !errors.Is(err, ErrExtra) {
		t.Errorf("%v, %v", s.Tenants(), err)
	}
	if _, err := f.AnyTenant(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Scope(nil, ""); err == nil {
		t.Error("no tenants became every tenant")
	}
}

// TestNarrowingOr guarantees which selectors are united, and the text of it.
func TestNarrowingOr(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, a, b, want string }{
		{"two values", `{ns="a"}`, `{ns="b"}`, `{ns=~"(?:a)|(?:b)"}`},
		{"a value is quoted", `{ns="a.b"}`, `{ns=~"c.*"}`, `{ns=~"(?:a\\.b)|(?:c.*)"}`},
		{"flags and alternatives stay within their group", `{ns=~"(?i)a|b"}`, `{ns="C"}`, `{ns=~"(?:(?i)a|b)|(?:C)"}`},
		{"beside equal matchers", `{env="p", ns="a"}`, `{ns="b", env="p"}`, `{env="p", ns=~"(?:a)|(?:b)"}`},
		{"negative", `{ns!="a"}`, `{ns!="b"}`, ""},
		{"negative and positive", `{ns="a"}`, `{ns!="b"}`, ""},
		{"negative expressions", `{ns!~"a"}`, `{ns=~"b"}`, ""},
		{"two differences", `{ns="a", env="p"}`, `{ns="b", env="q"}`, ""},
		{"other labels", `{ns="a"}`, `{app="a"}`, ""},
		{"one more matcher", `{ns="a"}`, `{ns="b", env="q"}`, ""},
		{"the same", `{ns="a"}`, `{ns="a"}`, ""},
		{"nothing and something", ``, `{ns="a"}`, ""},
		{"an open quotation", `{ns=~"\\Qa\\E"}`, `{ns="b"}`, ""},
	} {
		got, ok := narrowing(t, tt.a).Or(narrowing(t, tt.b))
		if text := got.String(); ok != (tt.want != "") || text != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.name, text, ok, tt.want)
		}
	}
	three, _ := narrowing(t, `{ns="a"}`).Or(narrowing(t, `{ns="b"}`))
	if three, _ = three.Or(narrowing(t, `{ns="c"}`)); three.String() != `{ns=~"(?:a)|(?:b)|(?:c)"}` {
		t.Errorf("three: %s", three)
	}
	if _, ok := narrowing(t, `{ns=~"`+strings.Repeat("a", 5000)+`"}`).Or(narrowing(t, `{ns=~"`+strings.Repeat("b", 5000)+`"}`)); ok {
		t.Error("an expression of any length")
	}
}

// TestNarrowingContains guarantees what is seen as wider.
func TestNarrowingContains(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, a, b string
		want       bool
	}{
		{"nothing narrows less", ``, `{ns="a"}`, true},
		{"and not the other way around", `{ns="a"}`, ``, false},
		{"the same in another order", `{a="1", b="2"}`, `{b="2", a="1"}`, true},
		{"fewer matchers", `{a="1"}`, `{b="2", a="1"}`, true},
		{"an expression and a value of it", `{a=~"x|y"}`, `{a="x"}`, true},
		{"an expression and another value", `{a=~"x|y"}`, `{a="z"}`, false},
		{"not equal, and another value", `{a!="x"}`, `{a="z"}`, true},
		{"a wider expression is not known to be", `{a=~".*"}`, `{a=~"x|y"}`, false},
	} {
		if got := narrowing(t, tt.a).Contains(narrowing(t, tt.b)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestNarrowingOfUnited guarantees that selectors that were united are compared by what they are made of.
func TestNarrowingOfUnited(t *testing.T) {
	t.Parallel()
	two, _ := narrowing(t, `{ns=~"a.*"}`).Or(narrowing(t, `{ns=~"b.*"}`))
	three, _ := two.Or(narrowing(t, `{ns=~"c.*"}`))
	if !three.Contains(two) || two.Contains(three) {
		t.Errorf("%s contains %s: %t; the other way around: %t", three, two, three.Contains(two), two.Contains(three))
	}
}

// TestNarrowingRandom guarantees that a united selector selects the streams of both and no other, that a wider one
// selects all of the narrower, and that the text of each is one that the fence reads as the same.
func TestNarrowingRandom(t *testing.T) {
	t.Parallel()
	f, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		matcher := rapid.Custom(func(t *rapid.T) string {
			name := rapid.SampledFrom([]string{"ns", "app"}).Draw(t, "name")
			op := rapid.SampledFrom([]string{"=", "=", "=~", "=~", "!=", "!~"}).Draw(t, "op")
			value := rapid.SampledFrom([]string{"a", "b", "c", "a|b", "a.c", ".+", "(?i)A", "(a|b)c?", "a.*", ""}).Draw(t, "value")
			return name + op + `"` + value + `"`
		})
		selector := rapid.Custom(func(t *rapid.T) Narrowing {
			return narrowing(t, "{"+strings.Join(rapid.SliceOfN(matcher, 1, 3).Draw(t, "matchers"), ",")+"}")
		})
		a, b := selector.Draw(t, "a"), selector.Draw(t, "b")
		both, united := a.Or(b)
		for _, ns := range []string{"", "a", "b", "c", "A", "ac", "a.c", "axc", "a|b", "bc", "d"} {
			for _, app := range []string{"", "a", "b", "B", "abc"} {
				stream := map[string]string{"ns": ns, "app": app}
				inA, inB := a.selects(stream), b.selects(stream)
				if united && both.selects(stream) != (inA || inB) {
					t.Fatalf("%s or %s is %s, which selects %v differently", a, b, both, stream)
				}
				if a.Contains(b) && inB && !inA {
					t.Fatalf("%s does not contain %s: %v", a, b, stream)
				}
			}
		}
		for _, n := range []Narrowing{a, b, both} {
			if s, err := f.Scope([]tenant.Name{"acme"}, n.String()); err != nil || !narrowing(t, n.String()).Equal(n) && !united {
				t.Fatalf("%s: %v, %v", n, s.All().LogQL(), err)
			}
		}
	})
}

func (n Narrowing) selects(stream map[string]string) bool {
	for _, m := range n.matchers {
		if !labels.MustNewMatcher(m.Type, m.Name, m.Value).Matches(stream[m.Name]) {
			return false
		}
	}
	return true
}
