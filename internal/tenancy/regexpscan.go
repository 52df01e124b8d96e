package tenancy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// regexpScan is what one linear pass over the text of a regular expression finds.
type regexpScan struct {
	foldVisits         float64 // runes of ranges under (?i)
	tables, foldTables float64 // \p{…}, and those under (?i)
	searched           float64 // bytes that are searched for the end of a named class that has none
	endless            bool    // no named class ends in what is left
	alternatives       bool
}

func (r regexpScan) price() float64 {
	tables := r.tables*priceTable + r.foldTables*priceFoldTable
	if r.alternatives {
		tables *= priceMerged
	}
	return r.foldVisits*priceFoldVisit + tables + r.searched*priceSearched
}

// scanRegexp reads a regular expression as regexp/syntax.Parse would, for what costs the parser more
// than a constant for each byte: \p{…}, ranges under (?i), and `[:` in a class, for which it searches all of
// the rest for `:]`. What it takes wrong is not valid.
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
		case s[0] == '|':
			r.alternatives, s = true, s[1:]
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
			if rest, found := r.namedClass(s); found {
				s = rest
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

// namedClass passes over a named class. Without an end it is none, here and wherever else one seems to begin.
func (r *regexpScan) namedClass(s string) (rest string, found bool) {
	if !r.endless {
		if i := strings.Index(s, ":]"); i > 0 {
			return s[i+2:], true
		}
		r.endless = true
	}
	r.searched += float64(len(s))
	return s, false
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
