package audit

import (
	"slices"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"
)

// A token as an issuer would make it, though nobody signed it.
const token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSIsInRlbmFudF9pZCI6ImFjbWUifQ.c2lnbmF0dXJlLW9mLW5vYm9keQ"

// TestRedact guarantees what is taken for a credential, and that ordinary texts stay readable.
func TestRedact(t *testing.T) {
	parts := strings.Split(token, ".")
	for _, tt := range []struct{ name, in, want string }{
		{"a token", "bad token " + token + ": expired", "bad token [redacted]: expired"},
		{"in quotes", `parse "` + token + `"`, `parse "[redacted]"`},
		{"in a URL", "GET /query?access_token=" + token + "&a=b", "GET /query?access_token=[redacted]&a=b"},
		{"only its header", parts[0], "[redacted]"},
		{"cut off", "failed to parse " + token[:24] + "...", "failed to parse [redacted]"},
		{"unsigned", "alg none: " + parts[0] + "." + parts[1] + ".", "alg none: [redacted]"},
		{"encrypted, five parts", parts[0] + ".." + parts[1] + ".c2VjcmV0.dGFn", "[redacted]"},
		{"white space in the header", "got eyAiYWxnIjogIm5vbmUiIH0.eyAic3ViIjogImEiIH0.abc", "got [redacted]"},
		{"an opaque bearer token", "Authorization: Bearer 0123456789abcdef0123456789", "Authorization: Bearer [redacted]"},
		{"a password", "authorization: basic eDpzZWNyZXRzZWNyZXRzZWNyZXQ=", "authorization: basic [redacted]"},
		{"twice", token + " " + token, "[redacted] [redacted]"},
		{"a sentence about bearers", "bearer authentication is required", "bearer authentication is required"},
		{"names that begin like one", `{app="eyewitness-service.example.com"}`, `{app="eyewitness-service.example.com"}`},
		{"a ULID", "01J8ZQ4M6X5V3N2K1H0G9F8E7D", "01J8ZQ4M6X5V3N2K1H0G9F8E7D"},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Redact(tt.in); got != tt.want {
				t.Errorf("Redact(%q)\n got %q\nwant %q", tt.in, got, tt.want)
			}
		})
	}
}

// TestHasCredential guarantees that the one pass which spares the expression misses no beginning of a credential.
func TestHasCredential(t *testing.T) {
	openings := []string{"eyJ", "eyI", "eyA", "ewo", "ew0", "ewk", "Bearer", "bearer", "BEARER", "Basic", "basic", "BASIC"}
	piece := rapid.OneOf(rapid.SampledFrom(openings), rapid.StringMatching(`[eywJIAo0kBbEeaArRsSiIcC ]{0,4}`))
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(piece, 0, 3).Draw(t, "text"), "")
		want := slices.ContainsFunc(openings, func(opening string) bool { return strings.Contains(text, opening) })
		if got := hasCredential(text); got != want || hasCredential([]byte(text)) != want {
			t.Fatalf("hasCredential(%q) = %v, want %v", text, got, want)
		}
	})
}

// TestRequestID guarantees that a caller's id is kept if it can do no harm, and that others are new.
func TestRequestID(t *testing.T) {
	for _, kept := range []string{"a", "4bf92f35-77b3.4da6_A", strings.Repeat("x", 64)} {
		if got := RequestID(kept); got != kept {
			t.Errorf("RequestID(%q) = %q, want it kept", kept, got)
		}
	}
	seen := map[string]bool{}
	for _, replaced := range []string{"", strings.Repeat("x", 65), "a b", "a\nb", `a"b`, "é", "a/b", token[:60]} {
		got := RequestID(replaced)
		if _, err := ulid.ParseStrict(got); err != nil || seen[got] {
			t.Errorf("RequestID(%q) = %q, want a new ULID", replaced, got)
		}
		seen[got] = true
	}
}
