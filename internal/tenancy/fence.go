package tenancy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/grafana/loki/v3/pkg/logql/syntax"
)

// want is what a text has to be.
type want int

const (
	wantQuery want = iota
	wantSelector
	wantPatterns // a selector for Loki's patterns endpoint; see [PatternSelector]
)

// Query fences a query. The error is [ErrScope], [ErrTooLong], an [*InvalidError], a
// [*TooComplexError] or an [*UnsupportedError].
//
// Parsing is the most expensive thing that logfence does with a request: callers are to let only so many
// run at once. [Scope.Cached] reports whether it is needed at all.
func (s Scope) Query(text string) (Query, error) {
	if q, ok := s.Cached(text); ok {
		return q, nil
	}
	f, err := s.fenceText(text, wantQuery)
	if err != nil {
		return Query{}, err
	}
	s.fence.queries.Add(s.key(text), f.query)
	return f.query, nil
}

// Cached is the fenced query of a text, if it is in the cache for a scope like this one.
func (s Scope) Cached(text string) (Query, bool) {
	if s.fence == nil {
		return Query{}, false
	}
	return s.fence.queries.Get(s.key(text))
}

func (s Scope) key(text string) queryKey { return queryKey{scope: s.identity, text: text} }

// Selector fences a bare stream selector; the empty text is every stream in the scope. The errors
// are those of [Scope.Query], and [ErrNotSelector].
func (s Scope) Selector(text string) (Selector, error) {
	if s.fence == nil {
		return Selector{}, ErrScope
	}
	if text == "" {
		return s.all, nil
	}
	f, err := s.fenceText(text, wantSelector)
	if err != nil {
		return Selector{}, err
	}
	return Selector{logql: f.query.logql, tenants: s.joined, named: namesIn(f.original)}, nil
}

// Selectors fences the selectors of one request. Together they may be as long, and cost as much, as one
// query: each alone could cost nearly as much as is taken, and a request may hold dozens. The errors are those of
// [Scope.Selector].
func (s Scope) Selectors(texts []string) ([]Selector, error) {
	if s.fence == nil {
		return nil, ErrScope
	}
	var (
		total    estimate
		compiled []compiledString
	)
	length := 0
	for _, text := range texts {
		if length += len(text); length > MaxQueryBytes {
			return nil, ErrTooLong
		}
		seen, err := scanTokens(text)
		if err != nil {
			return nil, err
		}
		total.addAll(&seen.cost)
		compiled = append(compiled, seen.compiled...)
	}
	total.addRegexps(compiled)
	if err := total.check(""); err != nil { // a position in which text would say little
		return nil, err
	}
	selectors := make([]Selector, len(texts))
	for i, text := range texts {
		var err error
		if selectors[i], err = s.Selector(text); err != nil {
			return nil, err
		}
	}
	return selectors, nil
}

// namesIn lists the labels that a bare selector names, joined by commas, which no name holds.
func namesIn(original syntax.Expr) string {
	m, ok := original.(*syntax.MatchersExpr)
	if !ok {
		return ""
	}
	var names []string
	for _, matcher := range m.Mts {
		if !slices.Contains(names, matcher.Name) {
			names = append(names, matcher.Name)
		}
	}
	return strings.Join(names, ",")
}

// fenced is a fenced query, with what was found on the way to it.
type fenced struct {
	query    Query
	original syntax.Expr // the caller's own text, parsed
	seen     *scan
}

// fenceText is the fence: scan, parse, insert, parse again, prove. The first doubt is the end, and
// there is no other outcome than a fenced query or a refusal.
func (s Scope) fenceText(text string, w want) (fenced, error) {
	if s.fence == nil || s.plain.text == "" {
		return fenced{}, ErrScope
	}
	if len(text) > MaxQueryBytes {
		return fenced{}, ErrTooLong
	}
	seen, err := scanQuery(text)
	if err != nil {
		return fenced{}, err
	}
	// Without validation: `{}` and selectors that Loki refuses as too wide are narrowed by the fence.
	original, err := parse(text, syntax.ParseExprWithoutValidation)
	if err != nil {
		return fenced{}, err
	}
	if _, isSelector := original.(*syntax.MatchersExpr); w != wantQuery && !isSelector {
		return fenced{}, ErrNotSelector
	}
	if err := seen.checkStray(); err != nil {
		return fenced{}, err
	}
	if err := seen.checkLater(text, original); err != nil {
		return fenced{}, err
	}
	if err := checkTemplates(text, original); err != nil {
		return fenced{}, err
	}
	p, err := s.prefix(seen.hasAbsent)
	if err != nil {
		return fenced{}, err
	}
	if w == wantPatterns {
		if p, err = p.forPatterns(original); err != nil {
			return fenced{}, err
		}
	}
	if err := seen.checkSelectors(text, p); err != nil {
		return fenced{}, err
	}
	fencedText := seen.insert(text, p.text)
	result, err := parse(fencedText, syntax.ParseExpr)
	if err != nil {
		return fenced{}, refuseFenced(err)
	}
	if err := prove(original, result, p.matchers, len(seen.braces)); err != nil {
		return fenced{}, &UnsupportedError{Reason: reasonOf(err), Proof: err.Error()}
	}
	if w == wantPatterns {
		if err := checkPatterns(result); err != nil {
			return fenced{}, &UnsupportedError{Reason: unproven, Proof: err.Error()}
		}
	}
	return fenced{query: Query{logql: fencedText, tenants: s.joined, kind: kindOf(result), readsAll: filters(result), shape: shapeOf(original)}, original: original, seen: seen}, nil
}

// checkSelectors bounds how many selectors a text has, each of which gains the matchers of the scope.
func (q *scan) checkSelectors(text string, p prefix) error {
	n := len(q.braces)
	if n > 1 && float64(n)*p.cost > maxParse {
		return q.tooManySelectors("selectors for what the token is confined by", int(maxParse/p.cost))
	}
	if len(text)+n*(len(p.text)+1) > MaxQueryBytes {
		return q.tooManySelectors("selectors for as many tenants as the token names", (MaxQueryBytes-len(text))/(len(p.text)+1))
	}
	return nil
}

func (q *scan) tooManySelectors(what string, limit int) error {
	err := &TooComplexError{What: what, Limit: limit}
	if limit < len(q.braces) {
		err.Line, err.Column = q.braces[limit].line, q.braces[limit].column
	}
	return err
}

// refuseFenced distinguishes why Loki's parser refuses a fenced text whose original it parsed. What
// validation finds in the expression carries no position and is the caller's to fix; anything with
// a position means that the text came apart where we touched it.
func refuseFenced(err error) error {
	invalid, ok := err.(*InvalidError) //nolint:errorlint // parse returns it unwrapped
	if ok && invalid.Line == 0 {
		return invalid
	}
	return &UnsupportedError{Reason: unproven, Proof: "fenced text does not parse: " + err.Error()}
}

func kindOf(e syntax.Expr) Kind {
	switch e.(type) {
	case *syntax.MatchersExpr, *syntax.PipelineExpr:
		return KindLogs
	default:
		// prove has refused every type that is not a sample expression. Not by interface: Loki's
		// LiteralExpr and VectorExpr are log selectors and samples at once.
		return KindMetrics
	}
}

// position is how Loki's ParseError prints itself (pkg/logqlmodel/error.go, v3.7.8); its fields are
// not exported.
var position = regexp.MustCompile(`(?s)^parse error at line (\d+), col (\d+): (.*)$`)

// parse calls Loki's parser with a net under it: it panics on some texts, and returns neither an
// expression nor an error when it recovers from a panic that is not an error.
func parse(text string, with func(string) (syntax.Expr, error)) (e syntax.Expr, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, err = nil, &UnsupportedError{Reason: unproven, Proof: fmt.Sprintf("parser panicked: %v", r)}
		}
	}()
	e, err = with(text)
	if err != nil {
		return nil, invalid(err.Error()).within(text).ofNewerLoki(text)
	}
	if e == nil {
		return nil, &UnsupportedError{Reason: unproven, Proof: "parser returned nothing"}
	}
	return e, nil
}

// newerNames are functions of Lokis that are newer than the parser that is linked in (v3.7.8).
var newerNames = regexp.MustCompile(`\bapprox_count_distinct\b`)

// ofNewerLoki names the function that makes a text invalid here, and valid in a newer Loki: a user who reads of it in Loki's
// documentation would look for a mistake.
func (e *InvalidError) ofNewerLoki(text string) *InvalidError {
	if name := newerNames.FindString(text); name != "" && strings.Contains(e.Message, "unexpected IDENTIFIER") {
		e.Message += "; " + name + " is known to newer versions of Loki only, and cannot be used here yet"
	}
	return e
}

// within completes a position. Loki's lexer forgets the line behind some tokens and keeps the column: in
// a text of one line that is enough, in a longer one it is nowhere.
func (e *InvalidError) within(text string) *InvalidError {
	switch {
	case e.Line > 0 || e.Column == 0:
	case strings.Contains(text, "\n"):
		e.Column = 0
	default:
		e.Line = 1
	}
	return e
}

func invalid(message string) *InvalidError {
	if m := position.FindStringSubmatch(message); m != nil {
		line, lineErr := strconv.Atoi(m[1])
		column, columnErr := strconv.Atoi(m[2])
		if lineErr == nil && columnErr == nil {
			return &InvalidError{Message: m[3], Line: line, Column: column}
		}
	}
	return &InvalidError{Message: strings.TrimPrefix(message, "parse error : ")}
}
