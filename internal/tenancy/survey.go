package tenancy

import (
	"strings"
	"sync"
	"unicode"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/prometheus/util/strutil"
)

// maxComments bounds a recursion whose frames are 262 KB: a stack overflow cannot be recovered.
const maxComments = 50

// functionNames are the words that Loki's lexer takes for functions when they are called, and
// searches the rest of the text for when they are not (functionTokens in lex.go, not exported;
// TestFunctionNames holds the two together).
var functionNames = map[string]bool{
	syntax.OpRangeTypeRate: true, syntax.OpRangeTypeRateCounter: true, syntax.OpRangeTypeCount: true,
	syntax.OpRangeTypeBytesRate: true, syntax.OpRangeTypeBytes: true, syntax.OpRangeTypeAvg: true,
	syntax.OpRangeTypeSum: true, syntax.OpRangeTypeMin: true, syntax.OpRangeTypeMax: true,
	syntax.OpRangeTypeStdvar: true, syntax.OpRangeTypeStddev: true, syntax.OpRangeTypeQuantile: true,
	syntax.OpRangeTypeFirst: true, syntax.OpRangeTypeLast: true, syntax.OpRangeTypeAbsent: true,
	syntax.OpTypeVector: true, syntax.OpTypeSum: true, syntax.OpTypeAvg: true, syntax.OpTypeMax: true,
	syntax.OpTypeMin: true, syntax.OpTypeCount: true, syntax.OpTypeStddev: true,
	syntax.OpTypeStdvar: true, syntax.OpTypeBottomK: true, syntax.OpTypeTopK: true,
	syntax.OpTypeSort: true, syntax.OpTypeSortDesc: true, syntax.OpLabelReplace: true,
	syntax.OpTypeApproxTopK: true, syntax.OpConvBytes: true, syntax.OpConvDuration: true,
	syntax.OpConvDurationSeconds: true, syntax.OpFilterIP: true,
}

// brace is an opening brace of the text. In LogQL's grammar it opens a stream selector and nothing
// else.
type brace struct {
	after        int // byte offset behind it
	line, column int // where it stands, from 1, in characters
	empty        bool
}

// span is a piece of the text, in bytes.
type span struct{ from, to int }

// survey is what one linear pass over a text finds: where to insert, what to blank out, and what
// parsing would cost. It is trusted about cost alone; that the insertions are right is for [prove].
type survey struct {
	braces    []brace
	comments  []span
	hasAbsent bool

	ors  int
	cost bill
}

// scanners are 131 KB each.
var scanners = sync.Pool{New: func() any { return new(syntax.Scanner) }}

// takeSurvey scans a text, and refuses it with a [*TooComplexError] as soon as a bound is passed.
//
// Three rules of Loki's unexported lexer are repeated here: `#` begins a comment that runs to the
// end of the line, `[` runs raw to `]`, and the rest (strings, raw strings, `//` and `/* */`) is
// the Scanner's own.
func takeSurvey(text string) (*survey, error) {
	s, _ := scanners.Get().(*syntax.Scanner)
	defer scanners.Put(s)
	s.Init(strings.NewReader(text))
	s.Error = func(*syntax.Scanner, string) {} // the parser meets the same mistakes, and reports them
	s.Mode &^= syntax.SkipComments

	v := &survey{}
	for previous := rune(0); ; {
		token := s.Scan()
		if token == syntax.EOF {
			return v, nil
		}
		v.take(s, text, token, previous)
		if err := v.check(); err != nil {
			return nil, err
		}
		if token != syntax.Comment && token != '#' {
			previous = token
		}
	}
}

func (v *survey) take(s *syntax.Scanner, text string, token, previous rune) {
	if n := len(v.braces); previous == '{' && token == '}' {
		v.braces[n-1].empty = true
	}
	switch token {
	case '{':
		v.braces = append(v.braces, brace{after: s.Offset + 1, line: s.Line, column: s.Column})
	case '[':
		for r := s.Next(); r != ']' && r != syntax.EOF; r = s.Next() {
			continue
		}
	case '#':
		from := s.Offset
		for r := s.Peek(); r != '\n' && r != syntax.EOF; r = s.Peek() {
			s.Next()
		}
		v.comments = append(v.comments, span{from, s.Pos().Offset})
	case syntax.Comment:
		v.comments = append(v.comments, span{s.Offset, s.Pos().Offset})
	case syntax.Int, syntax.Float:
		v.cost.add(numbers, priceNumber)
	case '-':
		v.cost.add(numbers, priceMinus)
	case syntax.String, syntax.RawString:
		v.str(text[s.Offset:min(s.Pos().Offset, len(text))])
	case syntax.Ident:
		afterNumber := previous == syntax.Int || previous == syntax.Float
		v.word(s.TokenText(), text[min(s.Pos().Offset, len(text)):], afterNumber)
	}
}

// word counts a word. Directly behind a number the lexer takes as many letters as make a unit
// (`5m`), so that a function's name may begin anywhere in what is a single word to the Scanner.
func (v *survey) word(word, rest string, afterNumber bool) {
	word = strings.ToLower(word)
	switch word {
	case syntax.OpTypeOr:
		v.ors++
		v.cost.add(alternatives, float64(2*v.ors-1)*priceOr) // adds up to ors² × priceOr
	case syntax.OpRangeTypeAbsent:
		v.hasAbsent = true
	}
	for name := word; name != ""; name = name[1:] {
		if functionNames[name] {
			v.cost.add(functions, priceFunction)
			if !called(rest) {
				v.cost.add(uncalled, float64(len(rest))*float64(len(rest))*priceUncalled)
			}
			return
		}
		if !afterNumber {
			return
		}
	}
}

// called tells whether the lexer's isFunction stops early at what follows a function's name.
func called(rest string) bool {
	rest = strings.TrimLeftFunc(rest, unicode.IsSpace)
	if strings.HasPrefix(rest, "(") {
		return true
	}
	for _, grouping := range []string{"by", "without"} {
		if len(rest) >= len(grouping) && strings.EqualFold(rest[:len(grouping)], grouping) {
			return true
		}
	}
	return false
}

// str prices a string: any may be a regular expression, and which are only the parser knows.
func (v *survey) str(token string) {
	if n := len(token); n > 1 && token[n-1] == token[0] && !strings.Contains(token, `\`) {
		v.cost.add(regexps, priceRegexp(token[1:n-1])) // what there is to unquote are the quotes
		return
	}
	if value, err := strutil.Unquote(token); err == nil {
		v.cost.add(regexps, priceRegexp(value))
	}
}

func (v *survey) check() error {
	if len(v.comments) > maxComments {
		return &TooComplexError{What: "comments", Limit: maxComments}
	}
	return v.cost.check()
}

// insert puts the matchers behind every opening brace, and blanks out comments, which Loki's parser
// pays for dearly too. Line breaks stay, so that positions in the text stay what they were.
func (v *survey) insert(text, matchers string) string {
	var b strings.Builder
	b.Grow(len(text) + len(v.braces)*(len(matchers)+1))
	at, comments := 0, v.comments
	copyTo := func(end int) {
		for len(comments) > 0 && comments[0].to <= end {
			b.WriteString(text[at:comments[0].from])
			b.WriteString(blank(text[comments[0].from:comments[0].to]))
			at, comments = comments[0].to, comments[1:]
		}
		b.WriteString(text[at:end])
		at = end
	}
	for _, open := range v.braces {
		copyTo(open.after)
		b.WriteString(matchers)
		if !open.empty {
			b.WriteByte(',')
		}
	}
	copyTo(len(text))
	return b.String()
}

// blank is a comment's place in the text without the comment.
func blank(comment string) string {
	b := []byte(comment)
	for i, c := range b {
		if c != '\n' {
			b[i] = ' '
		}
	}
	return string(b)
}
