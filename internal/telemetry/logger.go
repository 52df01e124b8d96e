package telemetry

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/logfence/logfence/internal/audit"
)

// Format is how log lines are written.
type Format string

// The formats.
const (
	FormatJSON Format = "json" // one JSON object a line, for machines
	FormatText Format = "text" // key=value, for humans
)

// UnmarshalText reads a format's name.
func (f *Format) UnmarshalText(text []byte) error {
	switch got := Format(text); got {
	case FormatJSON, FormatText:
		*f = got
		return nil
	default:
		return fmt.Errorf("%q is not a format; write json or text", text)
	}
}

// NewLogger makes a logger whose lines hold no token, whatever is logged (see [audit.Redact]). An unknown
// format is JSON: a log in another format is better than none.
func NewLogger(level slog.Leveler, format Format, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == FormatText {
		return slog.New(slog.NewTextHandler(redactor{w}, options))
	}
	return slog.New(slog.NewJSONHandler(redactor{w}, options))
}

// redactor redacts what is written through it. The handlers of log/slog write a record with one
// call, so no credential is cut in two.
type redactor struct {
	w io.Writer
}

func (r redactor) Write(line []byte) (int, error) {
	if _, err := r.w.Write(audit.RedactLine(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}
