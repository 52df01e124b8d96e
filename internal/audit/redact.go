package audit

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// hasCredential reports whether a text has the beginning of a credential: one of
//
//	eyJ eyI eyA ewo ew0 ewk Bearer bearer BEARER Basic basic BASIC
//
// A text without one is returned unchanged: this search, in one pass, costs a thousandth of running the
// expression below over every line.
//
// A JWT begins with the base64url of a JSON object (RFC 7515 section 3.1): eyJ for {" and a letter, and
// the others for a brace followed by white space, a line break or a tab.
func hasCredential[T string | []byte](text T) bool {
	// The rarer letters of each, which the library finds many at a time: y and w of the first six.
	for _, rare := range []byte("ywBb") {
		for at := 0; ; at++ {
			next := indexByte(text[at:], rare)
			if next < 0 {
				break
			}
			at += next
			if opens(text, at) {
				return true
			}
		}
	}
	return false
}

func indexByte[T string | []byte](text T, c byte) int {
	switch t := any(text).(type) {
	case string:
		return strings.IndexByte(t, c)
	case []byte:
		return bytes.IndexByte(t, c)
	}
	return -1
}

// opens reports whether one of the beginnings has its rarer letter here.
func opens[T string | []byte](text T, at int) bool {
	switch text[at] {
	case 'y', 'w':
		switch string(text[max(at-1, 0):min(at+2, len(text))]) {
		case "eyJ", "eyI", "eyA", "ewo", "ew0", "ewk":
			return true
		}
	case 'B', 'b':
		switch string(text[at:min(at+6, len(text))]) {
		case "Bearer", "bearer", "BEARER":
			return true
		}
		switch string(text[at:min(at+5, len(text))]) {
		case "Basic", "basic", "BASIC":
			return true
		}
	}
	return false
}

// credentials are the shapes that are redacted:
//   - a JWT or JWE that begins with eyJ, complete or cut off, however many parts it has;
//   - one that begins otherwise, distinguished from a word by two dots between long parts;
//   - what follows Bearer or Basic in a header or in an error that quotes one. Shorter than 20
//     characters it is a word: "bearer authentication is required".
var credentials = regexp.MustCompile(
	`eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*` +
		`|e[wy][IAo0k][A-Za-z0-9_-]{7,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*` +
		`|\b(Bearer|bearer|BEARER|Basic|basic|BASIC)(?:\s|%20|\+)+[A-Za-z0-9._~+/=-]{20,}`)

// Redact replaces whatever looks like a token in a text, even a part of one. It errs on the side of
// redacting too much: a log line is kept longer than a token is valid, and has more readers.
func Redact(text string) string {
	if hasCredential(text) {
		return credentials.ReplaceAllStringFunc(text, replacement)
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

// RedactLine is [Redact] for a line that is about to be written. It returns the line itself where there is
// nothing to redact.
func RedactLine(line []byte) []byte {
	if !hasCredential(line) {
		return line
	}
	return []byte(Redact(string(line)))
}

// RedactAll redacts each of the texts, and returns the same slice where there is nothing to redact.
func RedactAll[T ~string](texts []T) []T {
	if !slices.ContainsFunc(texts, func(text T) bool { return hasCredential(string(text)) }) {
		return texts
	}
	clean := make([]T, len(texts))
	for i, text := range texts {
		clean[i] = T(Redact(string(text)))
	}
	return clean
}
