package tenancy

import (
	"math"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// maxParse is what one parse of a text may cost at the most, in microseconds. The fence parses
// twice, so that no request takes more than about 50 ms of a core before it is refused or sent.
const maxParse = 17_000

// Prices in microseconds, measured with Loki 3.7.8 on a 2.5 GHz core and rounded up; BenchmarkCost
// shows what the dearest text of each kind that is still let through really costs. The parser's
// lexer copies a scanner of 131 KB for every number, function name and minus sign, and reads to the
// end of the text, over and over, at a function's name that is not called; a chain of line filters
// is walked again for each `or`; and regular expressions are compiled while it parses.
const (
	priceNumber   = 80
	priceMinus    = 60
	priceFunction = 100
	priceUncalled = 0.0017 // for each byte² of what follows
	priceOr       = 0.04   // for each `or`²

	// Twice what one takes: a filter on a label compiles its expression twice.
	priceQuantifier  = 5    // *, +, ?
	priceRepeated    = 0.7  // each instruction that {n,m} unfolds to
	priceClass       = 250  // \p{…}, a table of Unicode
	priceFoldedClass = 2000 // the same under (?i), which visits every rune of it
	priceFoldedRange = 7000 // [a-\x{10ffff}] under (?i), which visits a million runes
)

// kind is a kind of cost, as the caller would say it.
type kind int

const (
	numbers kind = iota
	functions
	uncalled
	alternatives
	regexps
	kinds
)

var kindNames = [kinds]string{
	numbers:      "numbers and minus signs",
	functions:    "functions",
	uncalled:     "labels that bear the name of a function (sum, duration, bytes …); rename them, or shorten what follows them",
	alternatives: "alternatives joined by `or`; use one regular expression",
	regexps:      "regular expressions with repetitions, Unicode classes or (?i)",
}

// bill adds up what parsing would cost, in microseconds, by kind.
type bill [kinds]float64

func (b *bill) add(k kind, microseconds float64) { b[k] += microseconds }

func (b *bill) addAll(other bill) {
	for k, microseconds := range other {
		b[k] += microseconds
	}
}

// check refuses a bill above the bound, naming the dearest kind.
func (b *bill) check() error {
	total, dearest := 0.0, numbers
	for k, microseconds := range b {
		total += microseconds
		if microseconds > b[dearest] {
			dearest = kind(k)
		}
	}
	if total > maxParse {
		return &TooComplexError{What: kindNames[dearest]}
	}
	return nil
}

// priceRegexp estimates what compiling a string as a regular expression costs. Plain characters and
// alternations are next to free, however long: long alternations are honest.
func priceRegexp(s string) float64 {
	quantifiers := strings.Count(s, "*") + strings.Count(s, "+") + strings.Count(s, "?")
	price := float64(quantifiers) * priceQuantifier
	classes := strings.Count(s, `\p`) + strings.Count(s, `\P`)
	if hasFold(s) {
		price += float64(classes)*priceFoldedClass + float64(wideRanges(s))*priceFoldedRange
	} else {
		price += float64(classes) * priceClass
	}
	// Only now, since reading a folded class costs what compiling it does.
	if price <= maxParse && strings.Contains(s, "{") {
		price += priceRepeated * repeated(s)
	}
	return price
}

// wideRanges counts what may be the end of a range and is an escape or a character beyond ASCII: how wide
// the range is only the parser knows.
func wideRanges(s string) int {
	for n := 0; ; {
		_, end, ok := strings.Cut(s, "-")
		if !ok {
			return n
		}
		if end != "" && (end[0] == '\\' || end[0] >= utf8.RuneSelf) {
			n++
		}
		s = end
	}
}

// hasFold finds a group of flags with an i in it: (?i), (?s-mi:…).
func hasFold(s string) bool {
	for {
		_, rest, ok := strings.Cut(s, "(?")
		if !ok {
			return false
		}
		flags := strings.TrimLeft(rest, "imsU-")
		if strings.Contains(rest[:len(rest)-len(flags)], "i") {
			return true
		}
		s = rest
	}
}

// repeated is how many instructions the counted repetitions of a regular expression unfold to. What
// does not parse is not compiled either.
func repeated(s string) float64 {
	re, err := syntax.Parse(s, syntax.Perl)
	if err != nil || !hasRepeat(re) {
		return 0
	}
	return size(re)
}

func hasRepeat(re *syntax.Regexp) bool {
	if re.Op == syntax.OpRepeat {
		return true
	}
	for _, sub := range re.Sub {
		if hasRepeat(sub) {
			return true
		}
	}
	return false
}

// size is about how many instructions a regular expression compiles to.
func size(re *syntax.Regexp) float64 {
	n := 1.0
	if re.Op == syntax.OpLiteral {
		n = float64(len(re.Rune))
	}
	for _, sub := range re.Sub {
		n += size(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= math.Max(1, math.Max(float64(re.Min), float64(re.Max)))
	}
	return n
}
