package tenancy

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/grafana/loki/v3/pkg/logql/syntax"

	"github.com/logfence/logfence/internal/bench/costly"
	"github.com/logfence/logfence/internal/tenant"
)

// queryBytes is how long a query may be unless an operator says otherwise (package limits).
const queryBytes = 16 << 10

// TestCostlyTextsAreRefused guarantees that the parser never sees a text that it pays for out of
// all proportion, at the longest length that is taken.
func TestCostlyTextsAreRefused(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for _, tt := range costly.Texts {
		t.Run(tt.Name, func(t *testing.T) {
			t.Parallel()
			text := tt.Of(queryBytes)
			var complexity *TooComplexError
			if q, err := s.Query(text); !errors.As(err, &complexity) {
				t.Errorf("Query(%.60s…) = %.60s, %v; want TooComplexError", text, q.LogQL(), err)
			}
			if _, err := s.Selector(text); !errors.As(err, &complexity) {
				t.Errorf("Selector(%.60s…): %v; want TooComplexError", text, err)
			}
		})
	}
}

// TestCostlyToLokiIsRefused guarantees the same of what the parser leaves alone and Loki compiles.
func TestCostlyToLokiIsRefused(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for name, text := range map[string]string{
		"wide classes":              "{a=\"b\"} |~ `" + strings.Repeat(`\D`, 300) + "`",
		"one repeated class":        "{a=\"b\"} |~ `\\D{1000}`",
		"one repeated class, not":   "{a=\"b\"} !~ `\\D{1000}`",
		"behind or":                 "{a=\"b\"} |~ `x` or `\\D{1000}`",
		"tables in alternatives":    "{a=\"b\"} |~ `" + strings.Repeat(`\pL|`, 450) + "`",
		"named classes, no end":     "{a=\"b\"} |~ `x` or `" + strings.Repeat(`[[:\(a|b`, 2000) + "`",
		"in a metric":               "rate({a=\"b\"} |~ `\\D{1000}` [1m])",
		"under label_replace":       "label_replace(rate({a=\"b\"} |~ `\\D{1000}` [1m]), \"a\", \"b\", \"c\", \"d\")",
		"many filters":              `{a="b"}` + strings.Repeat(` |~ "\\S"`, 100),
		"with what the parser pays": "{a=~`" + strings.Repeat(`\D`, 7) + "`} |~ `" + strings.Repeat(`\D`, 7) + "`",
	} {
		var complexity *TooComplexError
		if _, err := s.Query(text); !errors.As(err, &complexity) {
			t.Errorf("%s: Query(%.60s…): %v; want TooComplexError", name, text, err)
		}
	}
}

// TestWhereItIsExpensive guarantees that a refusal says what is expensive, where, and what to write instead.
func TestWhereItIsExpensive(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for _, tt := range []struct{ name, text, want string }{
		{
			"a matcher", "{b=\"ü\",\n ü=~`" + strings.Repeat(`\D`, 300) + "`}",
			`query is too complex: regular expressions that are expensive to compile (the most expensive at line 2, column 5); shorten`,
		},
		{
			"a line filter", "{b=\"ü\"} |~ `" + strings.Repeat(`\D`, 300) + "`",
			`query is too complex: regular expressions that are expensive to compile (the most expensive at line 1, column 12); shorten`,
		},
		{
			"a label", `{ip=~"` + strings.Repeat("1", 12000) + `"}`,
			`query is too complex: a label with the name of a function (sum, duration, bytes …) before a long text (the most expensive at line 1, column 2); rename`,
		},
		{
			"a line filter behind or", "# \"x\n{b=\"ü\"} |~ \"x\" or `" + strings.Repeat(`\D`, 300) + "`",
			`query is too complex: regular expressions that are expensive to compile (the most expensive at line 2, column 19); shorten`,
		},
		{
			"comments", "{a=\"b\"}\n" + strings.Repeat("#\n", maxComments+10),
			`query is too complex: more than 50 comments (one too many at line 52, column 1)`,
		},
	} {
		if _, err := s.Query(tt.text); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s:\n got %v\nwant %s…", tt.name, err, tt.want)
		}
	}
}

// TestWhereTheTemplateIs guarantees that the refusal of a template says where in the text it is, however it is
// quoted.
func TestWhereTheTemplateIs(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for text, column := range map[string]int{
		"{a=\"ü\"} | line_format `{{repeat .n \"x\"}}`":                                           23,
		"{a=\"ü\"} |= `{{repeat .n \"x\"}}`\n | label_format b=\"{{repeat .n \\\"x\\\"}}\"":       19,
		"{a=\"ü\"} | json\n | label_format b=`{{.a}}`, c=\"{{repeat .n \\\"x\\\"}}\", d=`{{.a}}`": 31,
	} {
		var refused *UnsupportedError
		if _, err := s.Query(text); !errors.As(err, &refused) || refused.Line != 1+strings.Count(text, "\n") || refused.Column != column {
			t.Errorf("Query(%s): %+v; want column %d", text, refused, column)
		}
	}
}

// BenchmarkCost measures, for each costly text, what it may cost at most: the longest one that the
// scan still lets through (fence), and the refusal of one at the longest length (refuse).
func BenchmarkCost(b *testing.B) {
	f, err := New(Config{CacheBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	s, err := f.Scope([]tenant.Name{"acme"}, "")
	if err != nil {
		b.Fatal(err)
	}
	run := func(b *testing.B, text string) {
		b.ReportAllocs()
		b.ReportMetric(float64(len(text)), "query-bytes")
		tell := processor(b)
		for b.Loop() {
			_, _ = s.Query(text)
		}
		tell()
	}
	for _, tt := range costly.Texts {
		b.Run("fence/"+strings.ReplaceAll(tt.Name, " ", "_"), func(b *testing.B) { run(b, longestTaken(tt.Of)) })
		b.Run("refuse/"+strings.ReplaceAll(tt.Name, " ", "_"), func(b *testing.B) { run(b, tt.Of(queryBytes)) })
	}
}

// longestTaken is the longest text of its kind that the scan lets through to the parser.
func longestTaken(text func(int) string) string {
	low, high := 0, queryBytes
	for low < high-1 {
		if mid := (low + high) / 2; scanTakes(text(mid)) {
			low = mid
		} else {
			high = mid
		}
	}
	return text(low)
}

func scanTakes(text string) bool {
	_, err := scanQuery(text)
	return err == nil
}

// honest are queries as users and dashboards write them.
var honest = []struct{ name, text string }{
	{"selector", `{app="web"}`},
	{"rate", `rate({app="web"}[5m])`},
	{"dashboard 1 KB", dashboard(1)},
	{"dashboard 10 KB", dashboard(9)},
	{"long alternation", `{app="web"} |~ "` + strings.Repeat("order-123456|", 1000) + `order-0"`},
	{"filters of letters", `{app="x"}` + strings.Repeat(` | user=~"\\pL+"`, 19)},
	{"folded words", `{app="x"} |~ "(?i)req-\\w+-\\d+-\\S+"`},
	{"folded alternatives", `{a=~"(?i)web-\\d+|api-\\d+|db-\\d+"}`},
	{"folded date", "{app=\"x\"} |~ `(?i)\\d{4}-\\d{2}-\\d{2}-\\d+`"},
	{"detection rule", "{job=~\"a|b.*\"} |~ `(?i).*\\ \\-\\-flag\\ .*` | json | C=~`(?i).*\\ \\-\\-flag\\ .*` and C=~`(?i).*\\ \\-\\-port\\ .*`"},
	{"folded in plain filters", "{app=\"x\"} |= `(?i)-ü-\\d` != `(?i)-\\pL` | line_format `(?i)-ü {{.a}}`"},
	{"600 addresses", `{ip=~"` + addresses(600) + `"}`},
	{"labels like functions", `sum by (duration, count) (rate({ip="1.2.3.4", bytes!="0"} | json duration="a", count="b" | duration > 5s [5m]))`},
	{"unwrap duration(duration)", `quantile_over_time(0.99, {app="web"} | json | ` + strings.Repeat(`path!~"/health.*" | `, 50) + `unwrap duration(duration) [5m]) by (rate)`},
	{"paths", "{app=\"web\"} | regexp `(?P<ip>[^ ]+) [^ ]+ [^ ]+ \\[(?P<at>[^\\]]+)\\] \"(?P<method>[^ ]+) (?P<path>[^ ]+) [^\"]+\"`"},
	{"path as a filter", `{app="web"} |~ "/api/v[0-9]+/[^/]+/[^/]+" | path=~"/[^/]+/items"`},
	{"700 pods", `{pod=~"` + strings.TrimSuffix(strings.Repeat("checkout-7d9f8b-x|", 700), "|") + `"}`},
	{"counted repetitions", "{app=\"web\"} |~ `" + strings.Repeat(`\d{4}-\d{2}-`, 300) + "` | id=~`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}` | v=~`" + strings.Repeat("a{100}", 70) + "`"},
	{"folded search", `{app="web"} |~ "(?i)(error|failed|panic|timeout)" | json | level=~"(?i)warn|error"`},
}

// addresses is an alternation of so many of them, as dashboards make it of a variable.
func addresses(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("10.%d.%d.%d", i%3, i%7, i%250)
	}
	return strings.Join(list, "|")
}

// dashboard is a query of n panels' worth of sums of ratios.
func dashboard(n int) string {
	panel := `sum by (cluster, namespace, job) (rate({cluster=~"prod-.*", namespace="shop", app="checkout"} |= "level=error" | logfmt | status >= 500 and took > 250ms [5m])) / ` +
		`sum by (cluster, namespace, job) (rate({cluster=~"prod-.*", namespace="shop", app="checkout"} | logfmt | status > 0 [5m])) * 100 > 1.5 or ` +
		`quantile_over_time(0.99, {cluster=~"prod-.*", namespace="shop"} | json | line_format "{{.msg}}" | unwrap duration_seconds(took) | __error__="" [10m]) by (pod) or ` +
		`topk(10, sum by (path) (count_over_time({namespace="shop"} | pattern "<ip> - - <_> \"<method> <path> <_>\" <status> <_>" | status =~ "5.." [1m]))) or ` +
		`label_replace(bytes_rate({namespace="shop"} != "healthz" [5m]), "svc", "$1", "app", "(.*)-[a-z0-9]+")`
	panels := make([]string, n)
	for i := range panels {
		panels[i] = panel
	}
	return strings.Join(panels, "\nor ")
}

// TestHonestQueriesPass guarantees that the bounds on cost don't stand in anybody's way.
func TestHonestQueriesPass(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for _, tt := range honest {
		if _, err := s.Query(tt.text); err != nil {
			t.Errorf("%s (%d bytes): %v", tt.name, len(tt.text), err)
		}
	}
}

// BenchmarkFence sets the fence beside what it cannot do without: one parse of the same text.
func BenchmarkFence(b *testing.B) {
	cold, err := New(Config{CacheBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	for _, tt := range honest {
		name := strings.ReplaceAll(tt.name, " ", "_")
		b.Run("parse/"+name, func(b *testing.B) {
			b.ReportAllocs()
			tell := processor(b)
			for b.Loop() {
				if _, err := syntax.ParseExpr(tt.text); err != nil {
					b.Fatal(err)
				}
			}
			tell()
		})
		b.Run("cold/"+name, func(b *testing.B) {
			s, err := cold.Scope([]tenant.Name{"acme"}, "")
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			tell := processor(b)
			for b.Loop() {
				if _, err := s.Query(tt.text); err != nil {
					b.Fatal(err)
				}
			}
			tell()
		})
		b.Run("cached/"+name, func(b *testing.B) {
			s := newScope(b, "acme")
			if _, err := s.Query(tt.text); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			tell := processor(b)
			for b.Loop() {
				if _, err := s.Query(tt.text); err != nil {
					b.Fatal(err)
				}
			}
			tell()
		})
	}
}

// BenchmarkFenceLength fences queries of growing length, to the longest that is taken: the time is to grow
// as the length does. The filters are what a long query is mostly made of.
func BenchmarkFenceLength(b *testing.B) {
	f, err := New(Config{CacheBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	s, err := f.Scope([]tenant.Name{"acme"}, "")
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 2, 4, 8, 12, 16} {
		text := fill(n<<10, `{app="web", env="prod"}`, ` != "health check of a pod" | status != "ok" | json msg="message"`)
		for name, run := range map[string]func() error{
			"fence": func() error { _, err := s.Query(text); return err },
			"parse": func() error { _, err := syntax.ParseExpr(text); return err },
		} {
			b.Run(fmt.Sprintf("%s/%dKB", name, n), func(b *testing.B) {
				b.ReportAllocs()
				b.ReportMetric(float64(len(text)), "query-bytes")
				tell := processor(b)
				for b.Loop() {
					if err := run(); err != nil {
						b.Fatal(err)
					}
				}
				tell()
			})
		}
	}
}

// processor has a benchmark tell the processor time of the whole process beside the time on the wall: what
// is true on a busy machine, too. It is to be called when all is set up, and what it returns at the end.
func processor(b *testing.B) (tell func()) {
	b.Helper()
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

// fill repeats unit behind head, to at most n bytes.
func fill(n int, head, unit string) string {
	return head + strings.Repeat(unit, (n-len(head))/len(unit))
}

// lokiSyntax is the folder of Loki's syntax package.
func lokiSyntax(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/grafana/loki/v3/pkg/logql/syntax").Output()
	if err != nil {
		t.Fatalf("find Loki's syntax package: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// TestFunctionNames guarantees that the words whose cost is counted are those of Loki's lexer: a
// function that a later Loki adds fails here.
func TestFunctionNames(t *testing.T) {
	t.Parallel()
	constants, tokens := map[string]string{}, map[string]bool{}
	for _, name := range []string{"ast.go", "lex.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(lokiSyntax(t), name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Names) != 1 || len(spec.Values) != 1 {
				return true
			}
			switch value := spec.Values[0].(type) {
			case *ast.BasicLit:
				if s, err := strconv.Unquote(value.Value); err == nil {
					constants[spec.Names[0].Name] = s
				}
			case *ast.CompositeLit:
				if spec.Names[0].Name == "functionTokens" {
					for _, e := range value.Elts {
						kv, _ := e.(*ast.KeyValueExpr)
						id, _ := kv.Key.(*ast.Ident)
						tokens[id.Name] = true
					}
				}
			}
			return true
		})
	}
	theirs := map[string]bool{}
	for id := range tokens {
		theirs[constants[id]] = true
	}
	if fmt.Sprint(theirs) != fmt.Sprint(functionNames) {
		t.Errorf("function names\n got %v\nwant %v (functionTokens in Loki's lex.go)", functionNames, theirs)
	}
}

// TestCoarsePrice guarantees that the coarse bound, which saves most regular expressions a closer look, is never
// less than what the closer look finds.
func TestCoarsePrice(t *testing.T) {
	t.Parallel()
	for _, atom := range regexpAtoms {
		for _, n := range []int{1, 7, 60} {
			s := strings.Repeat(atom, n)
			for _, u := range []use{useMatcher, useLabelFilter, useLineFilter, useCompile} {
				if price, most := priceRegexp(s, u), priceRegexpAtMost(s, u); min(price, maxParse) > most {
					t.Errorf("%d times %s, use %d: %.0f µs, at most %.0f", n, atom, u, price, most)
				}
			}
		}
	}
}
