package tenancy

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample is a text that is searched for: a unit, repeated between a head and a tail, since costs that grow
// faster than the text are what there is to find.
type sample struct{ head, unit, tail string }

func (s sample) of(n int) string { return s.head + strings.Repeat(s.unit, n) + s.tail }

// most is how often the unit fits into the longest query.
func (s sample) most() int {
	return max(0, queryBytes-len(s.head)-len(s.tail)) / max(1, len(s.unit))
}

// frames are what a unit stands in. Those whose unit is a regular expression come first.
var frames = []sample{
	{head: "{a=~`", tail: "`}"},
	{head: "{a=~`(?i)", tail: "`}"},
	{head: "{a!~`x(?s:", tail: ")`}"},
	{head: "{a=\"b\"} | c=~`", tail: "`"},
	{head: "{a=\"b\"} | c!~`(?i)x", tail: "`"},
	{head: "{a=\"b\"} |~ `", tail: "`"},
	{head: "{a=\"b\"} !~ `(?i)x", tail: "`"},
	{head: "{a=\"b\"} |~ `x` or `", tail: "`"},
	{head: "{a=\"b\"} | regexp `(?P<y>x)", tail: "`"},
	{head: "label_replace(rate({a=\"b\"}[1m]),\"a\",\"b\",\"c\",`", tail: "`)"},
	{head: `{a="b"}`},
	{head: `1`},
	{head: `{a="b"} != "x"`},
	{head: `{a="b"} | json`},
	{head: `rate({a="b"}`, tail: `[5m])`},
	{head: `sum by (a`, tail: `) (rate({a="b"}[5m]))`},
	{head: `{a="b"`, tail: `}`},
}

const regexpFrames = 10

// atoms are what regular expressions and the rest of LogQL are made of, here.
var (
	regexpAtoms = []string{
		`\D`, `\S`, `\W`, `\d`, `\w`, `\s`, `.`, `.*`, `.+`, `.*?`, `[^/]`, `[^a-z]`, `[a-z]`, `[[:^alpha:]]`, `[[:alpha:]]`, `[[:print:]]`, `\pL`,
		`\PN`, `\p{Greek}`, `[^\pL\PN]`, `[B-\x{1E942}]`, `[\x{100}-\x{200}]`, `[\x{10000}-\x{10ffff}]`, `[ü-ÿ]`, `[ab]`, `[abc]`, `ab`, `x`, `ü`, `K`,
		`ſ`, `^`, `$`, `\b`, `\B`, `\z`, `\.`, `10\.1\.2\.3`, `error`, `a{9}`, `\d{2}`, `\D{9}`, `{3}`, `{2,5}`, `{99}`, `{0,9}`, `?`, `*`, `+`, `??`, `|`, `|`, `(`, `)`,
		`(?:`, `)`, `(?P<x>a)`, `(?i)`, `(?-i)`, `(?s)`, `(?U)`, `(?i:a)`, `(a|b)`, `(a)`, `()`, `(?:)`, `[[:word:]]`, `\Qa.b\E`, `\x41`, `-`, ` `, `a|`, `1`, `0`,
	}
	logqlAtoms = []string{
		`+1`, `-1`, `-`, ` | a>5m`, ` or "x"`, `,sum`, `{a="b"}`, `(`, `)`, `[5m]`, "#\n", ` | json a`, ` | json a="b"`, ` !~ "x"`, ` |~ "x.y"`, ` |= "x"`, ` != "x"`,
		` | a="b"`, ` | a=~"b.c"`, `| drop a`, `| keep a`, `,a`, ` . `, `sum(`, `rate(`, ` --strict`, `/2`, ` and `, ` or `, ` unless `, `1.5`, `5m`, `1h30m`, `10KB`, `"x"`, "`x`",
		`,ip`, `,duration`, `bytes`, `count`, `Sum`, ` | logfmt`, ` | unpack`, ` | decolorize`, ` | line_format "{{.a}}"`, ` | label_format a=b`, `,c="{{.d}}"`,
		` | pattern "<a> <_>"`, ` |> "<_>x<_>"`, ` | unwrap a`, ` offset 5m`, ` by (a)`, ` without(a)`, ` on(a)`, ` > bool 1`, ` ip("::1")`, ` | a=ip("1.2.3.4")`, `,b=~"c|d"`,
		`,`, ` `, "\n", `|`, `=`, `!`, `~`, `>`, `é`, `/**/`, `a`, `1`, `"`, `topk(1,`, `vector(1)`, `label_replace(`, ` | a=~"\\D"`, ` |~ "(?i)\\S"`, ` | status>=500 and a<5`,
	}
)

// searcher looks for texts that the estimate is wrong for, by changing those that it was most wrong for.
type searcher struct {
	t       *testing.T
	rnd     *rand.Rand
	ruler   *ruler
	over    []scored // the most expensive for their price first
	under   []scored // the least
	looked  int
	current string // file of the text that is measured: one that ends the process is a find, too
}

type scored struct {
	sample
	ratio float64
}

const population = 40

// TestCostSearch looks for texts that the estimate is wrong for, like [FuzzCost], for as long as
// LOGFENCE_COST_SEARCH says. It guarantees that none that is taken costs more than maxTaken, and that none that
// Loki takes and that is refused for its cost costs less than minRefused. It reports the worst of both.
func TestCostSearch(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("LOGFENCE_COST_SEARCH"))
	if err != nil {
		t.Skip("LOGFENCE_COST_SEARCH is no duration")
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, the text that is measured is in %s", seed, filepath.Join(os.TempDir(), "logfence-cost-text"))
	s := &searcher{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), ruler: newRuler(t), current: filepath.Join(os.TempDir(), "logfence-cost-text")}
	begin := processMicros(t)
	used := func() float64 { return (processMicros(t) - begin) / 1e6 }
	seeds := s.seeds()
	for i := 0; used() < length.Seconds(); i++ {
		if i < len(seeds) {
			s.look(seeds[i])
		} else {
			s.look(s.next())
		}
		if i%500 == 499 {
			t.Logf("%d texts in %.0f s of processor time", s.looked, used())
		}
	}
	t.Logf("%d texts in %.0f s of processor time", s.looked, used())
	for _, list := range [][]scored{s.over, s.under} {
		for _, c := range list[:min(len(list), 5)] {
			t.Logf("cost / price %.2f: %.200q", c.ratio, c.sample)
		}
	}
}

// seeds are each atom in each frame, in any order.
func (s *searcher) seeds() (seeds []sample) {
	for i, f := range frames {
		for _, atom := range atomsOf(i) {
			f.unit = atom
			seeds = append(seeds, f)
		}
	}
	s.rnd.Shuffle(len(seeds), func(i, j int) { seeds[i], seeds[j] = seeds[j], seeds[i] })
	return seeds
}

func (s *searcher) next() sample {
	if len(s.over) == 0 || s.rnd.IntN(4) == 0 {
		return s.random()
	}
	from := s.over
	if len(s.under) > 0 && s.rnd.IntN(3) == 0 {
		from = s.under
	}
	c := from[s.rnd.IntN(len(from))].sample
	for range 1 + s.rnd.IntN(3) {
		c = s.change(c)
	}
	return c
}

func (s *searcher) random() sample {
	i := s.rnd.IntN(len(frames))
	c := frames[i]
	for range 1 + s.rnd.IntN(6) {
		c.unit += pick(s, atomsOf(i))
	}
	return c
}

func atomsOf(frame int) []string {
	if frame < regexpFrames {
		return regexpAtoms
	}
	return logqlAtoms
}

func pick[T any](s *searcher, list []T) T { return list[s.rnd.IntN(len(list))] }

func (s *searcher) change(c sample) sample {
	isRegexp := slices.ContainsFunc(frames[:regexpFrames], func(f sample) bool { return strings.HasPrefix(c.head, f.head) })
	atoms := logqlAtoms
	if isRegexp {
		atoms = regexpAtoms
	}
	at := s.rnd.IntN(len(c.unit) + 1)
	switch s.rnd.IntN(9) {
	case 0, 1, 2:
		c.unit = c.unit[:at] + pick(s, atoms) + c.unit[at:]
	case 3:
		end := min(len(c.unit), at+1+s.rnd.IntN(4))
		c.unit = c.unit[:at] + c.unit[end:]
	case 4:
		end := min(len(c.unit), at+1+s.rnd.IntN(4))
		c.unit = c.unit[:at] + pick(s, atoms) + c.unit[end:]
	case 5:
		other := pick(s, pick(s, [][]scored{s.over, s.over, s.under})).unit
		c.unit = c.unit[:at] + other
	case 6:
		if isRegexp {
			f := frames[s.rnd.IntN(regexpFrames)]
			c.head, c.tail = f.head, f.tail
		} else {
			f := frames[regexpFrames+s.rnd.IntN(len(frames)-regexpFrames)]
			c.head, c.tail = f.head, f.tail
		}
	case 7:
		c.head += strings.Repeat(pick(s, atoms), 1+s.rnd.IntN(8))
	case 8:
		c.tail = strings.Repeat(pick(s, atoms), 1+s.rnd.IntN(8)) + c.tail
	}
	return c
}

// look compares what a sample costs with its price, at a length that is worth to be measured, and measures it
// at the bound where they are far apart.
func (s *searcher) look(c sample) {
	if len(c.unit) == 0 || len(c.unit) > 200 || len(c.head)+len(c.tail) > 400 {
		return
	}
	n, price := 1, priceOf(c.of(1))
	for price < maxParse/4 && 2*n <= c.most() {
		next := priceOf(c.of(2 * n))
		if next > maxParse {
			break
		}
		n, price = 2*n, next
	}
	text := c.of(n)
	if len(text) > queryBytes || price > maxRefusedPrice || price > maxParse && !valid(text) {
		return
	}
	_ = os.WriteFile(s.current, []byte(text), 0o600)
	s.looked++
	cost := s.ruler.glance(text)
	ratio := cost / (2 * price)
	if cost > 2_000 || price > 2_000 {
		s.keep(c, ratio, text)
	}
	const margin = 0.8
	if ratio > margin*maxTaken/(2*maxParse) || cost > margin*maxTaken {
		s.atBound(c, n, true)
	}
	if (price > maxParse/8 || n < c.most()/2) && ratio < minRefused/(2*maxParse)/margin {
		s.atBound(c, n, false)
	}
}

func (s *searcher) keep(c sample, ratio float64, text string) {
	s.over = insert(s.over, scored{c, ratio}, func(a, b scored) bool { return a.ratio > b.ratio })
	if ratio < 0.5 {
		if valid(text) {
			s.under = insert(s.under, scored{c, ratio}, func(a, b scored) bool { return a.ratio < b.ratio })
		}
	}
}

// insert keeps the best, and of those whose frame and first atom are alike not too many.
func insert(list []scored, c scored, better func(a, b scored) bool) []scored {
	const alike = 4
	same := -1
	n := 0
	for i, o := range list {
		if o.sample == c.sample {
			return list
		}
		if o.head == c.head {
			n++
			same = i
		}
	}
	if n >= alike {
		if !better(c, list[same]) {
			return list
		}
		list = slices.Delete(list, same, same+1)
	}
	at, _ := slices.BinarySearchFunc(list, c, func(o, c scored) int {
		if better(o, c) {
			return -1
		}
		return 1
	})
	list = slices.Insert(list, at, c)
	return list[:min(len(list), population)]
}

// atBound measures a sample at the greatest length that is taken, or at the least that is refused. It is
// looked for from length n.
func (s *searcher) atBound(c sample, n int, taken bool) {
	low, high := n, n
	for high < c.most() && takes(c.of(high)) {
		low, high = high, min(2*high, c.most())
	}
	if takes(c.of(high)) {
		low = high
	}
	for low < high-1 {
		if mid := (low + high) / 2; takes(c.of(mid)) {
			low = mid
		} else {
			high = mid
		}
	}
	if taken {
		text := c.of(low)
		if !takes(text) || s.ruler.glance(text) < 0.8*maxTaken {
			return
		}
		if cost := s.ruler.measure(text); cost > 0.9*maxTaken {
			s.find("taken", cost, c, low)
		}
		return
	}
	text := c.of(high)
	if takes(text) {
		return
	}
	if !valid(text) {
		return
	}
	if cost := s.ruler.measure(text); cost < 1.2*minRefused {
		s.find("refused", cost, c, high)
	}
}

func (s *searcher) find(what string, cost float64, c sample, n int) {
	s.t.Logf("%s: %.0f µs, %.0f by its price, %d times %q", what, cost, 2*priceOf(c.of(n)), n, c)
	if what == "taken" && cost > maxTaken || what == "refused" && cost < minRefused {
		s.t.Fail()
	}
}
