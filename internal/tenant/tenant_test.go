package tenant

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestParse guarantees the grammar of names, at each of its bounds.
func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"acme": true, "A-Z.a_z-09": true, ".": true, "..": true, "-": true, strings.Repeat("a", MaxBytes): true,
		"": false, strings.Repeat("a", MaxBytes+1): false, "a b": false, "a|b": false, "a,b": false, "a/b": false, `a"b`: false,
		"a{b}": false, "a*": false, "a\nb": false, "a\x00": false, "ä": false, "а": false, "a\xff": false,
	} {
		if name, ok := Parse(text); ok != want || string(name) != text {
			t.Errorf("Parse(%q) = %q, %v; want %v", text, name, ok, want)
		}
	}
}

// FuzzParse guarantees that names are those of the expression that the documentation gives.
func FuzzParse(f *testing.F) {
	f.Add("acme")
	f.Add("a|b")
	f.Add("a\n")
	grammar := regexp.MustCompile(`\A[A-Za-z0-9._-]{1,128}\z`)
	f.Fuzz(func(t *testing.T, text string) {
		if _, ok := Parse(text); ok != grammar.MatchString(text) {
			t.Errorf("Parse(%q) is %v", text, ok)
		}
	})
}

// TestTexts guarantees that names and texts become each other unchanged, and none stay none.
func TestTexts(t *testing.T) {
	t.Parallel()
	texts := []string{"acme", "beta"}
	if got := Texts(Names(texts)); !slices.Equal(got, texts) {
		t.Errorf("got %q", got)
	}
	if Texts(nil) != nil || Names(nil) != nil {
		t.Error("no names became an empty list")
	}
}
