package tenancy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxParse is what one parse of a text may cost, with what Loki compiles of it afterwards, in
// microseconds. The fence parses twice, so that no request takes more than about 50 ms of a core before
// it is refused or sent.
const maxParse = 24_000

// Prices in microseconds, measured with Loki 3.7.8 on a 2.5 GHz core and rounded up. [FuzzCost] looks for
// texts that they are wrong for; BenchmarkCost shows what the most expensive text of each kind that still
// passes really costs. The parser's lexer copies a scanner of 131 KB for every number, function name and
// minus sign, and reads to the end of the text, over and over, at a function's name that is not called; and
// a chain of line filters is walked again for each `or`. Regular expressions are in regexpcost.go.
const (
	priceNumber   = 120
	priceMinus    = 80
	priceFunction = 120
	priceToken    = 0.5

	priceUncalled = 0.0004 // for each byte² of what follows
	priceLowering = 0.0018 // for each byte² from the first capital on, of which the lexer makes a copy each time

	priceCopying = 0.8 // for each byte from there on, however few there are

	priceOr        = 0.006 // for each `or`² of a chain
	priceNegatedOr = 0.05  // the same behind a filter that excludes
	priceParen     = 4     // each opening parenthesis
)

// kind is a kind of cost, as the caller would say it.
type kind int

const (
	numbers kind = iota
	functions
	uncalled
	alternatives
	regexps
	tokens
	kinds
)

// advice is what is expensive about each kind, and what to write instead.
var advice = [kinds]struct{ what, instead string }{
	numbers:      {"too many numbers and minus signs", "split the query into several"},
	functions:    {"too many functions", "split the query into several"},
	uncalled:     {"a label with the name of a function (sum, duration, bytes …) before a long text", "rename the label (label_format), or shorten what follows it"},
	alternatives: {"too many alternatives joined by `or`", "use one regular expression, such as |~ \"a|b|c\""},
	regexps:      {"regular expressions that are expensive to compile", "shorten the most expensive one, write fewer classes such as \\D, \\S or [^…], no wide ranges behind (?i), and smaller repetitions {n,m}"},
	tokens:       {"too many words and signs", "split the query into several"},
}

// estimate adds up what parsing would cost, in microseconds, by kind.
type estimate struct {
	total float64
	by    [kinds]float64
	// worst is the most expensive construct of each kind: where in the text, in bytes.
	worst [kinds]struct {
		cost float64
		at   int
	}
}

func (e *estimate) add(k kind, microseconds float64, at int) {
	e.total += microseconds
	e.by[k] += microseconds
	if microseconds > e.worst[k].cost {
		e.worst[k].cost, e.worst[k].at = microseconds, at
	}
}

func (e *estimate) addAll(other *estimate) {
	for k := range kinds {
		e.total += other.by[k]
		e.by[k] += other.by[k]
		if other.worst[k].cost > e.worst[k].cost {
			e.worst[k] = other.worst[k]
		}
	}
}

// addRegexps prices strings that are compiled: closely only where a coarse bound does not do.
func (e *estimate) addRegexps(list []compiledString) {
	atMost := e.total
	for _, c := range list {
		atMost += priceRegexpAtMost(c.value, c.use)
	}
	if atMost <= maxParse {
		return
	}
	for _, c := range list {
		if e.total > maxParse {
			return
		}
		e.add(regexps, priceRegexp(c.value, c.use), c.at)
	}
}

// check refuses a cost above the bound. It names the most expensive kind, and where in the text the most
// expensive construct of that kind is.
func (e *estimate) check(text string) error {
	if e.total <= maxParse {
		return nil
	}
	worst := numbers
	for k := range kinds {
		if e.by[k] > e.by[worst] {
			worst = k
		}
	}
	err := &TooComplexError{What: advice[worst].what, Instead: advice[worst].instead}
	if at := e.worst[worst].at; text != "" && at >= 0 {
		err.Line, err.Column = positionOf(text, at)
	}
	return err
}

// positionOf is the line and the column of a byte, from 1 and in characters.
func positionOf(text string, at int) (line, column int) {
	before := text[:min(at, len(text))]
	return 1 + strings.Count(before, "\n"), 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
}

// priceNotCalled is what a function's name costs that is not called: the lexer reads on to the end of the
// text, and at each character makes lower case of all that it has read.
func priceNotCalled(rest string) float64 {
	n := float64(len(rest))
	price := n * n * priceUncalled
	if at := strings.IndexFunc(rest, func(r rune) bool { return r >= utf8.RuneSelf || unicode.IsUpper(r) }); at >= 0 {
		price += (n*n-float64(at)*float64(at))*priceLowering + (n-float64(at))*priceCopying
	}
	return price
}
