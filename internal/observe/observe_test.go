package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"
)

// A token as an issuer would make it, though nobody signed it.
const token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSIsInRlbmFudF9pZCI6ImFjbWUifQ.c2lnbmF0dXJlLW9mLW5vYm9keQ"

// TestRecord guarantees the line of a decision, field by field: operators search in it.
func TestRecord(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name     string
		decision Decision
		want     string
	}{
		{"granted", Decision{
			Time: at, RequestID: "r1", Tenants: []string{"acme"}, Subject: "alice", Issuer: "https://issuer.example",
			Operation: "query", Asked: []string{`{app="web"}`}, Fenced: []string{`{tenant_id="acme",app="web"}`},
			Status: 200, Bytes: 512, Duration: 30 * time.Millisecond, Client: netip.MustParseAddr("192.0.2.1"),
		}, `{"level":"INFO","msg":"request","at":"2026-11-23T10:00:00Z","request_id":"r1","operation":"query",` +
			`"status":200,"tenants":["acme"],"subject":"alice","issuer":"https://issuer.example",` +
			`"query":["{app=\"web\"}"],"fenced":["{tenant_id=\"acme\",app=\"web\"}"],` +
			`"bytes":512,"duration":30000000,"client":"192.0.2.1"}`},
		{"refused before anything was known", Decision{
			Status: 401, Code: "invalid_token", Cause: fmt.Errorf("verify: %w", errors.New("token "+token+" is expired")),
		}, `{"level":"WARN","msg":"request","status":401,"code":"invalid_token","bytes":0,"duration":0,` +
			`"cause":"verify: token [redacted] is expired"}`},
		{
			"failed",
			Decision{Status: 502, Code: "loki_unreachable", Cause: errors.New("connection refused")},
			`{"level":"ERROR","msg":"request","status":502,"code":"loki_unreachable","bytes":0,"duration":0,` +
				`"cause":"connection refused"}`,
		},
		{
			"failed, with a cause that is not public",
			Decision{Status: 502, Cause: fmt.Errorf("query: %w", publicError{})},
			`{"level":"ERROR","msg":"request","status":502,"bytes":0,"duration":0,` +
				`"cause":"query: loki cannot be reached: dial 10.0.0.1:3100: connection refused"}`,
		},
		{
			"a query that searches for a token",
			Decision{Operation: "query", Status: 200, Asked: []string{`{app="web"} |= "` + token + `"`}},
			`{"level":"INFO","msg":"request","operation":"query","status":200,"query":["{app=\"web\"} |= \"[redacted]\""],"bytes":0,"duration":0}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			ctx, cancel := context.WithCancel(t.Context())
			cancel() // the caller may be gone
			NewRecorder(NewLogger(slog.LevelInfo, FormatJSON, &out)).Record(ctx, tt.decision)
			got := regexp.MustCompile(`"time":"[^"]*",`).ReplaceAllString(strings.TrimSpace(out.String()), "")
			if got != tt.want {
				t.Errorf("Record wrote\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

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

// TestNoLineHoldsAToken guarantees that a token does not reach the sink, in whatever place of whatever
// record it is logged, and that a line remains one JSON object.
func TestNoLineHoldsAToken(t *testing.T) {
	segment := rapid.StringMatching(`[A-Za-z0-9_-]{10,60}`)
	rapid.Check(t, func(t *rapid.T) {
		secret := "eyJ" + segment.Draw(t, "header") + "." + segment.Draw(t, "payload") + "." + segment.Draw(t, "signature")
		around := rapid.String().Draw(t, "before") + " " + secret + " " + rapid.String().Draw(t, "after")
		for _, format := range []Format{FormatJSON, FormatText} {
			var out bytes.Buffer
			log := NewLogger(slog.LevelDebug, format, &out)
			log.With("with", around).WithGroup("group").Error(around,
				"string", around, "error", errors.New(around), "list", []string{around},
				"struct", struct{ Field string }{around}, "pointer", &struct{ Field string }{around}, around, "key")
			for _, part := range strings.Split(secret, ".") {
				if strings.Contains(out.String(), part) {
					t.Fatalf("a part of the token is in the line: %s", out.String())
				}
			}
			if format == FormatJSON && !json.Valid(out.Bytes()) {
				t.Fatalf("not JSON: %s", out.String())
			}
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

// TestFormat guarantees that an unknown format is refused.
func TestFormat(t *testing.T) {
	var f Format
	if err := f.UnmarshalText([]byte("text")); err != nil || f != FormatText {
		t.Errorf("text: %q, %v", f, err)
	}
	if err := f.UnmarshalText([]byte("yaml")); err == nil || err.Error() != `"yaml" is not a format; write json or text` {
		t.Errorf("yaml: %v", err)
	}
}

// publicError is an error that tells the log more than callers.
type publicError struct{}

func (publicError) Error() string { return "loki cannot be reached" }

func (publicError) LogValue() slog.Value {
	return slog.StringValue("loki cannot be reached: dial 10.0.0.1:3100: connection refused")
}

func BenchmarkRecord(b *testing.B) {
	r := NewRecorder(NewLogger(slog.LevelInfo, FormatJSON, discard{}), WithMetrics(NewMetrics()))
	d := Decision{
		Time: time.Now(), RequestID: RequestID(""), Tenants: []string{"acme"}, Subject: "alice", Issuer: "https://issuer.example",
		Operation: "query", Asked: []string{`{app="web"} |= "error" | json`}, Fenced: []string{`{tenant_id="acme",app="web"} |= "error" | json`},
		Status: 200, Bytes: 512, Duration: 30 * time.Millisecond, Client: netip.MustParseAddr("192.0.2.1"),
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Record(b.Context(), d)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
