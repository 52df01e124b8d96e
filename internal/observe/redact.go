package observe

import (
	"io"
	"regexp"
	"strings"
)

// openings are the beginnings of a credential. A text without one is passed on as it is: looking for
// them costs a hundredth of running the expression below over every line.
//
// A JWT begins with the base64url of a JSON object (RFC 7515 section 3.1): eyJ for {" and a letter, and
// the others for a brace followed by white space, a line break or a tab.
var openings = []string{"eyJ", "eyI", "eyA", "ewo", "ew0", "ewk", "Bearer", "bearer", "BEARER", "Basic", "basic", "BASIC"}

// credentials are the shapes that are taken out:
//   - a JWT or JWE that begins with eyJ, whole or cut off, however many parts it has;
//   - one that begins otherwise, told from a word by two dots between long parts;
//   - what follows Bearer or Basic in a header or in an error that quotes one. Shorter than 20
//     characters it is a word: "bearer authentication is required".
var credentials = regexp.MustCompile(
	`eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*` +
		`|e[wy][IAo0k][A-Za-z0-9_-]{7,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*` +
		`|\b(Bearer|bearer|BEARER|Basic|basic|BASIC)(?:\s|%20|\+)+[A-Za-z0-9._~+/=-]{20,}`)

// Redact replaces whatever looks like a token in a text, even a part of one. It errs on the side of
// taking out too much: a log line lives longer than a token, and is read by more people.
func Redact(text string) string {
	for _, opening := range openings {
		if strings.Contains(text, opening) {
			return credentials.ReplaceAllStringFunc(text, replacement)
		}
	}
	return text
}

// replacement keeps the scheme's name, which explains the line.
func replacement(found string) string {
	if m := credentials.FindStringSubmatch(found); m != nil && m[1] != "" {
		return m[1] + " [redacted]"
	}
	return "[redacted]"
}

// redactor redacts what is written through it. The handlers of log/slog write a record with one
// call, so no credential is cut in two.
type redactor struct {
	w io.Writer
}

func (r redactor) Write(line []byte) (int, error) {
	if _, err := io.WriteString(r.w, Redact(string(line))); err != nil {
		return 0, err
	}
	return len(line), nil
}
