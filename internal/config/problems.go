package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Error is every mistake in the settings.
type Error struct {
	Problems []Problem
}

// Problem is one mistake.
type Problem struct {
	Source string // the file's name, or "environment"
	Line   int    // in the file; 0: unknown, or the environment
	Name   string // the variable, or the path in the file; empty: the file as a whole
	Text   string // what is wrong, what was read unless it is secret, and what to write instead
}

// Error gives a heading for each source and a line for each problem in it:
//
//	config.yaml: 2 problems
//	  LOGFENCE_JWT_AUDIENCE: required; without it a token made for another service would be accepted
//	  LOGFENCE_MAX_RNAGE: unknown key; did you mean "LOGFENCE_MAX_RANGE"? (line 4)
func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i == 0 || e.Problems[i-1].Source != p.Source {
			n := 0
			for _, other := range e.Problems {
				if other.Source == p.Source {
					n++
				}
			}
			fmt.Fprintf(&b, "%s: %d problem%s\n", p.Source, n, plural(n))
		}
		b.WriteString("  ")
		if p.Name != "" {
			b.WriteString(p.Name + ": ")
		}
		b.WriteString(p.Text)
		if p.Line > 0 {
			fmt.Fprintf(&b, " (line %d)", p.Line)
		}
		b.WriteByte('\n')
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

const environment = "environment"

func (o origin) String() string {
	switch {
	case o.file == "":
		return environment
	case o.line == 0:
		return o.file
	default:
		return fmt.Sprintf("%s:%d", o.file, o.line)
	}
}

// problems gathers mistakes, one for each name.
type problems struct {
	file     string
	found    []Problem
	reported map[string]bool
}

func (p *problems) add(o origin, name, text string) {
	if p.reported == nil {
		p.reported = map[string]bool{}
	}
	if name != "" && p.reported[name] {
		return
	}
	p.reported[name] = true
	source := o.file
	if source == "" {
		source = environment
	}
	p.found = append(p.found, Problem{Source: source, Line: o.line, Name: name, Text: text})
}

// missing adds a mistake about what was written nowhere: it belongs into the file, if there is one.
func (p *problems) missing(name, text string) { p.add(origin{file: p.file}, name, text) }

// err is the Error of what was gathered: the file's first, each source in the order of the table,
// and what is unknown at the end.
func (p *problems) err() error {
	if len(p.found) == 0 {
		return nil
	}
	all := names()
	rank := func(q Problem) int {
		if i := slices.Index(all, q.Name); i >= 0 {
			return i
		}
		if q.Name == "" {
			return -1
		}
		return len(all)
	}
	slices.SortStableFunc(p.found, func(a, b Problem) int {
		if a.Source != b.Source {
			if a.Source == environment {
				return 1
			}
			return -1
		}
		return rank(a) - rank(b)
	})
	return &Error{Problems: p.found}
}

// didYouMean suggests the variable that an unknown name was meant to be.
func didYouMean(name string) string {
	short := strings.TrimPrefix(strings.ToUpper(name), Prefix)
	candidates := names()
	for i := range candidates {
		candidates[i] = strings.TrimPrefix(candidates[i], Prefix)
	}
	if best := nearestOf(short, candidates); best != "" {
		return fmt.Sprintf("; did you mean %q?", Prefix+best)
	}
	return "; logfence serve --help lists what there is"
}

// nearest suggests one of the candidates, or lists them.
func nearest(name string, candidates []string) string {
	if best := nearestOf(name, candidates); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return "; there are " + strings.Join(candidates, ", ")
}

// nearestOf is the candidate that is a slip or two away, or else the only one that the name is a part
// of or that is a part of the name; empty if there is none.
func nearestOf(name string, candidates []string) string {
	best, least := "", 2+len(name)/4
	for _, candidate := range candidates {
		if d := distance(name, candidate); d < least {
			best, least = candidate, d
		}
	}
	if best != "" || len(name) < 4 {
		return best
	}
	for _, candidate := range candidates {
		if strings.Contains(candidate, name) || strings.Contains(name, candidate) {
			if best != "" {
				return "" // could be either
			}
			best = candidate
		}
	}
	return best
}

// distance counts the letters to insert, delete or replace to make b of a (Levenshtein). Names from
// outside are cut, so that a long one costs nothing.
func distance(a, b string) int {
	a = a[:min(len(a), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// kubernetesLink are the names that Kubernetes puts into a container's environment for a Service
// that is called logfence or logfence-…; they are nobody's mistake.
var kubernetesLink = regexp.MustCompile(
	`^LOGFENCE_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$`)

func fromKubernetes(name, value string) bool {
	if !kubernetesLink.MatchString(name) {
		return false
	}
	// LOGFENCE_PORT=8080 is a mistake, LOGFENCE_PORT=tcp://10.0.0.1:8080 a link.
	return !strings.HasSuffix(name, "_PORT") || strings.HasSuffix(name, "_SERVICE_PORT") ||
		strings.Contains(value, "://") || strings.HasSuffix(name, "_TCP_PORT") ||
		strings.HasSuffix(name, "_UDP_PORT") || strings.HasSuffix(name, "_SCTP_PORT")
}
