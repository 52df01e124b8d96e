package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/logfence/logfence/internal/audit"
	"github.com/logfence/logfence/internal/tenant"
)

// A token as an issuer would make it, though nobody signed it.
const token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSIsInRlbmFudF9pZCI6ImFjbWUifQ.c2lnbmF0dXJlLW9mLW5vYm9keQ"

// TestRecord guarantees the line of a decision, field by field: operators search in it.
func TestRecord(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name     string
		decision audit.AccessRecord
		want     string
	}{
		{"granted", audit.AccessRecord{
			Time: at, RequestID: "r1", Tenants: []tenant.Name{"acme"}, Subject: "alice", Issuer: "https://issuer.example",
			Operation: "query", Requested: []string{`{app="web"}`}, Fenced: []string{`{tenant_id="acme",app="web"}`},
			Status: 200, Bytes: 512, Duration: 30 * time.Millisecond, Client: netip.MustParseAddr("192.0.2.1"),
		}, `{"level":"INFO","msg":"request","at":"2026-11-23T10:00:00Z","request_id":"r1","operation":"query",` +
			`"status":200,"tenants":["acme"],"subject":"alice","issuer":"https://issuer.example",` +
			`"query":["{app=\"web\"}"],"fenced":["{tenant_id=\"acme\",app=\"web\"}"],` +
			`"bytes":512,"duration":30000000,"client":"192.0.2.1"}`},
		{"refused before anything was known", audit.AccessRecord{
			Status: 401, Code: "invalid_token", Cause: fmt.Errorf("verify: %w", errors.New("token "+token+" is expired")),
		}, `{"level":"WARN","msg":"request","status":401,"code":"invalid_token","bytes":0,"duration":0,` +
			`"cause":"verify: token [redacted] is expired"}`},
		{
			"failed",
			audit.AccessRecord{Status: 502, Code: "loki_unreachable", Cause: errors.New("connection refused")},
			`{"level":"ERROR","msg":"request","status":502,"code":"loki_unreachable","bytes":0,"duration":0,` +
				`"cause":"connection refused"}`,
		},
		{
			"failed, with a cause that is not public",
			audit.AccessRecord{Status: 502, Cause: fmt.Errorf("query: %w", publicError{})},
			`{"level":"ERROR","msg":"request","status":502,"bytes":0,"duration":0,` +
				`"cause":"query: loki cannot be reached: dial 10.0.0.1:3100: connection refused"}`,
		},
		{
			"a query that searches for a token",
			audit.AccessRecord{Operation: "query", Status: 200, Requested: []string{`{app="web"} |= "` + token + `"`}},
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

// publicError is an error with more detail for the log than for callers.
type publicError struct{}

func (publicError) Error() string { return "loki cannot be reached" }

func (publicError) LogValue() slog.Value {
	return slog.StringValue("loki cannot be reached: dial 10.0.0.1:3100: connection refused")
}

func BenchmarkRecord(b *testing.B) {
	r := NewRecorder(NewLogger(slog.LevelInfo, FormatJSON, discard{}), WithMetrics(NewMetrics()))
	d := audit.AccessRecord{
		Time: time.Now(), RequestID: audit.RequestID(""), Tenants: []tenant.Name{"acme"}, Subject: "alice", Issuer: "https://issuer.example",
		Operation: "query", Requested: []string{`{app="web"} |= "error" | json`}, Fenced: []string{`{tenant_id="acme",app="web"} |= "error" | json`},
		Status: 200, Bytes: 512, Duration: 30 * time.Millisecond, Client: netip.MustParseAddr("192.0.2.1"),
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Record(b.Context(), d)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
