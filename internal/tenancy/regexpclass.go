package tenancy

import (
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"
)

// minFold and maxFold are the first and the last rune that has another case, as regexp/syntax has them.
const (
	minFold = 0x0041
	maxFold = 0x1e943
)

// knownClass is a class that has been walked: expensive ones come in numbers, and alike.
type knownClass struct {
	runes  []rune
	visits float64
	closed bool
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

// printedWidth is how many bytes Regexp.String makes of a class.
func printedWidth(runes []rune) float64 {
	width := 2
	for i := 0; i+1 < len(runes); i += 2 {
		if width += printedRune(runes[i]); runes[i] != runes[i+1] {
			width += 1 + printedRune(runes[i+1])
		}
	}
	return float64(width)
}

func printedRune(r rune) int {
	switch {
	case r < utf8.RuneSelf && unicode.IsPrint(r):
		return 1
	case r < 0x100:
		return len(`\x00`)
	default:
		return len(`\x{10ffff}`)
	}
}
