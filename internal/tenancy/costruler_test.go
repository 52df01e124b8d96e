package tenancy

import (
	"errors"
	"math"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grafana/loki/v3/pkg/logql/log"
	"github.com/grafana/loki/v3/pkg/logql/syntax"

	"github.com/logfence/logfence/internal/tenant"
)

// What a text may cost, and what one may cost that is refused, in the ruler's microseconds: fencing it, and
// what Loki compiles of it as often as it is parsed.
const (
	maxTaken   = 60_000
	minRefused = 10_000
)

// calibration is the text that costs are measured by: something of all that is priced. What it costs on the
// machine that the prices were measured on, when nothing else runs there, is a fact of that machine; the rest
// is a ratio to it.
var calibration = `sum by (a) (rate({a=~"x.*y|z[0-9]+", sum="` + strings.Repeat("x", 1000) + `"} | b=~"a?b?c?\\S" [5m])) / 2`

const calibrationMicros = 7_000

// ruler measures texts in the microseconds of the prices' machine. It reads the processor time of the process,
// the garbage collector's included, so that time in which others have the processor does not count; and it
// measures the calibration text beside each text, since a busy machine is slower as well.
type ruler struct {
	tb testing.TB
	// calibrated are the latest costs of the calibration text, and at is the next that is replaced.
	calibrated  [5]float64
	at, glances int
}

func newRuler(tb testing.TB) *ruler {
	debug.SetGCPercent(200) // as package gateway does
	r := &ruler{tb: tb}
	for range r.calibrated {
		r.calibrate()
	}
	return r
}

func (r *ruler) calibrate() {
	r.calibrated[r.at] = r.micros(calibration)
	r.at = (r.at + 1) % len(r.calibrated)
}

// micros is the processor time of one run, unscaled.
func (r *ruler) micros(text string) float64 {
	before := processMicros(r.tb)
	costOf(text)
	return processMicros(r.tb) - before
}

// processMicros is the processor time that the process has used.
func processMicros(tb testing.TB) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3
}

// glance is one run of a text: what else the machine does may have made it seem more expensive.
func (r *ruler) glance(text string) float64 {
	if r.glances++; r.glances%4 == 0 {
		r.calibrate()
	}
	least := r.calibrated[0]
	for _, c := range r.calibrated {
		least = min(least, c)
	}
	return r.micros(text) * calibrationMicros / least
}

// measure alternates a text with the calibration text. The least of each is what they cost, since what else
// the machine does only adds. It takes at most a few seconds, however busy the machine is.
func (r *ruler) measure(text string) float64 {
	const runs, maxTime = 7, 4 * time.Second
	begin := time.Now()
	cost, calibrated := math.Inf(1), math.Inf(1)
	for i := 0; i < runs && (i == 0 || time.Since(begin) < maxTime); i++ {
		cost, calibrated = min(cost, r.micros(text)), min(calibrated, r.micros(calibration))
	}
	return cost * calibrationMicros / calibrated
}

// coldScope fences every text anew.
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
// text is parsed. A text that is refused for its cost is parsed all the same.
func costOf(text string) {
	f, err := coldScope.fenceText(text, wantQuery)
	expr := f.original
	if isComplex(err) {
		if !scanTakes(text) { // the fence had not parsed it once when it refused
			_, _ = parse(text, syntax.ParseExprWithoutValidation)
		}
		expr, _ = parse(text, syntax.ParseExpr)
	}
	if expr == nil {
		return
	}
	for _, f := range lineFilters(expr) {
		for range 2 {
			_, _ = log.NewFilter(f.value, log.LineMatchRegexp)
		}
	}
}

// isComplex says that a text was refused for what it would cost.
func isComplex(err error) bool {
	var complexity *TooComplexError
	return errors.As(err, &complexity)
}

// takes says whether a text is not refused for its cost: it may be for another reason.
func takes(text string) bool {
	_, err := coldScope.fenceText(text, wantQuery)
	return !isComplex(err)
}

// priceOf is what one parse of a text is estimated at, in microseconds: all of it, where the fence stops at the
// bound. Of a text that is far beyond it without its regular expressions, it is infinite.
func priceOf(text string) float64 {
	q, err := scanTokens(text)
	if err != nil {
		return math.Inf(1)
	}
	price := q.cost.total
	for _, c := range q.compiled {
		price += priceRegexp(c.value, c.use)
	}
	if price > maxParse || !strings.Contains(text, "~") {
		return price
	}
	if expr, err := parse(text, syntax.ParseExprWithoutValidation); err == nil {
		for _, c := range lineFilters(expr) {
			price += priceRegexp(c.value, c.use)
		}
	}
	return price
}
