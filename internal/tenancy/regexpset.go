package tenancy

import gsyntax "github.com/grafana/regexp/syntax"

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
