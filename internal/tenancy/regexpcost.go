package tenancy

import (
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

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
	priceInst       = 0.45   // each instruction that is compiled
	priceFoldVisit  = 0.019  // each rune of a range under (?i), which syntax.Parse visits one by one
	priceFlagVisit  = 0.0148 // each rune of a class, which Regexp.String visits one by one
	priceTable      = 45     // \p{…}: a table of Unicode is copied
	priceFoldTable  = 120    // the same under (?i), where two are merged
	priceSetString  = 0.09   // each string that FastRegexMatcher makes to find what a set of strings would match
	priceSetByte    = 0.0003 // each byte of them
	priceLiteral    = 0.15   // each byte of an alternation of plain strings, which is not compiled
)

// minFold and maxFold are the first and the last rune that has another case, as regexp/syntax has them.
const (
	minFold = 0x0041
	maxFold = 0x1e943
)

// priceRegexpAtMost is never less than [priceRegexp], and takes next to no time. It is coarse: what it
// lets through needs no closer look.
func priceRegexpAtMost(s string) float64 {
	if isAlternationOfLiterals(s) {
		return float64(len(s)) * priceLiteral * 2
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

// regexpScan is what one linear pass over the text of a regular expression finds.
type regexpScan struct {
	foldVisits         float64 // runes of ranges under (?i)
	tables, foldTables float64 // \p{…}, and those under (?i)
}

func (r regexpScan) price() float64 {
	return r.foldVisits*priceFoldVisit + r.tables*priceTable + r.foldTables*priceFoldTable
}

// scanRegexp reads a regular expression as regexp/syntax.Parse would, for what costs the parser more
// than a constant for each byte: \p{…}, and ranges under (?i). What it takes wrong is not valid.
func scanRegexp(s string) (r regexpScan) {
	fold := false
	var groups []bool
	for s != "" {
		switch {
		case strings.HasPrefix(s, `\Q`):
			_, s, _ = strings.Cut(s[2:], `\E`)
		case s[0] == '\\':
			s = r.escape(s, fold)
		case s[0] == '[':
			s = r.class(s[1:], fold)
		case strings.HasPrefix(s, "(?"):
			s = s[2:]
			flags := s[:len(s)-len(strings.TrimLeft(s, "imsU-"))]
			s = s[len(flags):]
			now := foldIn(flags, fold)
			if strings.HasPrefix(s, ")") { // for the rest of the group that it stands in
				fold, s = now, s[1:]
				continue
			}
			groups = append(groups, fold)
			fold = now
		case s[0] == '(':
			groups, s = append(groups, fold), s[1:]
		case s[0] == ')':
			if n := len(groups); n > 0 {
				fold, groups = groups[n-1], groups[:n-1]
			}
			s = s[1:]
		default:
			s = s[1:]
		}
	}
	return r
}

// foldIn is whether (?flags) leaves i set.
func foldIn(flags string, fold bool) bool {
	set := true
	for _, c := range flags {
		switch c {
		case '-':
			set = false
		case 'i':
			fold = set
		}
	}
	return fold
}

// escape passes over an escape outside of a class.
func (r *regexpScan) escape(s string, fold bool) string {
	if len(s) > 1 && (s[1] == 'p' || s[1] == 'P') {
		r.table(fold)
	}
	return s[min(2, len(s)):]
}

func (r *regexpScan) table(fold bool) {
	if fold {
		r.foldTables++
	} else {
		r.tables++
	}
}

// class passes over a class, whose bracket has been read.
func (r *regexpScan) class(s string, fold bool) string {
	s = strings.TrimPrefix(s, "^")
	for first := true; s != "" && (s[0] != ']' || first); first = false {
		if strings.HasPrefix(s, "[:") {
			if i := strings.Index(s, ":]"); i > 0 {
				s = s[i+2:]
				continue
			}
		}
		if len(s) > 1 && s[0] == '\\' && strings.IndexByte("pPdDsSwW", s[1]) >= 0 {
			s = r.escape(s, fold)
			continue
		}
		var lo, hi rune
		lo, s = classRune(s)
		hi = lo
		if len(s) > 1 && s[0] == '-' && s[1] != ']' {
			hi, s = classRune(s[1:])
		}
		if fold {
			r.foldVisits += foldWidth(lo, hi)
		}
	}
	return strings.TrimPrefix(s, "]")
}

// foldWidth is how many runes of a range the parser visits under (?i).
func foldWidth(lo, hi rune) float64 {
	if lo <= minFold && hi >= maxFold {
		return 0
	}
	return max(0, float64(min(hi, maxFold)-max(lo, minFold)+1))
}

// classRune reads one rune of a class. An escape that is not valid is as wide as can be.
func classRune(s string) (rune, string) {
	if s[0] != '\\' || len(s) < 2 {
		r, n := utf8.DecodeRuneInString(s)
		return r, s[n:]
	}
	switch c := s[1]; {
	case c == 'x' && strings.HasPrefix(s, `\x{`):
		hex, rest, _ := strings.Cut(s[3:], "}")
		return number(hex, 16), rest
	case c == 'x' && len(s) >= 4:
		return number(s[2:4], 16), s[4:]
	case c >= '0' && c <= '7':
		n := 2
		for n < len(s) && n < 4 && s[n] >= '0' && s[n] <= '7' {
			n++
		}
		return number(s[1:n], 8), s[n:]
	case c < utf8.RuneSelf:
		return rune(c), s[2:] // the named ones, \n and the like, are control characters: below where case begins
	default:
		r, n := utf8.DecodeRuneInString(s[1:])
		return r, s[1+n:]
	}
}

func number(digits string, base rune) (n rune) {
	for _, c := range []byte(digits) {
		digit := base
		switch {
		case c >= '0' && c <= '9':
			digit = rune(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			digit = rune(c|0x20-'a') + 10
		}
		if digit >= base || n > unicode.MaxRune {
			return unicode.MaxRune
		}
		n = n*base + digit
	}
	return n
}

// regexpSize is what the stages after the first parse cost by: how much they print, parse again and
// compile. Loki's filters unfold counted repetitions before they print, so there are two of each:
// as written, and unfolded.
type regexpSize struct {
	nodes, ranges, insts         float64
	printed, flagVisits          float64
	unfoldedNodes, unfoldedBytes float64
	unfoldedRanges               float64
	unfoldedVisits, unfoldedInst float64
	hasFold                      bool
	closed                       []*gsyntax.Regexp // classes that have each of their runes in every case
	// reparsed is what the ranges that are printed under (?i) cost once more.
	reparsed float64
	known    []knownClass
}

// knownClass is a class that has been walked: expensive ones come in numbers, and alike.
type knownClass struct {
	runes  []rune
	visits float64
	closed bool
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
		m.printed += n
		m.unfoldedBytes += n * times
		m.unfoldedNodes++ // neighbours are one literal once they are parsed again
		m.insts += n
		m.unfoldedInst += n * times * 0.7 // plain characters are cheaper than the rest
		m.hasFold = m.hasFold || re.Flags&gsyntax.FoldCase != 0
		return
	case gsyntax.OpCharClass:
		m.class(re, times)
	case gsyntax.OpRepeat:
		k := float64(max(1, re.Min, re.Max))
		m.unfoldedBytes += 6 * k * times
		m.unfoldedInst += k * times
		times *= k
	default:
	}
	m.printed += 3
	m.unfoldedBytes += 3 * times
	m.unfoldedNodes += times
	m.insts++
	m.unfoldedInst += times
	for _, sub := range re.Sub {
		m.add(sub, times)
	}
}

func (m *regexpSize) class(re *gsyntax.Regexp, times float64) {
	ranges := float64(len(re.Rune) / 2)
	m.ranges += ranges
	m.unfoldedRanges += ranges * times
	m.printed += 7 * ranges
	m.unfoldedBytes += 7 * ranges * times
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
	price := m.unfoldedInst * priceInst
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

// walk counts the runes of a class that Regexp.String visits: all of them, up to the first whose other
// case is not in the class.
func (m *regexpSize) walk(runes []rune) knownClass {
	for _, k := range m.known {
		if slices.Equal(k.runes, runes) {
			return k
		}
	}
	k := knownClass{runes: runes, closed: true}
	for i := 0; i+1 < len(runes); i += 2 {
		lo, hi := max(minFold, runes[i]), min(maxFold, runes[i+1])
		if lo > hi {
			continue
		}
		if r, open := firstOpen(lo, hi, runes); open {
			k.visits += float64(r-lo) + 1
			k.closed = false
			break
		}
		k.visits += float64(hi-lo) + 1
	}
	if k.visits > 1000 && len(m.known) < 16 {
		m.known = append(m.known, k)
	}
	return k
}

// foldable are the runes that have another case, in order.
var foldable = sync.OnceValue(func() []rune {
	var runes []rune
	for r := rune(minFold); r <= maxFold; r++ {
		if unicode.SimpleFold(r) != r {
			runes = append(runes, r)
		}
	}
	return runes
})

// firstOpen finds the first rune of a range whose other case is not in the class.
func firstOpen(lo, hi rune, class []rune) (rune, bool) {
	all := foldable()
	at, _ := slices.BinarySearch(all, lo)
	for _, r := range all[at:] {
		if r > hi {
			break
		}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if (f < lo || f > hi) && !inClass(f, class) {
				return r, true
			}
		}
	}
	return 0, false
}

func inClass(r rune, class []rune) bool {
	i, _ := slices.BinarySearch(class, r)
	// Even places begin a range, odd ones end it; a rune in between two places is in a range if the
	// next place is an end.
	return i < len(class) && (class[i] == r || i%2 == 1)
}

// printedFoldWidth is how many runes are visited when what Regexp.String prints of a class is parsed
// under (?i): the gaps, of a class that it prints negated.
func printedFoldWidth(runes []rune) (width float64) {
	n := len(runes)
	if n > 2 && runes[0] == 0 && runes[n-1] == unicode.MaxRune {
		runes = runes[1 : n-1]
		for i := 0; i+1 < len(runes); i += 2 {
			width += foldWidth(runes[i]+1, runes[i+1]-1)
		}
		return width
	}
	for i := 0; i+1 < n; i += 2 {
		width += foldWidth(runes[i], runes[i+1])
	}
	return width
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

// setsOf is what FastRegexMatcher costs to find out whether a set of at most 256 strings would do
// (findSetMatches and stringMatcherFromRegexp in model/labels/regexp.go). It makes the strings on the way,
// and once more for each group inside a group, until it gives up.
func setsOf(re *gsyntax.Regexp) float64 {
	s := sets{of: map[*gsyntax.Regexp]set{}}
	first := s.find(re)
	s.matcher(re)
	return first.price() + s.spent
}

const maxSet = 256

// set is how a node extends one string: to how many strings (none: it gives up), longer by how much, and
// what is made on the way.
type set struct {
	ok              bool
	strings, length float64
	made, bytes     float64
}

func (s set) price() float64 { return s.made*priceSetString + s.bytes*priceSetByte }

type sets struct {
	of    map[*gsyntax.Regexp]set
	spent float64
}

func (s *sets) find(re *gsyntax.Regexp) set {
	if found, ok := s.of[re]; ok {
		return found
	}
	var found set
	switch re.Op {
	case gsyntax.OpLiteral:
		n := float64(len(re.Rune))
		found = set{ok: true, strings: 1, length: n, made: 1, bytes: n}
	case gsyntax.OpEmptyMatch:
		found = set{ok: true, strings: 1, made: 1}
	case gsyntax.OpCapture:
		found = s.find(re.Sub[0])
	case gsyntax.OpCharClass:
		width := 0.0
		for i := 0; i+1 < len(re.Rune); i += 2 {
			width += float64(re.Rune[i+1]-re.Rune[i]) + 1
		}
		if width <= maxSet {
			found = set{ok: true, strings: width, length: 2, made: width, bytes: 2 * width}
		}
	case gsyntax.OpAlternate:
		found.ok = true
		for _, sub := range re.Sub {
			f := s.find(sub)
			found.made += f.made
			found.bytes += f.bytes
			found.strings += f.strings
			found.length = max(found.length, f.length)
			if found.ok = f.ok && found.strings <= maxSet; !found.ok {
				break
			}
		}
	case gsyntax.OpConcat:
		found = s.row(re.Sub)
	default:
	}
	s.of[re] = found
	return found
}

// row is find for nodes that follow each other: the strings of the first are extended by the next.
func (s *sets) row(subs []*gsyntax.Regexp) set {
	found := set{ok: len(subs) > 0, strings: 1}
	for _, sub := range subs {
		f := s.find(sub)
		found.made += found.strings * (f.made + 1)
		found.bytes += found.strings * (f.bytes + f.made*found.length)
		found.strings *= max(1, f.strings)
		found.length += f.length
		if found.ok = f.ok && found.strings <= maxSet; !found.ok {
			break
		}
	}
	return found
}

// matcher is stringMatcherFromRegexpInternal, as far as it finds sets.
func (s *sets) matcher(re *gsyntax.Regexp) {
	switch re.Op {
	case gsyntax.OpCapture:
		s.matcher(re.Sub[0])
	case gsyntax.OpAlternate:
		for _, sub := range re.Sub {
			s.matcher(sub)
		}
	case gsyntax.OpConcat:
		subs := re.Sub
		if len(subs) > 1 && isQuantified(subs[0]) {
			subs = subs[1:]
		}
		if len(subs) > 1 && isQuantified(subs[len(subs)-1]) {
			subs = subs[:len(subs)-1]
		}
		s.spent += s.row(subs).price()
		if len(subs) == 2 {
			s.matcher(subs[0])
			s.matcher(subs[1])
		}
	default:
	}
}

func isQuantified(re *gsyntax.Regexp) bool {
	return re.Op == gsyntax.OpPlus || re.Op == gsyntax.OpStar || re.Op == gsyntax.OpQuest
}
