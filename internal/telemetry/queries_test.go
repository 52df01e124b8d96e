package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/audit"
)

// TestLogQueries guarantees that a log that is to hold no query holds none, in whatever error it comes back.
func TestLogQueries(t *testing.T) {
	t.Parallel()
	const private = "4111-1111"
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for _, tt := range []struct {
		name  string
		way   LogQueries
		cause error
		want  string
	}{
		{"as text", LogText, nil, private},
		{"as hash", LogHash, nil, `"query":["sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]`},
		{"off", LogOff, nil, `"bytes":0`},
		{"a parser's error", LogOff, errors.New("unexpected " + private), `"cause":"left out, since it may quote the query"`},
		{
			"a request's error, which names the URL", LogHash,
			fmt.Errorf("get: %w", &url.Error{Op: "Get", URL: "http://loki/?query=" + private, Err: refused}),
			`"cause":"Get: dial tcp: connection refused"`,
		},
		{"a response that broke off", LogOff, fmt.Errorf("%w after %s", io.ErrUnexpectedEOF, private), `"cause":"unexpected EOF"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			r := NewRecorder(NewLogger(slog.LevelDebug, FormatJSON, &out), WithQueries(tt.way))
			requested := private
			if tt.way == LogHash {
				requested = "abc" // FIPS 180-2, appendix B.1
			}
			r.Record(t.Context(), audit.AccessRecord{Operation: "query", Status: 502, Requested: []string{requested}, Fenced: []string{requested}, Cause: tt.cause})
			if got := out.String(); !strings.Contains(got, tt.want) {
				t.Errorf("got %swant in it %s", got, tt.want)
			}
			if tt.way != LogText && strings.Contains(out.String(), private) {
				t.Errorf("the query is in the line: %s", out.String())
			}
		})
	}
	var q LogQueries
	if err := q.UnmarshalText([]byte("never")); err == nil || q.UnmarshalText([]byte("off")) != nil || q != LogOff {
		t.Errorf("never: %v, off: %q", err, q)
	}
}

// TestPagesAreQuiet guarantees that pages which everybody may read fill no log, and that what is refused
// there does not go unseen.
func TestPagesAreQuiet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		d    audit.AccessRecord
		want string
	}{
		{audit.AccessRecord{Status: 200}, `"level":"DEBUG"`},
		{audit.AccessRecord{Status: 304}, `"level":"DEBUG"`},
		{audit.AccessRecord{Status: 404, Code: "not_found"}, `"level":"WARN"`},
		{audit.AccessRecord{Operation: "me", Status: 200}, `"level":"INFO"`},
	} {
		var out bytes.Buffer
		NewRecorder(NewLogger(slog.LevelDebug, FormatJSON, &out)).Record(t.Context(), tt.d)
		if !strings.Contains(out.String(), tt.want) {
			t.Errorf("%+v: got %s", tt.d, out.String())
		}
	}
}
