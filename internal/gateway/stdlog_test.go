package gateway

import (
	"log"
	"log/slog"
	"strings"
	"testing"
)

// TestStandardLogQuotesNothing guarantees that what net/http's client quotes of bytes that came on an idle
// connection is not logged, and that they came is.
func TestStandardLogQuotesNothing(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	l := log.New(standardLog{slog.New(slog.NewTextHandler(&out, nil))}, "", 0)
	l.Printf("Unsolicited response received on idle HTTP channel starting with %q; err=%v", "HTTP/1.1 200 OK\r\n\r\ns3cret line", nil)
	if got := out.String(); strings.Contains(got, "s3cret") || !strings.Contains(got, "Unsolicited response") || !strings.Contains(got, "level=WARN") {
		t.Errorf("logged %q", got)
	}
}
