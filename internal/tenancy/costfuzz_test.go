package tenancy

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/loki/v3/pkg/logql/syntax"

	"github.com/logfence/logfence/internal/bench/costly"
)

// maxRefusedPrice is what a refused text may be estimated at to be parsed here all the same: that cannot be
// stopped, and the fuzzer gives a text ten seconds, on a machine that may be busy.
const maxRefusedPrice = 10 * maxParse

// valid says whether Loki takes a text at all.
func valid(text string) bool {
	_, err := parse(text, syntax.ParseExpr)
	return err == nil
}

// found are texts that the search found the estimate to be wrong for, each with a sentence on what was wrong.
var found = []struct {
	why string
	sample
	n     int
	taken bool // as it should have been
}{
	{"each copy of a counted repetition was priced as a node of its own: 2 ms, and refused", sample{"{a=~`", "a{1000}", "`}"}, 20, true},
	{"so it was of a group, whose copies are shared: 5 ms, and refused", sample{"{a=~`", "(ab){100}", "`}"}, 119, true},
	{"the printed width of a class was that of a wide one: 8 ms, and refused", sample{"{a=\"b\"} | c=~`", `\d{4}`, "`"}, 885, true},
	{"so it was in a filter of lines: 9 ms, and refused", sample{"{a=\"b\"} |~ `", `\d{4}-`, "`"}, 1185, true},
	{"and with a counted repetition that is optional: 10 ms, and refused", sample{"{a=\"b\"} |~ `", `\w{1,64}x`, "`"}, 57, true},
	{"a range under (?i) cost a sixth more than priced: 57 ms, and taken", sample{"{a=\"b\"} | regexp `(?P<y>x)", `(?i)[B-\x{1E942}][abc]`, "`"}, 10, false},
	{"hundreds of regular expressions in templates were priced one by one: 0.2 s for each line", sample{"{a=\"b\"} | line_format `", `{{regexReplaceAll "a{999}" .y "z"}}`, "`"}, 400, false},
}

// TestFoundTexts guarantees that what was found stays fixed.
func TestFoundTexts(t *testing.T) {
	t.Parallel()
	s := newScope(t, "acme")
	for _, tt := range found {
		if _, err := s.Query(tt.of(tt.n)); (err == nil) != tt.taken {
			t.Errorf("%s: %d times %s: %v", tt.why, tt.n, tt.unit, err)
		}
	}
}

// FuzzCost looks for texts that the estimate is wrong for: those that are taken and cost more than maxTaken,
// and those that Loki takes, that are refused for their cost and cost less than minRefused. A text is a unit
// repeated between a head and a tail, since costs that grow faster than the text are what it looks for.
//
// It measures, so it runs on request only: under -fuzz, with what was found before, and with
// LOGFENCE_TEST_LOAD=cost.
func FuzzCost(f *testing.F) {
	if fuzz := flag.Lookup("test.fuzz"); (fuzz == nil || fuzz.Value.String() == "") && os.Getenv("LOGFENCE_TEST_LOAD") != "cost" {
		f.Skip("neither fuzzing nor LOGFENCE_TEST_LOAD=cost")
	}
	for _, tt := range costly.Texts {
		f.Add(tt.Of(200), "", uint16(0), "")
		f.Add(tt.Of(700), "", uint16(0), "")
	}
	for _, tt := range found {
		f.Add(tt.head, tt.unit, uint16(tt.n), tt.tail)
	}
	for _, tt := range honest {
		f.Add(tt.text, "", uint16(0), "")
	}
	for _, unit := range []string{
		`\D`, `\S`, `\W`, `[^/]`, `[^a-z]`, `[[:^alpha:]]`, `a?`, `a*`, `(a)`, `(a|b)`, `.*a`, `\pL`, `\PN`, `a{9}`, `\d{2}`, `^`, `$`, `\b`,
		`[B-\x{1E942}]`, `[\x{100}-\x{200}]`, `ab|cd|`, `[ab]`, `ü`, `(?:a|b.)`, `((a|b)c)?`, `(?P<x>a)`, `10\.1\.2\.3|`, `(`, `[a-c](`, `a(b`,
	} {
		f.Add("{a=~`", unit, uint16(8), "`}")
		f.Add("{a=~`(?i)", unit, uint16(8), "`}")
		f.Add("{a=\"b\"} | c=~`x", unit, uint16(8), "`")
		f.Add("{a=\"b\"} |~ `(?i)x", unit, uint16(8), "`")
		f.Add("{a=\"b\"} | regexp `(?P<y>x)", unit, uint16(8), "`")
		f.Add("label_replace(vector(1),\"a\",\"b\",\"c\",`", unit, uint16(8), "`)")
	}
	for _, unit := range []string{`+1`, `-1`, `-`, ` | a>5m`, ` or "x"`, `,sum`, `{`, `(`, `[`, `#` + "\n", ` | json a`, ` !~ "x" or "y"`, ` a="b"`, ` . `, `| drop a`, `sum(`, ` --strict`} {
		f.Add(`{a="b"}`, unit, uint16(8), ``)
		f.Add(`1`, unit, uint16(8), ``)
		f.Add(`{a="b"} != "x"`, unit, uint16(8), ``)
	}
	r := newRuler(f)
	worst, least := 0.0, 0.0
	f.Fuzz(func(t *testing.T, head, unit string, n uint16, tail string) {
		if len(unit)*int(n) > queryBytes {
			n = uint16(queryBytes / len(unit))
		}
		text := head + strings.Repeat(unit, int(n)) + tail
		if len(text) > queryBytes {
			return
		}
		_, err := coldScope.fenceText(text, wantQuery)
		var complexity *TooComplexError
		refused := errors.As(err, &complexity)
		if refused && (complexity.Limit != 0 || priceOf(text) > maxRefusedPrice || !valid(text)) {
			return // counted, whatever it costs; or not worth the wait
		}
		cost := r.glance(text)
		switch {
		case !refused && cost > 0.8*maxTaken:
			if cost = r.measure(text); cost > maxTaken {
				t.Errorf("taken, and costs %.0f µs, more than %d (%d bytes)", cost, maxTaken, len(text))
			}
			worst = report(t, "taken", worst, cost, text)
		case refused && cost < 2*minRefused:
			if cost = r.measure(text); cost < minRefused {
				t.Errorf("refused (%v), and costs %.0f µs, less than %d (%d bytes)", err, cost, minRefused, len(text))
			}
			least = report(t, "refused", least, -cost, text)
		}
	})
}

// report appends the most expensive text so far to the file that LOGFENCE_COST_REPORT names.
func report(t *testing.T, what string, most, cost float64, text string) float64 {
	if name := os.Getenv("LOGFENCE_COST_REPORT"); name != "" && (most == 0 || cost > most) {
		out, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = out.Close() }()
		if _, err := fmt.Fprintf(out, "%s %.0f µs %.300q\n", what, math.Abs(cost), text); err != nil {
			t.Fatal(err)
		}
		return cost
	}
	return most
}

// TestCostFigures prints what texts cost beside what they are estimated at, with
// LOGFENCE_TEST_LOAD=cost: the longest of each kind that is taken, and users' own.
func TestCostFigures(t *testing.T) {
	if os.Getenv("LOGFENCE_TEST_LOAD") != "cost" {
		t.Skip("LOGFENCE_TEST_LOAD is not set to cost")
	}
	r := newRuler(t)
	t.Logf("calibration: %.0f µs here", slices.Min(r.calibrated[:]))
	show := func(name, text string) {
		_, err := coldScope.fenceText(text, wantQuery)
		t.Logf("%-34s %6d bytes: %8.0f µs, %.200v", name, len(text), r.measure(text), err)
	}
	for _, tt := range costly.Texts {
		show(tt.Name, longestTaken(tt.Of))
	}
	for _, tt := range honest {
		show(tt.name, tt.text)
	}
}
