package gateway

import (
	"log"
	"log/slog"
	"strings"
)

// redirectStandardLog has what libraries write to the standard library's log written to ours.
func redirectStandardLog(to *slog.Logger) {
	log.SetFlags(0)
	log.SetOutput(standardLog{to})
}

// standardLog takes lines of the standard library's log. net/http's client quotes there what a server sends on
// an idle connection ("Unsolicited response received on idle HTTP channel starting with …"), which may be a
// tenant's logs: quotes are left out.
type standardLog struct{ to *slog.Logger }

// Write logs one line.
func (s standardLog) Write(line []byte) (int, error) {
	text, _, _ := strings.Cut(string(line), `"`)
	s.to.Warn("message of a library", "text", strings.TrimSuffix(text, "\n"))
	return len(line), nil
}
