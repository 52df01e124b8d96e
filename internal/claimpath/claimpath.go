// Package claimpath names claims of tokens.
//
// Guarantee: a [Path] leads to one claim at most, by names that are compared byte by byte.
//
// Not promised here: that the claims are verified (package auth).
package claimpath

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// A Path leads to a claim: names of objects within each other, at least one.
type Path []string

// maxDepth bounds a path: no provider nests claims deeper.
const maxDepth = 16

// Parse reads a path. Syntax: a name, or names joined by dots for a claim within objects: `app_metadata.tenant` is the
// member "tenant" of the claim "app_metadata". Within a name `\.` is a dot and `\\` a backslash; any other backslash is a
// mistake. As names that are URLs have dots in them, a text that contains "://" and no backslash is one name as it stands.
func Parse(text string) (Path, error) {
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return nil, fmt.Errorf("%q contains spaces or control characters; write a claim name, or names joined by dots", text)
	}
	if strings.Contains(text, "://") && !strings.Contains(text, `\`) {
		return Path{text}, nil
	}
	var path Path
	var name strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\\':
			i++
			if i == len(text) || text[i] != '.' && text[i] != '\\' {
				return nil, fmt.Errorf(`%q has a backslash that escapes nothing; write \. for a dot in a name, \\ for a backslash`, text)
			}
			name.WriteByte(text[i])
		case '.':
			path = append(path, name.String())
			name.Reset()
		default:
			name.WriteByte(c)
		}
	}
	path = append(path, name.String())
	if slices.Contains(path, "") {
		return nil, fmt.Errorf(`%q has an empty name in it; write names joined by single dots, and \. for a dot in a name`, text)
	}
	if len(path) > maxDepth {
		return nil, fmt.Errorf("%q is %d names deep; at most %d are read", text, len(path), maxDepth)
	}
	return path, nil
}

// Lookup returns the claim. Letter case counts, and arrays are not entered.
func (p Path) Lookup(claims map[string]any) (any, bool) {
	var v any = claims
	for _, name := range p {
		object, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = object[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// String is the path in the syntax of [Parse].
func (p Path) String() string {
	names := make([]string, 0, len(p))
	for _, name := range p {
		names = append(names, strings.NewReplacer(`\`, `\\`, ".", `\.`).Replace(name))
	}
	return strings.Join(names, ".")
}
