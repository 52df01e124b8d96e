package tenancy

import (
	"slices"
	"strings"

	gsyntax "github.com/grafana/regexp/syntax"
)

// use is what Loki makes of a string that it compiles as a regular expression. Each way has other
// costs; where they are is in Loki v3.7.8 and the Prometheus that it is built with.
type use int

const (
	// useMatcher is `=~` and `!~` in a selector: the parser makes a FastRegexMatcher of it.
	useMatcher use = iota
	// useLabelFilter is the same in a pipeline. The parser makes a filter of it as well.
	useLabelFilter
	// useLineFilter is `|~` and `!~` in a pipeline. The parser leaves it alone; Loki compiles it.
	useLineFilter
	// useCompile is regexp.Compile alone: the parser stage `regexp`, label_replace, and functions of
	// templates.
	useCompile
)

// Prices of regular expressions in microseconds, measured as those in cost.go are.
const (
	priceParseByte  = 0.06
	priceParseNode  = 0.55   // each operator
	priceRange      = 0.05   // each range of a class, to parse
	pricePrintRange = 0.14   // each range of a class, to print; and again to parse what was printed
	priceInst       = 0.3    // each instruction that is compiled, as written
	priceUnfolded   = 0.18   // each once counted repetitions are unfolded
	priceFoldVisit  = 0.0215 // each rune of a range under (?i), which syntax.Parse visits one by one
	priceFlagVisit  = 0.0148 // each rune of a class, which Regexp.String visits one by one
	priceSearched   = 0.0016 // each byte that is searched for the end of a named class, for each `[:` without one
	priceTable      = 45     // \p{…}: a table of Unicode is copied
	priceFoldTable  = 120    // the same under (?i), where two are merged
	priceMerged     = 1.8    // times what tables cost, where alternatives may be merged into one class and sorted
	priceSetString  = 0.09   // each string that FastRegexMatcher makes to find what a set of strings would match
	priceSetByte    = 0.0003 // each byte of them
	priceLiteral    = 0.15   // each byte of an alternation of plain strings, which is not compiled
	classBytes      = 40     // of a printed class, are priced as other bytes
)

// priceRegexpAtMost is never less than [priceRegexp], and takes next to no time. It is coarse: what it
// lets through needs no closer look.
func priceRegexpAtMost(s string, u use) float64 {
	if isAlternationOfLiterals(s) {
		switch u {
		case useMatcher:
			return float64(len(s)) * priceLiteral
		case useLabelFilter, useLineFilter: // at worst each second byte is an alternative
			return 2 + float64(len(s))
		default:
		}
	}
	if strings.ContainsAny(s, `{`) || strings.Contains(s, "(?") {
		return maxParse + 1
	}
	// Each class may be as wide as Unicode, which three ways to print it pay for.
	wide := strings.Count(s, "[") + strings.Count(s, `\`)
	n := float64(len(s))
	return 10 + 25*n + 0.03*n*n + float64(wide)*4*maxFold*priceFlagVisit
}

// isAlternationOfLiterals says that the string is `a|b|c`: FastRegexMatcher compiles nothing then.
func isAlternationOfLiterals(s string) bool { return !strings.ContainsAny(s, `\.+*?()[]{}^$`) }

// priceRegexp estimates what Loki pays to compile a string in one parse of the text that holds it. A
// string that is no regular expression costs its parse alone.
func priceRegexp(s string, u use) float64 {
	scanned := scanRegexp(s).price()
	parse := float64(len(s)) * priceParseByte
	// The parser itself visits each rune of a range under (?i): this bounds what may be handed to it at all.
	if scanned+parse > maxParse {
		return scanned + parse
	}
	re, err := gsyntax.Parse(s, gsyntax.Perl)
	if err != nil {
		return scanned + parse
	}
	m := measureRegexp(re)
	parse += m.nodes*priceParseNode + m.ranges*priceRange
	price := 0.0
	if u == useMatcher || u == useLabelFilter {
		if isAlternationOfLiterals(s) {
			price = float64(len(s)) * priceLiteral
		} else {
			price = scanned + 2*parse + m.print() + m.reparsed + m.compile() + setsOf(re)
		}
	}
	switch u {
	case useLabelFilter, useLineFilter:
		price += scanned + parse + m.filter(re)
	case useCompile:
		price += scanned + parse + m.compile()
	default:
	}
	return price
}

// regexpSize is what the stages after the first parse cost by: how much they print, parse again and
// compile. Loki's filters unfold counted repetitions before they print, so there are two of each:
// as written, and unfolded.
type regexpSize struct {
	nodes, ranges, insts         float64
	flagVisits                   float64
	unfoldedNodes, unfoldedBytes float64
	unfoldedRanges               float64
	unfoldedVisits, unfoldedInst float64
	hasFold                      bool
	closed                       []*gsyntax.Regexp // classes that have each of their runes in every case
	// reparsed is what the ranges that are printed under (?i) cost once more.
	reparsed float64
	known    []knownClass
}

func measureRegexp(re *gsyntax.Regexp) *regexpSize {
	m := &regexpSize{}
	m.add(re, 1)
	if m.hasFold {
		for _, class := range m.closed {
			m.reparsed += printedFoldWidth(class.Rune) * priceFoldVisit
		}
	}
	return m
}

// add counts a node that stands in repetitions that unfold it so many times.
func (m *regexpSize) add(re *gsyntax.Regexp, times float64) {
	m.nodes++
	switch re.Op {
	case gsyntax.OpLiteral:
		n := float64(len(re.Rune))
		m.unfoldedBytes += n * times
		m.unfoldedNodes++ // neighbours are one literal once they are parsed again
		m.insts += n
		m.unfoldedInst += n * times
		m.hasFold = m.hasFold || re.Flags&gsyntax.FoldCase != 0
		return
	case gsyntax.OpCharClass:
		m.class(re, times)
	case gsyntax.OpRepeat:
		m.repeat(re, times)
		return
	default:
	}
	m.unfoldedBytes += 3 * times
	m.unfoldedNodes += times
	m.insts++
	m.unfoldedInst += times
	for _, sub := range re.Sub {
		m.add(sub, times)
	}
}

// repeat is `x{2,5}`, which unfolds to xx(?:x(?:x(?:x)?)?)?.
func (m *regexpSize) repeat(re *gsyntax.Regexp, times float64) {
	m.insts++
	copies := float64(max(1, re.Min, re.Max))
	optional := float64(max(0, re.Max-re.Min))
	m.unfoldedBytes += (1 + 5*optional) * times
	m.unfoldedNodes += (1 + 2*optional) * times
	m.unfoldedInst += (1 + optional) * times
	m.add(re.Sub[0], copies*times)
}

func (m *regexpSize) class(re *gsyntax.Regexp, times float64) {
	ranges := float64(len(re.Rune) / 2)
	m.ranges += ranges
	m.unfoldedRanges += ranges * times
	// Of a large table, a range costs less to parse again than its bytes would.
	m.unfoldedBytes += min(printedWidth(re.Rune), classBytes+ranges) * times
	known := m.walk(re.Rune)
	m.flagVisits += known.visits
	m.unfoldedVisits += known.visits * times
	if known.closed {
		m.closed = append(m.closed, re)
	}
}

func (m *regexpSize) print() float64 {
	return m.flagVisits*priceFlagVisit + m.ranges*2*pricePrintRange
}

// compile is what comes after the parse. Of repetitions, it is the unfolded size that counts.
func (m *regexpSize) compile() float64 {
	price := m.insts*priceInst + m.unfoldedInst*priceUnfolded
	if m.unfoldedInst < 1000 { // those are tried as one-pass programs
		price += m.unfoldedInst*0.2 + m.unfoldedInst*m.unfoldedInst*0.0003
	}
	return price
}

// filter is what a filter costs after the first parse: unfolded, and unless it is made of plain strings
// printed, parsed again and compiled.
func (m *regexpSize) filter(re *gsyntax.Regexp) float64 {
	if isLiteralFilter(re) {
		return m.unfoldedInst*0.05 + m.nodes*0.2
	}
	return m.unfoldedNodes*(0.2+priceParseNode) + m.unfoldedBytes*priceParseByte +
		m.unfoldedVisits*priceFlagVisit + m.unfoldedRanges*2*pricePrintRange + m.reparsed + m.compile()
}

// isLiteralFilter says that Loki makes plain comparisons of a filter (RegexSimplifier in its filter.go):
// of literals, `.*` beside them, and alternations of those.
func isLiteralFilter(re *gsyntax.Regexp) bool {
	switch re.Op {
	case gsyntax.OpCapture:
		return isLiteralFilter(re.Sub[0])
	case gsyntax.OpLiteral, gsyntax.OpEmptyMatch:
		return true
	case gsyntax.OpStar, gsyntax.OpPlus:
		return re.Sub[0].Op == gsyntax.OpAnyCharNotNL
	case gsyntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(sub *gsyntax.Regexp) bool { return !isLiteralFilter(sub) })
	case gsyntax.OpConcat:
		literals := 0
		for _, sub := range re.Sub {
			switch {
			case sub.Op == gsyntax.OpLiteral:
				literals++
			case sub.Op == gsyntax.OpStar && sub.Sub[0].Op == gsyntax.OpAnyCharNotNL:
			default:
				return false
			}
		}
		return literals == 1 && len(re.Sub) <= 3
	default:
		return false
	}
}
