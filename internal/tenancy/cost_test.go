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
	"testing"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
)

// fill repeats unit behind head, to about n bytes, and closes with tail.
func fill(n int, head, unit, tail string) string {
	return head + strings.Repeat(unit, max(1, (n-len(head)-len(tail))/len(unit))) + tail
}

// costly are texts of about n bytes that Loki's parser pays for out of all proportion.
var costly = []struct {
	name string
	text func(n int) string
}{
	{"comments", func(n int) string { return fill(n, `{b="c"}`, "#\n", "") }},
	{"block comments", func(n int) string { return fill(n, `{b="c"}`, "/**/", "") }},
	{"function names as labels", func(n int) string { return fill(n, `{a="b"} | drop sum`, ",sum", "") }},
	{"duration as a label", func(n int) string { return fill(n, `{a="b"} | json duration`, ",duration", "") }},
	{"function names behind units", func(n int) string { return fill(n, `{a="b"} | a>5m`, "sum>5m", "") }},
	{"functions in capitals", func(n int) string { return fill(n, `{a="b"} | drop x`, ",SuM", "") }},
	{"numbers and minus signs", func(n int) string { return fill(n, "1", "--1", "") }},
	{"numbers", func(n int) string { return fill(n, "1", "+1", "") }},
	{"counted repetition", func(n int) string { return fill(n, `{a=~"`, "a{1000}", `"}`) }},
	{"nested repetition", func(n int) string { return fill(n, `{a=~"`, "((a{9}){9}){9}", `"}`) }},
	{"escaped repetition", func(n int) string { return fill(n, `{a=~"`, `a\x7b1000}`, `"}`) }},
	{"folded classes", func(n int) string { return fill(n, `{a=~"(?i)`, `[a-\\x{10ffff}]`, `"}`) }},
	{"folded classes, other flags", func(n int) string { return fill(n, `{a=~"(?msi)`, `[a-\\x{10ffff}]`, `"}`) }},
	{"many folded", func(n int) string { return fill(n, `{a="b"}`, ` | x=~"(?i)[a-\\x{10ffff}]"`, ``) }},
	{"alternatives", func(n int) string { return fill(n, `{a="b"} != "x"`, ` or ""`, "") }},
	{"quantifiers", func(n int) string { return fill(n, `{a=~"`, "a?", `"}`) }},
	{"Unicode classes", func(n int) string { return fill(n, `{a=~"`, `\\pL`, `"}`) }},
	{"negated Unicode classes", func(n int) string { return fill(n, `{a=~"`, `[^\\pL\\PN]`, `"}`) }},
	{"folded Unicode classes", func(n int) string { return fill(n, `{a=~"(?i)`, `\\pL`, `"}`) }},
	{"Unicode classes in many filters", func(n int) string { return fill(n, `{a="b"}`, `|x=~"\\pL"`, ``) }},
	{"folded range beyond ASCII", func(n int) string { return fill(n, `{a=~"(?i)`, "[a-\U0010ffff]", `"}`) }},
	{"calls of ip", func(n int) string { return fill(n, `{a="b"}`, `|=ip("::1")`, ``) }},
	{"rates", func(n int) string { return fill(n, `rate({}[1s])`, `/on(a)rate({}[1s])`, ``) }},
	{"label_replace", func(n int) string {
		k := n / len(`label_replace(,"","","","")`)
		return strings.Repeat(`label_replace(`, k) + "vector(1)" + strings.Repeat(`,"","","","")`, k)
	}},
	{"nested aggregations", func(n int) string { return fill(n, "", "sum(", "") }},
}

// TestCostlyTextsAreRefused guarantees that the parser never sees a text that it pays for out of
// all proportion, at the longest length that is taken.
func TestCostlyTextsAreRefused(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for _, tt := range costly {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := tt.text(DefaultMaxQueryBytes)
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

// BenchmarkCost measures, for each costly text, what it may cost at most: the longest one that the
// survey still lets through (fence), and the refusal of one at the longest length (refuse).
func BenchmarkCost(b *testing.B) {
	f, err := New(Config{CacheBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	s, err := f.Scope([]string{"acme"}, "")
	if err != nil {
		b.Fatal(err)
	}
	run := func(b *testing.B, text string) {
		b.ReportAllocs()
		b.ReportMetric(float64(len(text)), "query-bytes")
		for b.Loop() {
			_, _ = s.Query(text)
		}
	}
	for _, tt := range costly {
		b.Run("fence/"+strings.ReplaceAll(tt.name, " ", "_"), func(b *testing.B) { run(b, longestTaken(tt.text)) })
		b.Run("refuse/"+strings.ReplaceAll(tt.name, " ", "_"), func(b *testing.B) { run(b, tt.text(DefaultMaxQueryBytes)) })
	}
}

// longestTaken is the longest text of its kind that the survey lets through to the parser.
func longestTaken(text func(int) string) string {
	low, high := 0, DefaultMaxQueryBytes
	for low < high-1 {
		if mid := (low + high) / 2; surveyTakes(text(mid)) {
			low = mid
		} else {
			high = mid
		}
	}
	return text(low)
}

func surveyTakes(text string) bool {
	_, err := takeSurvey(text)
	return err == nil
}

// honest are queries as people and dashboards write them.
var honest = []struct{ name, text string }{
	{"selector", `{app="web"}`},
	{"rate", `rate({app="web"}[5m])`},
	{"dashboard 1 KB", dashboard(1)},
	{"dashboard 10 KB", dashboard(9)},
	{"long alternation", `{app="web"} |~ "` + strings.Repeat("order-123456|", 1000) + `order-0"`},
	{"folded search", `{app="web"} |~ "(?i)(error|failed|panic|timeout)" | json | level=~"(?i)warn|error"`},
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
			for b.Loop() {
				if _, err := syntax.ParseExpr(tt.text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("cold/"+name, func(b *testing.B) {
			s, err := cold.Scope([]string{"acme"}, "")
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Query(tt.text); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("lately/"+name, func(b *testing.B) {
			s := newScope(b, "acme")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Query(tt.text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
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
