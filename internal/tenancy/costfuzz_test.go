package tenancy

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grafana/loki/v3/pkg/logql/log"
	"github.com/grafana/loki/v3/pkg/logql/syntax"

	"github.com/logfence/logfence/internal/bench/costly"
	"github.com/logfence/logfence/internal/tenant"
)

// What a text may cost, and what one may cost that is refused, in the ruler's microseconds: fencing it, and
// what Loki compiles of it as often as it is parsed.
const (
	maxTaken   = 60_000
	minRefused = 10_000

	// maxRefusedBytes is how long a refused text may be to be parsed here all the same: that cannot be
	// stopped, and the fuzzer gives a text ten seconds.
	maxRefusedBytes = 1_000
)

// calibration is the text that costs are measured by: something of all that is priced. What it costs on the
// machine that the prices were measured on is a fact of that machine; the rest is a ratio to it.
var calibration = `sum by (a) (rate({a=~"x.*y|z[0-9]+", sum="` + strings.Repeat("x", 1000) + `"} | b=~"a?b?c?\\S" [5m])) / 2`

const calibrationMicros = 10_300

// threadMicros is the processor time that the calling thread has used.
func threadMicros(tb testing.TB) float64 {
	const thread = 1 // RUSAGE_THREAD, Linux's
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		tb.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3
}

// micros is what a function costs: the least of so many runs, since what else the machine does only adds.
func micros(tb testing.TB, runs int, f func()) float64 {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	least := 0.0
	for i := range runs {
		before := threadMicros(tb)
		f()
		if used := threadMicros(tb) - before; i == 0 || used < least {
			least = used
		}
	}
	return least
}

// ruler measures texts in the microseconds of the prices' machine.
type ruler struct{ scale float64 }

func newRuler(tb testing.TB) ruler {
	return ruler{scale: calibrationMicros / micros(tb, 3, func() { costOf(calibration) })}
}

func (r ruler) measure(tb testing.TB, runs int, text string) float64 {
	return r.scale * micros(tb, runs, func() { costOf(text) })
}

var coldScope = func() Scope {
	f, err := New(Config{CacheBytes: -1})
	if err != nil {
		panic(err)
	}
	s, err := f.Scope([]tenant.Name{"acme"}, "")
	if err != nil {
		panic(err)
	}
	return s
}()

// costOf does what a text costs: the scan, both parses and the proof, and Loki's line filters as often as the
// text is parsed. A text that the scan refuses is parsed all the same.
func costOf(text string) {
	var complexity *TooComplexError
	if _, err := coldScope.fenceText(text, wantQuery); errors.As(err, &complexity) {
		_, _ = parse(text, syntax.ParseExpr)
		_, _ = parse(text, syntax.ParseExpr)
	}
	expr, err := parse(text, syntax.ParseExprWithoutValidation)
	if err != nil {
		return
	}
	expr.Walk(func(e syntax.Expr) bool {
		if f, ok := e.(*syntax.LineFilterExpr); ok && f.Op == "" && (f.Ty == log.LineMatchRegexp || f.Ty == log.LineMatchNotRegexp) {
			for range 2 {
				_, _ = log.NewFilter(f.Match, f.Ty)
			}
		}
		return true
	})
}

// valid says whether Loki takes a text at all, unless that takes it longer than a tenth of a second.
func valid(text string) (ok, inTime bool) {
	done := make(chan bool, 1)
	go func() {
		_, err := parse(text, syntax.ParseExpr)
		done <- err == nil
	}()
	select {
	case ok = <-done:
		return ok, true
	case <-time.After(100 * time.Millisecond):
		return false, false
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
		if refused {
			if complexity.Limit != 0 {
				return // counted, whatever it costs
			}
			if len(text) > maxRefusedBytes {
				return
			}
			if ok, inTime := valid(text); !ok || !inTime {
				return
			}
		}
		cost := r.measure(t, 1, text)
		switch {
		case !refused && cost > 0.8*maxTaken:
			// The machine may have been busy: the ruler is laid on anew, and the text measured again.
			if cost = newRuler(t).measure(t, 2, text); cost > maxTaken {
				t.Errorf("taken, and costs %.0f µs, more than %d (%d bytes)", cost, maxTaken, len(text))
			}
			worst = report(t, "taken", worst, cost, text)
		case refused && cost < 2*minRefused:
			if cost = newRuler(t).measure(t, 2, text); cost < minRefused {
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
	t.Logf("calibration: %.0f µs here", micros(t, 9, func() { costOf(calibration) }))
	show := func(name, text string) {
		_, err := coldScope.fenceText(text, wantQuery)
		t.Logf("%-34s %6d bytes: %8.0f µs, %v", name, len(text), newRuler(t).measure(t, 3, text), err)
	}
	for _, tt := range costly.Texts {
		show(tt.Name, longestTaken(tt.Of))
	}
	for _, tt := range honest {
		show(tt.name, tt.text)
	}
}
