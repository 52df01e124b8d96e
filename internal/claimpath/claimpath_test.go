package claimpath

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParse guarantees the syntax of paths.
func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Path // nil: refused
	}{
		{"tenant_id", Path{"tenant_id"}},
		{"a.b", Path{"a", "b"}},
		{`a\.b.c`, Path{"a.b", "c"}},
		{`a\\.b`, Path{`a\`, "b"}},
		{"https://acme.example/a.b", Path{"https://acme.example/a.b"}},
		{`https://acme\.example/a.b`, Path{"https://acme.example/a", "b"}},
		{"urn:acme:tenant", Path{"urn:acme:tenant"}},
		{"", nil},
		{".", nil},
		{"a.", nil},
		{".a", nil},
		{"a..b", nil},
		{`a\`, nil},
		{`a\b`, nil},
		{"a b", nil},
		{"a\n", nil},
		{strings.Repeat("a.", 16) + "a", nil},
	} {
		got, err := Parse(tt.text)
		if d := cmp.Diff(tt.want, got); d != "" || (err == nil) != (tt.want != nil) {
			t.Errorf("Parse(%q), %v (-want +got):\n%s", tt.text, err, d)
		}
	}
}

// TestLookup guarantees that a path leads through objects alone, and that its text leads to the same claim.
func TestLookup(t *testing.T) {
	t.Parallel()
	claims := map[string]any{"a": map[string]any{"b.c": "x"}, "list": []any{map[string]any{"b": "y"}}}
	for text, want := range map[string]any{`a.b\.c`: "x", "a.b.c": nil, "A": nil, "list.b": nil, "list.0": nil} {
		path, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := path.Lookup(claims)
		if got != want || ok != (want != nil) {
			t.Errorf("%s: %v, %v", text, got, ok)
		}
		if again, err := Parse(path.String()); err != nil || !slices.Equal(again, path) {
			t.Errorf("%s became %s: %v", text, path, err)
		}
	}
}
