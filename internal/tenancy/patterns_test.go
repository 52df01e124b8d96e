package tenancy

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/grafana/loki/v3/pkg/logproto"
	"github.com/grafana/loki/v3/pkg/logql/log"
	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/model/labels"
	"pgregory.net/rapid"

	"github.com/logfence/logfence/internal/tenant"
)

// patternCases are selectors for the patterns endpoint, in text and out text, for the tenant acme.
var patternCases = []struct{ name, in, want string }{
	{"no service", `{app="web"}`, `{tenant_id="acme",app="web"}`},
	{"everything", ``, `{tenant_id="acme"}`},
	{"plain service", `{service_name="web"}`, `{tenant_id="acme",service_name="web"}`},
	{"plain services", `{service_name=~"web|api.*",app="x"}`, `{tenant_id="acme",service_name=~"web|api.*",app="x"}`},
	{"no name at all", `{service_name=""}`, `{tenant_id="acme",service_name=""}`},
	{"letters beyond ASCII", `{service_name="größer"}`, `{tenant_id="acme",service_name="größer"}`},
	{"escaped dot", `{service_name=~"web\\.api"}`, `{service_name=~".+",tenant_id="acme",service_name=~"web\\.api"}`},
	{"raw string with a backslash", "{service_name=~`web\\.api`}", "{service_name=~\".+\",tenant_id=\"acme\",service_name=~`web\\.api`}"},
	{"quotation mark", `{service_name!="a\"b"}`, `{service_name=~".+",tenant_id="acme",service_name!="a\"b"}`},
	{"raw quotation mark, not first", "{app=\"x\",service_name!~`a\"b`}", "{service_name=~\".+\",tenant_id=\"acme\",app=\"x\",service_name!~`a\"b`}"},
	{"line break", `{service_name="a\nb"}`, `{service_name=~".+",tenant_id="acme",service_name="a\nb"}`},
	{"invalid UTF-8", `{service_name="a\xffb"}`, `{service_name=~".+",tenant_id="acme",service_name="a\xffb"}`},
	// Loki takes out the first alone, and escapes the others.
	{"second service", `{service_name="web",service_name!="a\"b"}`, `{tenant_id="acme",service_name="web",service_name!="a\"b"}`},
}

// TestPatternSelector guarantees which selectors gain a matcher on service_name beside the tenant's.
func TestPatternSelector(t *testing.T) {
	s := newScope(t, "acme")
	for _, tt := range patternCases {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.PatternSelector(tt.in)
			if err != nil || got.LogQL() != tt.want {
				t.Errorf("PatternSelector(%s)\n got %s, %v\nwant %s", tt.in, got.LogQL(), err, tt.want)
			}
		})
	}
}

// TestPatternSelectorRefuses guarantees that only a bare selector is taken, and no scope makes nothing.
func TestPatternSelectorRefuses(t *testing.T) {
	s := newScope(t, "acme")
	for _, in := range []string{`{app="web"} |= "x"`, `rate({app="web"}[1m])`, `vector(1)`} {
		if got, err := s.PatternSelector(in); !errors.Is(err, ErrNotSelector) {
			t.Errorf("PatternSelector(%s) = %s, %v, want ErrNotSelector", in, got.LogQL(), err)
		}
	}
	if got, err := s.PatternSelector(`{app=}`); err == nil {
		t.Errorf("PatternSelector of no selector = %s", got.LogQL())
	}
	if got, err := (Scope{}).PatternSelector(`{}`); !errors.Is(err, ErrScope) {
		t.Errorf("PatternSelector without a scope = %s, %v", got.LogQL(), err)
	}
}

// patternScopes are of one tenant, of several, and narrowed by claims, on service_name among others.
func patternScopes(tb testing.TB) []Scope {
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
		{[]string{"acme"}, `{env!="prod"}`},
		{[]string{"acme"}, `{service_name="web"}`},
		{[]string{"acme", "a.b"}, `{service_name=~"w\\.x|y\"z"}`},
	} {
		s, err := f.Scope(tenant.Names(of.tenants), of.extra)
		if err != nil {
			tb.Fatal(err)
		}
		scopes = append(scopes, s)
	}
	return scopes
}

type failer interface {
	Helper()
	Errorf(format string, args ...any)
}

// checkPrinted holds what Loki prints from a fenced selector to the guarantee: one selector, of the
// persisted patterns alone, with every matcher of the scope among its label filters; or no LogQL at all,
// which Loki refuses. It reports whether it is LogQL.
func checkPrinted(t failer, s Scope, in string, sent PatternSelector) bool {
	t.Helper()
	printed, err := (&logproto.QueryPatternsRequest{Query: sent.LogQL(), Step: 10_000}).GetSampleQuery()
	if err != nil {
		t.Errorf("PatternSelector(%q) = %s, which Loki does not take: %v", in, sent.LogQL(), err)
		return false
	}
	expr, err := syntax.ParseExpr(printed)
	if err != nil {
		return false
	}
	var selectors []*syntax.MatchersExpr
	var filters []*labels.Matcher
	expr.Walk(func(e syntax.Expr) bool {
		switch e := e.(type) {
		case *syntax.MatchersExpr:
			selectors = append(selectors, e)
		case *syntax.LabelFilterExpr:
			if m := matcherOf(e.LabelFilterer); m != nil {
				filters = append(filters, m)
			}
		}
		return true
	})
	if len(selectors) != 1 || len(selectors[0].Mts) != 1 || selectors[0].Mts[0].Name != "__pattern__" {
		t.Errorf("of %q Loki makes %s\nwith the selectors %v", in, printed, selectors)
	}
	if !holdsAll(filters, s.plain.matchers) {
		t.Errorf("of %q Loki makes %s\nwithout the scope", in, printed)
	}
	return true
}

func holdsAll(ms, wanted []*labels.Matcher) bool {
	for _, want := range wanted {
		if !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return m.String() == want.String() }) {
			return false
		}
	}
	return true
}

func matcherOf(f log.LabelFilterer) *labels.Matcher {
	switch f := f.(type) {
	case *log.StringLabelFilter:
		return f.Matcher
	case *log.LineFilterLabelFilter:
		return f.Matcher
	default:
		return nil
	}
}

// hostileValues end a string, begin one, hide the rest of a text, or look like LogQL.
var hostileValues = []string{
	"", "web", ".+", ".*", "größer", `"`, `\`, `\"`, `\\"`, `a\`, "`", "\n", "\r", "\t", "\x00", "\x7f", "\xff", "\xc3\x28", "\u2028", "\ufeff", "\u00a0",
	`x"}`, `x"} | y="`, `x",z="y`, `x"} or {a="b`, "x # y", "x\"} # y", "x\n# y\n", "/* x */", "x\" /* ", "*/ x", "// x", strings.Repeat("#\n", 60),
	`web\.api`, `(?i)web`, "{", "}", "}}", "{{.x}}", "[1m]", "))", " | json", "`\"`",
}

// TestPatternsPrinted guarantees for every operator, position, way of quoting and scope that no text of
// the caller's leaves the string that Loki prints it into.
func TestPatternsPrinted(t *testing.T) {
	t.Parallel()
	parsed, refused, turn := 0, 0, 0
	for i, s := range patternScopes(t) {
		for _, op := range []string{"=", "!=", "=~", "!~"} {
			for _, value := range hostileValues {
				for _, quoted := range quotings(value) {
					m := "service_name" + op + quoted
					for _, in := range []string{
						"{" + m + "}", `{app="x",` + m + "}", "{" + m + `,app="x"}`, "{" + m + "," + m + "}", `{service_name="web",` + m + "}",
						"{" + m + `,service_name="web"}`, `{service_name!="", ` + m + "}", "{app" + op + quoted + "}",
					} {
						// All combinations for one scope, every fourth for the others.
						if turn++; i > 0 && turn%4 != 0 {
							continue
						}
						sent, err := s.PatternSelector(in)
						if err != nil {
							refused++
							continue
						}
						if checkPrinted(t, s, fmt.Sprintf("scope %d: %s", i, in), sent) {
							parsed++
						}
					}
				}
			}
		}
	}
	t.Logf("%d printed queries parsed, %d selectors refused", parsed, refused)
	if parsed < 3000 {
		t.Errorf("only %d printed queries parsed: the check above has little to look at", parsed)
	}
}

func quotings(value string) []string {
	all := []string{strconv.Quote(value)}
	if !strings.ContainsAny(value, "`\r") {
		all = append(all, "`"+value+"`")
	}
	return all
}

// TestPatternsPrintedRandom is the same for matchers drawn at random.
func TestPatternsPrintedRandom(t *testing.T) {
	scopes := patternScopes(t)
	value := rapid.OneOf(rapid.SampledFrom(hostileValues), rapid.String(),
		rapid.StringOfN(rapid.SampledFrom([]rune("\"\\`'{}()|#/*=~!,\n\t xX1")), 0, 20, -1))
	matcher := rapid.Custom(func(t *rapid.T) string {
		name := rapid.SampledFrom([]string{"service_name", "service_name", "app", "tenant_id", "ip", "rate", "duration"}).Draw(t, "name")
		op := rapid.SampledFrom([]string{"=", "!=", "=~", "!~"}).Draw(t, "op")
		return name + op + rapid.SampledFrom(quotings(value.Draw(t, "value"))).Draw(t, "quoted")
	})
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(scopes).Draw(t, "scope")
		in := "{" + strings.Join(rapid.SliceOfN(matcher, 0, 5).Draw(t, "matchers"), ",") + "}"
		if sent, err := s.PatternSelector(in); err == nil {
			checkPrinted(t, s, in, sent)
		}
	})
}

// FuzzPatternSelector is the same for any text.
func FuzzPatternSelector(f *testing.F) {
	for _, tt := range patternCases {
		f.Add(tt.in)
	}
	for _, value := range hostileValues {
		f.Add("{service_name=" + strconv.Quote(value) + "}")
	}
	scopes := patternScopes(f)
	f.Fuzz(func(t *testing.T, in string) {
		for _, s := range scopes {
			sent, err := s.PatternSelector(in)
			if err != nil {
				continue
			}
			if ms, err := syntax.ParseMatchers(sent.LogQL(), true); err != nil || !holdsAll(ms, s.plain.matchers) {
				t.Errorf("PatternSelector(%q) = %s, %v\nwithout the scope", in, sent.LogQL(), err)
			}
			checkPrinted(t, s, in, sent)
		}
	})
}
