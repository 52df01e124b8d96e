// Package hint guesses which common slip made a request invalid, and says what to write instead.
//
// Guarantee: a hint is text for a tenant's users, beside an error. It repeats nothing but parts of what the caller sent and
// changes nothing of what is refused. It takes time in proportion to the length of a text, of which there is no hint beyond
// [MaxBytes].
//
// Not promised here: that there is a hint, or that the slip is the only mistake.
package hint

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// MaxBytes is the length of the longest query that is searched for a slip: what users write is shorter, and a query that is
// refused is to cost little.
const MaxBytes = 16 << 10

// Query returns a hint for LogQL that Loki's parser refuses, with the place of the slip where that is not the line and
// column of the error, from 1 and in characters; "" where no slip is known. Each slip is one that Loki refuses wherever it is.
func Query(text string, line, column int) string {
	if len(text) > MaxBytes {
		return ""
	}
	outside := withoutStrings(text)
	if outside.unclosed >= 0 {
		return unclosedHint(text[outside.unclosed:])
	}
	first := slip{at: len(text)}
	if outside.escape >= 0 {
		first = escapeSlip(text, outside.escape)
	}
	for _, known := range slips {
		if found := known.find(text, outside.text); found.at < first.at {
			first = found
		}
	}
	switch l, c := positionOf(text, first.at); {
	case first.hint == "":
		return withoutSelector(outside.text)
	case l == line && c == column:
		return first.hint
	default:
		return fmt.Sprintf("Line %d, column %d: %s", l, c, first.hint)
	}
}

// slip is a slip in a text, and where it is, in bytes.
type slip struct {
	at   int
	hint string
}

// slipPattern is a kind of slip: what it looks like outside of strings and comments, and the hint for what the pattern's groups
// have found, of which the first one is the place; "" where it is none.
type slipPattern struct {
	pattern *regexp.Regexp
	hint    func(parts []string) string
}

// maxTries is how many places of a pattern are looked at: for nearly all the first one is a slip.
const maxTries = 100

// find returns the first slip of the kind; behind the text: there is none.
func (k slipPattern) find(text, outside string) slip {
	for _, at := range k.pattern.FindAllStringSubmatchIndex(outside, maxTries) {
		var parts []string
		for i := 2; i < len(at); i += 2 {
			parts = append(parts, text[at[i]:at[i+1]])
		}
		if hint := k.hint(parts); hint != "" {
			return slip{at: at[2], hint: hint}
		}
	}
	return slip{at: len(text)}
}

// withoutSelector is the hint for a query of words alone, such as one would type into a search engine.
func withoutSelector(bare string) string {
	switch {
	case strings.TrimSpace(bare) == "":
		return `The query is empty. It begins with a stream selector, such as {app="api"}.`
	case strings.ContainsAny(bare, "{(") || !strings.ContainsFunc(bare, isLetter):
		return ""
	default:
		return `A query begins with a stream selector, such as {app="api"}. To search for a text: {app="api"} |= "text".`
	}
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// outside is a text without its strings and comments.
type outside struct {
	text string // blanks are in their place, so that offsets stay what they were
	// escape is where the first backslash is that begins no escape of a double-quoted string, and unclosed where a string
	// begins that does not end; below 0: there is none.
	escape, unclosed int
}

// withoutStrings blanks out strings, but for their quotes, and comments, by Loki's rules.
func withoutStrings(text string) outside {
	b, o := []byte(text), outside{escape: -1, unclosed: -1}
	for i := 0; i < len(b); {
		end, closed, kept := i+1, true, 1
		switch rest := text[i:]; {
		case rest[0] == '"':
			var bad int
			if end, bad, closed = endOfString(text, i); bad >= 0 && o.escape < 0 {
				o.escape = bad
			}
		case rest[0] == '`':
			end, closed = endAt(text, i+1, "`")
		case rest[0] == '#', strings.HasPrefix(rest, "//"):
			end, _ = endAt(text, i, "\n")
			kept = 0
		case strings.HasPrefix(rest, "/*"):
			end, _ = endAt(text, i+2, "*/")
			kept = 0
		}
		if !closed && o.unclosed < 0 {
			o.unclosed = i
		}
		for j := i + kept; j < end-kept; j++ {
			if b[j] != '\n' {
				b[j] = ' '
			}
		}
		i = end
	}
	o.text = string(b)
	return o
}

// endAt is behind the next occurrence of a text, or the end where there is none.
func endAt(text string, from int, end string) (at int, found bool) {
	if i := strings.Index(text[from:], end); i >= 0 {
		return from + i + len(end), true
	}
	return len(text), false
}

// escapes may follow a backslash in a double-quoted string.
const escapes = `abfnrtvxuU\"01234567`

// endOfString is behind the double-quoted string at an offset, or the end of its line where it is not closed; bad is where its
// first backslash is that begins no escape, below 0: there is none.
func endOfString(text string, at int) (end, bad int, closed bool) {
	bad = -1
	for i := at + 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i + 1, bad, true
		case '\n':
			return i, bad, false
		case '\\':
			if bad < 0 && i+1 < len(text) && !strings.Contains(escapes, text[i+1:i+2]) {
				bad = i
			}
			i++
		}
	}
	return len(text), bad, false
}

// unclosedHint is the hint for a text from its first string on that is not closed.
func unclosedHint(text string) string {
	if strings.ContainsAny(text, quotes) {
		return "LogQL has no typographic quotes. Write straight double quotes: \"api\"."
	}
	return "A quote is missing: a string begins and ends with the same straight quote, and double-quoted ones end on their line."
}

func escapeSlip(text string, at int) slip {
	_, size := utf8.DecodeRuneInString(text[at+1:])
	escape := text[at : at+1+size]
	return slip{at: at, hint: fmt.Sprintf("Within double quotes a backslash is written twice: \\%s. Or put the text between backticks: `%s`.", escape, escape)}
}

// positionOf is the line and column of an offset, from 1 and in characters.
func positionOf(text string, at int) (line, column int) {
	before := text[:at]
	start := strings.LastIndexByte(before, '\n') + 1
	return 1 + strings.Count(before, "\n"), 1 + utf8.RuneCountInString(before[start:])
}

// maxPart is how many characters of a caller's text a hint repeats.
const maxPart = 60

func shortened(s string) string {
	if utf8.RuneCountInString(s) <= maxPart {
		return s
	}
	return string([]rune(s)[:maxPart]) + "…"
}
