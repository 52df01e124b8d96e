package tenancy

import (
	"strconv"
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

// compiledString is a string of the text that Loki's parser compiles as a regular expression.
type compiledString struct {
	value string
	use   use
	at    int // where it begins, in bytes
}

// scan is what one linear pass over a text finds: where to insert, what to blank out, and what
// parsing would cost. It is trusted about cost alone; that the insertions are right is for [prove].
type scan struct {
	braces    []brace
	stray     *InvalidError // the first character that is no token of LogQL; nil: there is none
	comments  []span
	hasAbsent bool

	// cost is all that one parse would cost, tokens what it would cost without regular expressions.
	cost, tokens estimate
	compiled     []compiledString

	// last are the tokens before this one, the latest first, comments left out; word is the latest if it
	// is one, in lower case.
	last       [3]rune
	word       string
	inSelector bool
	arguments  int // strings in a row, each behind a comma
	ors        int // `or` in a row, between strings
	negated    bool
}

// scanners are 131 KB each.
var scanners = sync.Pool{New: func() any { return new(syntax.Scanner) }}

// scanQuery scans a text, and refuses it with a [*TooComplexError] as soon as a bound is passed.
//
// Three rules of Loki's unexported lexer are repeated here: `#` begins a comment that runs to the
// end of the line, `[` runs raw to `]`, and the rest (strings, raw strings, `//` and `/* */`) is
// the Scanner's own.
func scanQuery(text string) (*scan, error) {
	q, err := scanTokens(text)
	if err != nil {
		return nil, err
	}
	q.tokens = q.cost
	q.cost.addRegexps(q.compiled)
	if err := q.cost.check(text); err != nil {
		return nil, err
	}
	return q, nil
}

// scanTokens is scanQuery without the price of regular expressions.
func scanTokens(text string) (*scan, error) {
	s, _ := scanners.Get().(*syntax.Scanner)
	defer scanners.Put(s)
	s.Init(strings.NewReader(text))
	s.Error = func(*syntax.Scanner, string) {} // the parser meets the same mistakes, and reports them
	s.Mode &^= syntax.SkipComments

	q := &scan{}
	for {
		token := s.Scan()
		if token == syntax.EOF {
			return q, nil
		}
		if token == syntax.Comment || token == '#' {
			q.comment(s, token)
		} else {
			q.take(s, text, token)
			q.last = [3]rune{token, q.last[0], q.last[1]}
		}
		if n := len(q.comments); n > maxComments {
			line, column := positionOf(text, q.comments[n-1].from)
			return nil, &TooComplexError{What: "comments", Limit: maxComments, Line: line, Column: column}
		}
		if err := q.cost.check(text); err != nil {
			return nil, err
		}
	}
}

func (q *scan) comment(s *syntax.Scanner, token rune) {
	from := s.Offset
	if token == '#' {
		skipTo(s, '\n')
	}
	q.comments = append(q.comments, span{from, s.Pos().Offset})
}

// skipTo reads up to a character, which is next then, or to the end.
func skipTo(s *syntax.Scanner, end rune) {
	for r := s.Peek(); r != end && r != syntax.EOF; r = s.Peek() {
		s.Next()
	}
}

func (q *scan) take(s *syntax.Scanner, text string, token rune) {
	q.cost.add(tokens, priceToken, s.Offset)
	if n := len(q.braces); q.last[0] == '{' && token == '}' {
		q.braces[n-1].empty = true
	}
	switch token {
	case '{':
		q.braces = append(q.braces, brace{after: s.Offset + 1, line: s.Line, column: s.Column})
	case '[':
		skipTo(s, ']')
		s.Next()
	case '(':
		q.cost.add(tokens, priceParen, s.Offset)
	case syntax.Int, syntax.Float:
		q.cost.add(numbers, priceNumber, s.Offset)
	case '-':
		q.cost.add(numbers, priceMinus, s.Offset)
	case '|', '!':
		q.ors, q.negated = 0, token == '!'
	case syntax.String, syntax.RawString:
		q.str(text[s.Offset:min(s.Pos().Offset, len(text))], s.Offset)
	case syntax.Ident:
		q.ident(s.TokenText(), text[min(s.Pos().Offset, len(text)):], s.Offset)
	default:
		q.strayCharacter(s, token)
	}
	q.follow(token)
}

// operators are the characters of LogQL's operators that are no case of their own in take.
const operators = ",.}=()<>]+*/%^~"

// strayCharacter notes a character that is no token of LogQL. Loki's lexer takes each as the name of a label, `\` for
// example; what Loki then does with the query depends on which of its parts parses it again (loki#21738).
func (q *scan) strayCharacter(s *syntax.Scanner, token rune) {
	if token >= 0 && q.stray == nil && !strings.ContainsRune(operators, token) {
		q.stray = &InvalidError{Message: "syntax error: unexpected " + strconv.QuoteRune(token), Line: s.Line, Column: s.Column}
	}
}

// checkStray refuses a text that Loki's parser takes although it has a character that is no token of LogQL.
func (q *scan) checkStray() error {
	if q.stray != nil {
		return q.stray
	}
	return nil
}

// follow keeps what later tokens are judged by.
func (q *scan) follow(token rune) {
	switch token {
	case '{':
		q.inSelector = true
	case '=', '!', '~', ',', syntax.Ident, syntax.String, syntax.RawString:
	default:
		q.inSelector = false
	}
	if token != ',' && token != syntax.String && token != syntax.RawString {
		q.arguments = 0
	}
}

// ident counts a word. Directly behind a number the lexer takes as many letters as make a unit
// (`5m`), so that a function's name may begin anywhere in what is a single word to the Scanner.
func (q *scan) ident(word, rest string, at int) {
	afterNumber := q.last[0] == syntax.Int || q.last[0] == syntax.Float
	word = strings.ToLower(word)
	q.word = word
	switch word {
	case syntax.OpTypeOr:
		if q.last[0] == syntax.String || q.last[0] == syntax.RawString || q.last[0] == ')' {
			q.ors++
			price := priceOr
			if q.negated {
				price = priceNegatedOr
			}
			q.cost.add(alternatives, float64(2*q.ors-1)*price, at) // adds up to ors² × price
		}
	case syntax.OpFilterIP:
	case syntax.OpRangeTypeAbsent:
		q.hasAbsent = true
		q.ors = 0
	default:
		q.ors = 0
	}
	for name := word; name != ""; name = name[1:] {
		if functionNames[name] {
			q.cost.add(functions, priceFunction, at)
			if !called(rest) {
				q.cost.add(uncalled, priceNotCalled(rest), at)
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

// str keeps a string that the parser compiles. Line filters and templates it leaves alone: those are
// priced once it has said which they are (see checkLater).
func (q *scan) str(token string, at int) {
	if q.last[0] == ',' {
		q.arguments++
	}
	u, compiled := q.useOfString()
	if !compiled {
		return
	}
	if n := len(token); n > 1 && token[n-1] == token[0] && !strings.Contains(token, `\`) {
		q.compiled = append(q.compiled, compiledString{token[1 : n-1], u, at}) // what there is to unquote are the quotes
		return
	}
	if value, err := strutil.Unquote(token); err == nil {
		q.compiled = append(q.compiled, compiledString{value, u, at})
	}
}

// useOfString tells by the tokens before a string what the parser makes of it. In doubt it is compiled.
func (q *scan) useOfString() (use, bool) {
	switch {
	case q.last[0] == '~' && (q.last[1] == '=' || q.last[1] == '!' && !endsStage(q.last[2])):
		if q.inSelector {
			return useMatcher, true
		}
		return useLabelFilter, true
	case q.last[0] == syntax.Ident && strings.HasSuffix(q.word, syntax.OpParserTypeRegexp):
		return useCompile, true
	case q.arguments >= labelReplaceStrings:
		return useCompile, true
	default:
		return 0, false
	}
}

// findString finds where a string of this value begins, in bytes; -1 where there is none. It is told the two
// tokens before each, the latest first. It reads the text again: for refusals alone.
func findString(text, value string, behind func(last, before rune) bool) int {
	s, _ := scanners.Get().(*syntax.Scanner)
	defer scanners.Put(s)
	s.Init(strings.NewReader(text))
	s.Error = func(*syntax.Scanner, string) {}
	var last, before rune
	for token := s.Scan(); token != syntax.EOF; token = s.Scan() {
		switch token {
		case '#':
			skipTo(s, '\n')
			continue
		case '[':
			skipTo(s, ']')
		}
		if (token == syntax.String || token == syntax.RawString) && behind(last, before) {
			if v, err := strutil.Unquote(s.TokenText()); err == nil && v == value {
				return s.Offset
			}
		}
		last, before = token, last
	}
	return -1
}

// labelReplaceStrings is how many strings label_replace takes; the last is a regular expression.
const labelReplaceStrings = 4

// endsStage says that the token cannot be a label, so that a filter of lines follows it.
func endsStage(token rune) bool {
	switch token {
	case '}', ')', syntax.String, syntax.RawString, syntax.Int, syntax.Float:
		return true
	default:
		return false
	}
}

// insert puts the matchers behind every opening brace, and blanks out comments, which Loki's parser
// pays for too. Line breaks stay, so that positions in the text stay what they were.
func (q *scan) insert(text, matchers string) string {
	var b strings.Builder
	b.Grow(len(text) + len(q.braces)*(len(matchers)+1))
	at, comments := 0, q.comments
	copyTo := func(end int) {
		for len(comments) > 0 && comments[0].to <= end {
			b.WriteString(text[at:comments[0].from])
			b.WriteString(blank(text[comments[0].from:comments[0].to]))
			at, comments = comments[0].to, comments[1:]
		}
		b.WriteString(text[at:end])
		at = end
	}
	for _, open := range q.braces {
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
