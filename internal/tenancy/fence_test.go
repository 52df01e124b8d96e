package tenancy

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/tenant"
)

func newScope(tb testing.TB, tenants ...string) Scope {
	tb.Helper()
	f, err := New(Config{})
	if err != nil {
		tb.Fatal(err)
	}
	s, err := f.Scope(tenant.Names(tenants), "")
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// queryCases is the fence, in text and out text, for the scope of the single tenant acme.
var queryCases = []struct{ name, in, want string }{
	{"selector", `{app="api"}`, `{tenant_id="acme",app="api"}`},
	{"several matchers", `{app="api", env=~"p.*",a!="b",c!~"d"}`, `{tenant_id="acme",app="api", env=~"p.*",a!="b",c!~"d"}`},
	{"pipeline", `{app="api"} |= "error" | json | level="warn"`, `{tenant_id="acme",app="api"} |= "error" | json | level="warn"`},
	{"metric", `rate({app="api"}[5m])`, `rate({tenant_id="acme",app="api"}[5m])`},
	{"both legs of a ratio", `rate({app="api"}[5m]) / rate({app="web"}[5m])`, `rate({tenant_id="acme",app="api"}[5m]) / rate({tenant_id="acme",app="web"}[5m])`},
	{"right leg of an or", `sum(rate({a="b"}[1m])) or sum(rate({c="d"}[1m]))`, `sum(rate({tenant_id="acme",a="b"}[1m])) or sum(rate({tenant_id="acme",c="d"}[1m]))`},
	{"three legs", `rate({a="1"}[1m])+rate({a="2"}[1m])*rate({a="3"}[1m])`, `rate({tenant_id="acme",a="1"}[1m])+rate({tenant_id="acme",a="2"}[1m])*rate({tenant_id="acme",a="3"}[1m])`},
	{"nested aggregations", `topk(3, sum by (app) (max_over_time({a="b"} | unwrap d [5m])))`, `topk(3, sum by (app) (max_over_time({tenant_id="acme",a="b"} | unwrap d [5m])))`},
	// Loki's own DepthFirstTraversal stops at label_replace.
	{"under label_replace", `label_replace(rate({app="api"}[1m]), "a", "$1", "b", "(.*)")`, `label_replace(rate({tenant_id="acme",app="api"}[1m]), "a", "$1", "b", "(.*)")`},
	// absent_over_time responds with the selector's equality labels; a regular expression leaves no trace.
	{"absent", `absent_over_time({app="api"}[5m])`, `absent_over_time({tenant_id=~"acme",app="api"}[5m])`},
	{"offset and unwrap", `sum_over_time({a="b"} | logfmt | unwrap duration(x) [5m] offset 1h)`, `sum_over_time({tenant_id="acme",a="b"} | logfmt | unwrap duration(x) [5m] offset 1h)`},

	// The caller's matcher stays and both apply, so the result is empty, or what it would be anyway.
	{"another tenant", `{tenant_id="globex"}`, `{tenant_id="acme",tenant_id="globex"}`},
	{"not me", `{app="api", tenant_id!="acme"}`, `{tenant_id="acme",app="api", tenant_id!="acme"}`},
	{"any tenant", `{tenant_id=~".+"}`, `{tenant_id="acme",tenant_id=~".+"}`},
	{"no tenant", `{tenant_id=""}`, `{tenant_id="acme",tenant_id=""}`},
	{"not like me", `{tenant_id!~"acme|x"}`, `{tenant_id="acme",tenant_id!~"acme|x"}`},
	{"my own", `{tenant_id="acme"}`, `{tenant_id="acme",tenant_id="acme"}`},

	// What Loki refuses as too wide is narrowed by the fence.
	{"everything", `{}`, `{tenant_id="acme"}`},
	{"everything, spaced", "{ \t\n }", "{tenant_id=\"acme\" \t\n }"},
	{"empty-compatible", `{app=~".*"}`, `{tenant_id="acme",app=~".*"}`},
	{"only negative", `count_over_time({app!="x"}[1m])`, `count_over_time({tenant_id="acme",app!="x"}[1m])`},

	// No selector, no stream: Grafana's health check.
	{"health check", `vector(1)+vector(1)`, `vector(1)+vector(1)`},
	{"number", `1+1`, `1+1`},
	{"not a number", `1/0`, `1/0`},

	// Braces that open no selector.
	{"brace in a string", `{app="api"} |= "{app=\"x\"}"`, `{tenant_id="acme",app="api"} |= "{app=\"x\"}"`},
	{"brace in a raw string", "{app=\"api\"} |= `{x=\"` |= `\"}`", "{tenant_id=\"acme\",app=\"api\"} |= `{x=\"` |= `\"}`"},
	{"template", `{a="b"} | line_format "{{.msg}} {{ if .x }}y{{ end }}"`, `{tenant_id="acme",a="b"} | line_format "{{.msg}} {{ if .x }}y{{ end }}"`},
	{"quote in a raw string", "{a=\"b\"} |= `\"` | x=\"{\"", "{tenant_id=\"acme\",a=\"b\"} |= `\"` | x=\"{\""},
	{"escaped quote", `{a="\"{"} |= "\\"`, `{tenant_id="acme",a="\"{"} |= "\\"`},
	{"brace in a number's range", `rate({a="b"}[1m])`, `rate({tenant_id="acme",a="b"}[1m])`},

	// Comments are expensive for Loki's parser, so they are removed; what looks like one stays.
	{"comment", "{a=\"b\"} # {c=\"d\"}\n|= \"x\"", "{tenant_id=\"acme\",a=\"b\"}          \n|= \"x\""},
	{"comment at the end", `{a="b"} # no line break`, `{tenant_id="acme",a="b"}                `},
	{"comment in a selector", "{ # {\n a=\"b\"}", "{tenant_id=\"acme\",    \n a=\"b\"}"},
	{"comment in an empty selector", "{ # }\n}", "{tenant_id=\"acme\"    \n}"},
	{"slashes", `{a="b"} // {c="d"}`, `{tenant_id="acme",a="b"}           `},
	{"block comment", "{a=\"b\"} /* {\n{ */ |= \"x\"", "{tenant_id=\"acme\",a=\"b\"}     \n     |= \"x\""},
	{"hash in a string", `{a="#"} |= "# {"`, `{tenant_id="acme",a="#"} |= "# {"`},
	{"quote in a comment", "{a=\"b\"} # it's \"\n", "{tenant_id=\"acme\",a=\"b\"}         \n"},

	// What expr.String() of v3.7.8 would change or break.
	{"binary units", `{a="b"} | logfmt | size > 20KiB`, `{tenant_id="acme",a="b"} | logfmt | size > 20KiB`},
	{"precision", `vector(0.1234567)`, `vector(0.1234567)`},
	{"ignoring nothing", `rate({a="b"}[1m]) / ignoring() group_left rate({c="d"}[1m])`, `rate({tenant_id="acme",a="b"}[1m]) / ignoring() group_left rate({tenant_id="acme",c="d"}[1m])`},
	{"labels beyond ASCII", `{größe="b"}`, `{tenant_id="acme",größe="b"}`},
	{"group_left", `rate({a="b"}[1m]) > on(x) group_left rate({c="d"}[1m]) * 2`, `rate({tenant_id="acme",a="b"}[1m]) > on(x) group_left rate({tenant_id="acme",c="d"}[1m]) * 2`},

	// Units and words that the lexer takes apart differently from the Scanner.
	{"label named like a function", `sum by (duration) (rate({a="b"} | json | duration > 5s [1m]))`, `sum by (duration) (rate({tenant_id="acme",a="b"} | json | duration > 5s [1m]))`},
	{"letters behind a unit", `{a="b"} | x > 5m y > 5m`, `{tenant_id="acme",a="b"} | x > 5m y > 5m`},
	{"ip", `{a="b"} |= ip("10.0.0.0/8") | addr=ip("::1")`, `{tenant_id="acme",a="b"} |= ip("10.0.0.0/8") | addr=ip("::1")`},
	{"drop and keep", `{a="b"} | drop x, y="z" | keep q=~"r.*"`, `{tenant_id="acme",a="b"} | drop x, y="z" | keep q=~"r.*"`},
	{"or chain", `{a="b"} |= "x" or "y" != "z" or ip("1.1.1.1")`, `{tenant_id="acme",a="b"} |= "x" or "y" != "z" or ip("1.1.1.1")`},
	{"parentheses", `({a="b"})`, `({tenant_id="acme",a="b"})`},
	{"upper case", `SUM(RATE({a="b"}[1m])) BY (x)`, `SUM(RATE({tenant_id="acme",a="b"}[1m])) BY (x)`},
}

// TestScopeQuery guarantees that each selector, and nothing else, gains the tenant's matcher.
func TestScopeQuery(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for _, tt := range queryCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := s.Query(tt.in)
			if err != nil {
				t.Fatalf("Query(%s): %v", tt.in, err)
			}
			if got.LogQL() != tt.want {
				t.Errorf("Query(%s)\n got %s\nwant %s", tt.in, got.LogQL(), tt.want)
			}
			again, ok := s.Cached(tt.in)
			if !ok || again != got {
				t.Errorf("Cached(%s) = %v, %v; want what Query gave", tt.in, again, ok)
			}
		})
	}
}

// TestScopeQueryRefuses guarantees that what cannot be parsed or proven makes no query, and says why.
func TestScopeQueryRefuses(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for _, tt := range []struct{ name, in, want string }{
		{"empty", ``, `invalid query`},
		{"no closing brace", `{a="b"`, `invalid query at line 1, column 7`},
		{"second line", "{a=\"b\"}\n| |", `invalid query at line 2, column 3`},
		{"behind an operator", `{app="gateway" |=`, `invalid query at line 1, column 16`},
		{"behind an operator, further down", "{app=\"gateway\"\n|=", `invalid query: `},
		{"two queries", `{a="b"} {c="d"}`, `invalid query at line 1, column 9`},
		{"trailing comma", `{a="b",}`, `invalid query`},
		{"comma only", `{,}`, `invalid query`},
		{"unterminated string", `{a="b}`, `literal not terminated`},
		{"closes the selector early", `{a="b"} or {tenant_id="globex"}`, `unexpected type for left leg`},
		{"invalid UTF-8", "{a=\"\xff\"}", `invalid query`},
		{"NUL", "{a=\"b\"}\x00", `invalid query`},
		{"bad regular expression", `{a=~"("}`, `invalid query`},
		{"grouping where none goes", `count_over_time({a="b"}[1m]) by (x)`, `grouping not allowed`},
		{"variants", `variants(count_over_time({a="b"}[1m])) of ({a="b"}[1m])`, `this construct of LogQL is not supported (MultiVariantExpr)`},
		{"internal operation", `__count_min_sketch__({a="b"})`, `invalid query`},
		{"prose", `give me everything`, `invalid query`},
		// Loki's parser takes a lone character as a name, and its querier refuses what it has taken (loki#21738).
		{"a backslash as a label", `{app="web"} | \!=""`, `invalid query at line 1, column 15: syntax error: unexpected '\\'`},
		{"a backslash in a selector", `{\="a"}`, `invalid query at line 1, column 2`},
		{"a backslash to group by", `sum by (\) (rate({app="web"}[5m]))`, `invalid query at line 1, column 9`},
		{"a backslash to keep, further down", "{app=\"web\"}\n| keep \\", `invalid query at line 2, column 8`},
		{"another character as a label", `{app="web"} | $!=""`, `invalid query at line 1, column 15`},
		{"another character in a selector", `{§="a"}`, `invalid query at line 1, column 2`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := s.Query(tt.in)
			if err == nil {
				t.Fatalf("Query(%s) = %s, want an error", tt.in, got.LogQL())
			}
			if got != (Query{}) {
				t.Errorf("Query(%s) gave %q beside its error", tt.in, got.LogQL())
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Query(%s): %v; want %q in it", tt.in, err, tt.want)
			}
		})
	}
}

// TestScopeSelector guarantees that operations which take a bare selector get one, always narrowed.
func TestScopeSelector(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for _, tt := range []struct{ in, want string }{
		{``, `{tenant_id="acme"}`},
		{`{}`, `{tenant_id="acme"}`},
		{`{app="x"}`, `{tenant_id="acme",app="x"}`},
		{`{tenant_id=~".*"}`, `{tenant_id="acme",tenant_id=~".*"}`},
	} {
		got, err := s.Selector(tt.in)
		if err != nil || got.LogQL() != tt.want {
			t.Errorf("Selector(%s) = %s, %v; want %s", tt.in, got.LogQL(), err, tt.want)
		}
	}
	for _, in := range []string{`{a="b"} |= "x"`, `rate({a="b"}[1m])`, `vector(1)`, `1`} {
		if got, err := s.Selector(in); !errors.Is(err, ErrNotSelector) || got != (Selector{}) {
			t.Errorf("Selector(%s) = %s, %v; want ErrNotSelector", in, got.LogQL(), err)
		}
	}
	var invalid *InvalidError
	if _, err := s.Selector(`{`); !errors.As(err, &invalid) {
		t.Errorf("Selector({): %v, want an InvalidError", err)
	}
}

// TestScope guarantees that only fit names make a scope, and that a union is exactly that union.
func TestScope(t *testing.T) {
	t.Parallel()
	f, err := New(Config{Label: "org"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		tenants []string
		extra   string
		want    string // the fenced {a="b"}, "" for a refusal
	}{
		{"one", []string{"acme"}, "", `{org="acme",a="b"}`},
		{"union, sorted and once each", []string{"b", "a", "b"}, "", `{org=~"a|b",a="b"}`},
		{"quoted for the regular expression", []string{"a.c", "abc"}, "", `{org=~"a\\.c|abc",a="b"}`},
		{"not quoted for equality", []string{"a.c"}, "", `{org="a.c",a="b"}`},
		{"extra matchers", []string{"a"}, `{ns=~"shop|pay", env!="prod"}`, `{org="a",ns=~"shop|pay",env!="prod",a="b"}`},
		{"extra on the tenant's label only adds", []string{"a"}, `{org="b"}`, `{org="a",org="b",a="b"}`},
		{"longest name", []string{strings.Repeat("x", 128)}, "", `{org="` + strings.Repeat("x", 128) + `",a="b"}`},
		{"none", nil, "", ""},
		{"empty name", []string{""}, "", ""},
		{"too long a name", []string{strings.Repeat("x", 129)}, "", ""},
		{"alternation in a name", []string{"a|b"}, "", ""},
		{"quote in a name", []string{`a"`}, "", ""},
		{"wildcard in a name", []string{".*"}, "", ""},
		{"line break in a name", []string{"a\n"}, "", ""},
		{"letter beyond ASCII", []string{"ä"}, "", ""},
		{"too many", manyNames(65), "", ""},
		{"extra is a query", []string{"a"}, `{a="b"} |= "x"`, ""},
		{"extra is empty", []string{"a"}, `{}`, ""},
		{"extra on a label that Loki's index ignores", []string{"a"}, `{a="b",__name__="x"}`, ""},
		{"extra on a label that Loki reads as a shard", []string{"a"}, `{__cortex_shard__="1_of_2"}`, ""},
		{"extra is prose", []string{"a"}, `a="b"`, ""},
		{"extra is two", []string{"a"}, `{a="b"} or {c="d"}`, ""},
		{"extra is expensive", []string{"a"}, `{a=~"` + strings.Repeat("a{1000}", 600) + `"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := f.Scope(tenant.Names(tt.tenants), tt.extra)
			if tt.want == "" {
				if err == nil {
					t.Fatalf("Scope(%q, %.80q) = %.80s, want an error", tt.tenants, tt.extra, s.All().LogQL())
				}
				if _, err := s.Query(`{a="b"}`); !errors.Is(err, ErrScope) {
					t.Errorf("a refused scope fenced a query: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if q, err := s.Query(`{a="b"}`); err != nil || q.LogQL() != tt.want {
				t.Errorf("Query = %s, %v; want %s", q.LogQL(), err, tt.want)
			}
		})
	}
}

func manyNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strings.Repeat("x", i+1)
	}
	return names
}

// TestZeroValues guarantees that what was never made by a fence opens nothing.
func TestZeroValues(t *testing.T) {
	t.Parallel()
	var s Scope
	if _, err := s.Query(`{a="b"}`); !errors.Is(err, ErrScope) {
		t.Errorf("zero Scope: Query: %v", err)
	}
	if _, err := s.Selector(``); !errors.Is(err, ErrScope) {
		t.Errorf("zero Scope: Selector: %v", err)
	}
	if s.All().LogQL() != "" || (Query{}).LogQL() != "" || (Query{}).Kind() != KindUnknown {
		t.Error("a zero value holds LogQL")
	}
}

// TestScopesDoNotShareMemory guarantees that a scope and a query cached for some tenants are not found for
// others.
func TestScopesDoNotShareMemory(t *testing.T) {
	t.Parallel()
	f, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, who := range []struct {
		tenants []string
		extra   string
	}{
		{[]string{"a"}, ""},
		{[]string{"b"}, ""},
		{[]string{"a", "b"}, ""},
		{[]string{"a"}, `{n="1"}`},
		{[]string{"a"}, `{n="2"}`},
		// The same bytes, divided in another way.
		{[]string{"a", "bc"}, ""},
		{[]string{"ab", "c"}, ""},
		{[]string{"abc"}, ""},
		{[]string{"a", "b", "c"}, ""},
		{[]string{"1", "11"}, ""},
		{[]string{"11", "2"}, ""},
	} {
		s, err := f.Scope(tenant.Names(who.tenants), who.extra)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := s.Cached(`{x="y"}`); ok {
			t.Errorf("scope %v %s has another's query", who.tenants, who.extra)
		}
		q, err := s.Query(`{x="y"}`)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[q.LogQL()]; ok {
			t.Errorf("scope %v %s fences like %s", who.tenants, who.extra, other)
		}
		seen[q.LogQL()] = strings.Join(who.tenants, "+") + who.extra
	}
	// A name that is none does not find the scope of the names that it is written like.
	for _, name := range []tenant.Name{"a b", "a,b", "a|b", "a\x00b", "a1 b", "1 a1 b"} {
		if _, err := f.Scope([]tenant.Name{name}, ""); !errors.Is(err, ErrTenant) {
			t.Errorf("scope of %q: %v, want ErrTenant", name, err)
		}
	}
}

// TestKind guarantees that line queries and metric queries are told apart.
func TestKind(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for in, want := range map[string]Kind{
		`{a="b"}`: KindLogs, `({a="b"})`: KindLogs, `{a="b"} | json`: KindLogs,
		`rate({a="b"}[1m])`: KindMetrics, `vector(1)`: KindMetrics, `1`: KindMetrics, `(1)`: KindMetrics,
		`label_replace(vector(1),"a","b","c","d")`: KindMetrics, `vector(1) > 0`: KindMetrics,
	} {
		if q, err := s.Query(in); err != nil || q.Kind() != want {
			t.Errorf("Query(%s).Kind() = %v, %v; want %v", in, q.Kind(), err, want)
		}
	}
}

// TestTooLong guarantees the length limit, and that a union's matchers in many selectors cannot
// make more of a text than Loki's parser takes.
func TestTooLong(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	if _, err := s.Query(`{a="` + strings.Repeat("x", MaxQueryBytes) + `"}`); !errors.Is(err, ErrTooLong) {
		t.Errorf("more than Loki takes: %v, want ErrTooLong", err)
	}
	const empty = `{a=""}`
	longest := `{a="` + strings.Repeat("x", MaxQueryBytes-len(empty)) + `"}`
	if _, err := s.Query(longest); errors.Is(err, ErrTooLong) {
		t.Errorf("of %d bytes: %v", len(longest), err)
	}
	if _, err := s.Selectors([]string{longest[:len(longest)-len(empty)-len(`"}`)] + `"}`, empty}); errors.Is(err, ErrTooLong) {
		t.Errorf("two selectors of %d bytes together: %v", len(longest), err)
	}
	names := make([]string, tenant.MaxNames)
	for i := range names {
		names[i] = strings.Repeat(string(rune('a'+i%26)), 100) + strings.Repeat("x", i%28)
	}
	var complexity *TooComplexError
	wide := newScope(t, names...)
	if _, err := wide.Query(`count_over_time({}[1m])` + strings.Repeat(`+count_over_time({}[1m])`, 60)); !errors.As(err, &complexity) {
		t.Errorf("64 tenants in 61 selectors: %v, want TooComplexError", err)
	}
}

// TestTooManySelectors guarantees that the refusal of a text for its number of selectors says how many are taken, by their length and by
// what they cost, and where the next one is; and that so many are taken.
func TestTooManySelectors(t *testing.T) {
	t.Parallel()
	const selector, more = `count_over_time({}[1m])`, `+count_over_time({}[1m])`
	long := make([]tenant.Name, 8)
	for i := range long {
		long[i] = tenant.Name(strings.Repeat(string(rune('a'+i)), 100))
	}
	for _, tt := range []struct {
		what    string
		tenants []tenant.Name
		extra   string
	}{
		{"selectors for as many tenants as the token names", long, ""},
		{"selectors for what the token is confined by", []tenant.Name{"acme"}, `{a=~"(?i)[a-\\x{10ffff}]"}`},
		{"selectors for what the token is confined by", []tenant.Name{"acme"}, `{a!~"(?i)[a-\\x{10ffff}]"}`},
	} {
		f, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := f.Scope(tt.tenants, tt.extra)
		if err != nil {
			t.Fatal(err)
		}
		var refused *TooComplexError
		if _, err := s.Query(selector + strings.Repeat(more, 180)); !errors.As(err, &refused) || refused.What != tt.what {
			t.Errorf("181 selectors: %v, want %s", err, tt.what)
			continue
		}
		if column := len(selector) + (refused.Limit-1)*len(more) + len(`+count_over_time(`) + 1; refused.Line != 1 || refused.Column != column {
			t.Errorf("%v, want column %d", refused, column)
		}
		if _, err := s.Query(selector + strings.Repeat(more, refused.Limit-1)); err != nil {
			t.Errorf("as many as are taken: %v", err)
		}
		if _, err := s.Query(selector + strings.Repeat(more, refused.Limit)); err == nil && tt.extra != "" { // a shorter text has room for more tenants
			t.Error("one more than are taken")
		}
	}
}

// TestRefusedScope guarantees that a scope which is refused is refused again.
func TestRefusedScope(t *testing.T) {
	t.Parallel()
	f, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := f.Scope([]tenant.Name{"acme"}, `{a=`); !errors.Is(err, ErrExtra) {
			t.Errorf("%v, want ErrExtra", err)
		}
	}
}

// TestConfig guarantees that a label which LogQL cannot match on, or which Loki does not match against
// streams, is refused at the start.
func TestConfig(t *testing.T) {
	t.Parallel()
	for _, label := range []string{"by", "sum", "SUM", "duration", "json", "a-b", "1a", `a"`, "größe", "a b", "or", "__name__", "__cortex_shard__", "__x"} {
		if _, err := New(Config{Label: label}); err == nil {
			t.Errorf("label %q was taken", label)
		}
	}
	for _, label := range []string{"", "tenant_id", "org", "_x", "summary"} {
		if _, err := New(Config{Label: label}); err != nil {
			t.Errorf("label %q: %v", label, err)
		}
	}
}

// TestSelectors guarantees that the selectors of one request together cost no more than one query, and
// that each is fenced, the empty one included.
func TestSelectors(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	got, err := s.Selectors([]string{`{b="1", a="2", b!="3"}`, ``})
	if err != nil || len(got) != 2 || got[0].LogQL() != `{tenant_id="acme",b="1", a="2", b!="3"}` || got[1] != s.All() {
		t.Errorf("Selectors = %v, %v", got, err)
	}
	if named := strings.Join(got[0].Named(), " "); named != "b a" || got[1].Named() != nil {
		t.Errorf("Named() = %s, %v", named, got[1].Named())
	}
	expensive := `{a=~"(?i)[a-\\x{10ffff}]"}`
	if _, err := s.Selectors([]string{expensive}); err != nil {
		t.Errorf("one expensive selector: %v", err)
	}
	var complexity *TooComplexError
	if _, err := s.Selectors(slices.Repeat([]string{expensive}, 8)); !errors.As(err, &complexity) {
		t.Errorf("eight expensive selectors: %v, want TooComplexError", err)
	}
	long := `{a="` + strings.Repeat("x", MaxQueryBytes*2/3) + `"}`
	if _, err := s.Selectors([]string{long, long}); !errors.Is(err, ErrTooLong) {
		t.Errorf("two long selectors: %v, want ErrTooLong", err)
	}
	if _, err := s.Selectors([]string{`{a="b"}`, `{a="b"} |= "x"`}); !errors.Is(err, ErrNotSelector) {
		t.Errorf("a query among selectors: %v, want ErrNotSelector", err)
	}
	if _, err := (Scope{}).Selectors([]string{``}); !errors.Is(err, ErrScope) {
		t.Errorf("zero Scope: %v, want ErrScope", err)
	}
}
