package loki

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestKnownMessages guarantees that the errors by which clients decide reach the caller in Loki's words.
func TestKnownMessages(t *testing.T) {
	t.Parallel()
	const query = `sum by (app) (rate({app="checkout"} | json [5m]))`
	const advice = ` Use a label filter to intentionally skip this error. (e.g | __error__!="JSONParserErr"). To skip all potential errors you can match empty errors.(e.g __error__="") The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__="" )`
	for _, tt := range []struct{ message, want string }{
		{"max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)", "="},
		{"maximum of series (500) reached for a single query", "="},
		{"the query would read too many bytes (query: 1.5TB, limit: 10 GiB); consider adding more specific stream selectors or reduce the time range of the query", "="},
		{"the query time range exceeds the limit (query length: 2153h29m39.356s, limit: 30d1h)", "="},
		{"found duplicate series on the right hand-side;many-to-many matching not allowed: matching labels must be unique on one side", "="},
		{`pipeline error: 'JSONParserErr' for series: '{app="checkout", env="prod", tenant_id="alpha"}'.` + advice, `pipeline error: 'JSONParserErr' for series: '{app="checkout", …}'.` + advice},
		{"stream selector is missing required matchers [team], labels present in the query were [tenant_id, app]", "stream selector is missing required matchers […], labels present in the query were [app, …]"},
		{"parse error : stage '| json' : error parsing regexp: missing closing ): `checkout`", "="},
		{"parse error : stage '|~ \"(\"' : error parsing regexp: missing closing ): `(?s:(alpha)`", "parse error : stage '…' : error parsing regexp: missing closing ): `…`"},
		{"parse error : stage '| json' : invalid line template: template: alpha", "parse error : stage '| json' : invalid line template: …"},
		{`parse error at line 1, col 34: syntax error: unexpected STRING`, ""},
		{`max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000) {tenant_id="alpha"}`, ""},
		{"the query time range exceeds the limit (query length: alpha, limit: 30d1h)", ""},
		{"no org id", ""},
		{"", ""},
	} {
		want := tt.want
		if want == "=" {
			want = tt.message
		}
		got, known := (&RefusedError{Status: http.StatusBadRequest, Message: tt.message}).Public(query)
		if got != want || known != (want != "") {
			t.Errorf("%s\n got %q %v\nwant %q", tt.message, got, known, want)
		}
	}
}

// canaries are what Loki's errors must not carry to a caller: selectors, matchers, names and an organization.
var canaries = []string{
	`CANARY`, `{tenant_id="CANARY"}`, `tenant_id="CANARY"`, `CANARY, tenant_id`, `CANARY}', '{`, `5 CANARY`, `5s CANARY`, `app="checkout", CANARY`,
	`app="checkoutCANARY"`, `CANARYapp`, `{app="checkout"} or {tenant_id=~"CANARY"`, "CANARY\n5", `JSONParserErr' for series: 'CANARY`,
}

// TestSlotsHoldNoCanary guarantees that nothing comes through a slot of a known message that is neither a figure nor in
// the caller's query.
func TestSlotsHoldNoCanary(t *testing.T) {
	t.Parallel()
	const query = `sum by (app) (rate({app="checkout"} | json [5m]))`
	slot := regexp.MustCompile(`\([^()]*(?:\([^()]*\)[^()]*)*\)`)
	fed := 0
	for _, m := range messages {
		// The expression as a text whose slots are parts of their own.
		source := strings.TrimSuffix(strings.TrimPrefix(m.pattern.String(), `\A`), `\z`)
		source = strings.NewReplacer(`\(`, "\x01", `\)`, "\x02").Replace(source)
		places := slot.FindAllStringIndex(source, -1)
		if len(places) != m.pattern.NumSubexp() && m.pattern.NumSubexp() > 0 && !strings.Contains(source, "(?:") {
			t.Fatalf("%s: %d slots found of %d", source, len(places), m.pattern.NumSubexp())
		}
		for i := range places {
			for _, canary := range canaries {
				fed++
				message := filled(source, places, i, canary)
				for _, status := range []int{400, 500} {
					text, _ := (&RefusedError{Status: status, Message: message}).Public(query)
					if strings.Contains(text, "CANARY") {
						t.Errorf("%q\ncame through: %q", message, text)
					}
				}
			}
		}
	}
	if fed < 300 {
		t.Errorf("only %d slots were fed", fed)
	}
}

// filled is a message with a canary in one of its slots and harmless texts in the others.
func filled(source string, places [][]int, canaryAt int, canary string) string {
	harmless := map[string]string{
		"([0-9]{1,19})": "5", "(left|right)": "left",
		"(JSONParserErr|LogfmtParserErr|SampleExtractionErr|LabelFilterErr|TemplateFormatErr)": "JSONParserErr",
	}
	var b strings.Builder
	from := 0
	for i, place := range places {
		b.WriteString(source[from:place[0]])
		expression := source[place[0]:place[1]]
		switch text, ok := harmless[expression]; {
		case i == canaryAt:
			b.WriteString(canary)
		case ok:
			b.WriteString(text)
		case strings.HasPrefix(expression, "(?P<"):
			b.WriteString("app")
		case strings.Contains(expression, "missing closing"):
			b.WriteString("invalid escape sequence")
		case strings.Contains(expression, "ns|"):
			b.WriteString("5s")
		default:
			b.WriteString("5MB")
		}
		from = place[1]
	}
	b.WriteString(source[from:])
	text := strings.NewReplacer("\x01", "(", "\x02", ")").Replace(b.String())
	return strings.NewReplacer(`\.`, ".", `\[`, "[", `\]`, "]", `\|`, "|", `\(`, "(", `\)`, ")", `\-`, "-", `\{`, "{", `\}`, "}", `\+`, "+").Replace(text)
}

// TestMistakesOfTheQuery guarantees that a 500 for a mistake of the query is a rejection, and every other 500 a failure.
func TestMistakesOfTheQuery(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"approx_topk is not enabled. See -limits.shard_aggregations":                              true,
		"count min sketches are only supported on instant queries":                                true,
		"max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)": false,
		"panic: runtime error": false,
	} {
		if got := isMistake(text); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
