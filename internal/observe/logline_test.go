package observe

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestLogLine guarantees that a request's line is, to the byte, the one that slog would write, whatever is in
// the decision, and that what is odd is not lost.
func TestLogLine(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.StringMatching(`[a-z{}=",<>&\\ ]{0,20}`), rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }))
	texts := rapid.SliceOfN(text, 0, 3)
	at := time.Date(2026, 11, 28, 10, 0, 0, 120, time.FixedZone("", 3600))
	rapid.Check(t, func(t *rapid.T) {
		d := Decision{
			Time:      rapid.SampledFrom([]time.Time{{}, at, time.Unix(1<<40, 0)}).Draw(t, "time"),
			RequestID: text.Draw(t, "id"), Operation: text.Draw(t, "operation"), Code: text.Draw(t, "code"),
			Subject: text.Draw(t, "subject"), Issuer: text.Draw(t, "issuer"), Tenants: texts.Draw(t, "tenants"),
			Asked: texts.Draw(t, "asked"), Fenced: texts.Draw(t, "fenced"),
			Status: rapid.Int().Draw(t, "status"), Bytes: rapid.Int64().Draw(t, "bytes"), Duration: time.Duration(rapid.Int64().Draw(t, "duration")),
			Client: rapid.SampledFrom([]netip.Addr{{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1%eth0")}).Draw(t, "client"),
		}
		queries := rapid.SampledFrom([]LogQueries{LogText, LogHash, LogOff}).Draw(t, "queries")
		level := rapid.SampledFrom([]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}).Draw(t, "level")

		var want, got bytes.Buffer
		if err := slog.NewJSONHandler(redactor{&want}, &slog.HandlerOptions{Level: slog.LevelDebug}).Handle(context.Background(), d.record(at, level, queries)); err != nil {
			t.Fatal(err)
		}
		log, ok := NewLogger(slog.LevelDebug, FormatJSON, &got).Handler().(*jsonLog)
		if !ok {
			t.Fatal("requests' lines are not written by hand")
		}
		if err := log.request(context.Background(), at, level, &d, queries); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Fatalf("\n got %s\nwant %s", got.String(), want.String())
		}
	})
}
