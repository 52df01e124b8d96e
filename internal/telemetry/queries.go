package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"

	"github.com/logfence/logfence/internal/audit"
)

// LogQueries is how much of a query a log line holds.
type LogQueries string

// The ways to log queries.
const (
	LogText LogQueries = "text" // as requested and as fenced
	LogHash LogQueries = "hash" // their SHA-256, as in the audit log
	LogOff  LogQueries = "off"  // nothing
)

// UnmarshalText parses a LogQueries value.
func (q *LogQueries) UnmarshalText(text []byte) error {
	switch got := LogQueries(text); got {
	case LogText, LogHash, LogOff:
		*q = got
		return nil
	default:
		return fmt.Errorf("%q is not known; write text, hash or off", text)
	}
}

// WithQueries sets how queries are logged. The default is as text.
func WithQueries(q LogQueries) RecorderOption { return func(r *Recorder) { r.queries = q } }

// causeText returns the cause for the log. Errors of a query quote it: those of parsers and of Loki quote the faulty
// part, those of net/http the URL. Where queries are not logged as text, only the parts that cannot contain one
// remain.
func causeText(d *audit.AccessRecord, queries LogQueries) string {
	if len(d.Requested) == 0 || queries != LogHash && queries != LogOff {
		return fullError(d.Cause)
	}
	var (
		request *url.Error
		network *net.OpError
	)
	switch {
	case errors.As(d.Cause, &request):
		return request.Op + ": " + redactedError(request.Err)
	case errors.As(d.Cause, &network):
		return network.Error()
	}
	return redactedError(d.Cause)
}

// redactedError returns the text of errors that are known to quote nothing, and a placeholder for others.
func redactedError(err error) string {
	var network *net.OpError
	if errors.As(err, &network) {
		return network.Error()
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF, io.EOF, audit.ErrNotRecorded} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "left out, since it may quote the query"
}

// fullError returns the error's text including details for the log only: an error whose own text is public and that
// has more details, such as an address, is a [slog.LogValuer].
func fullError(err error) string {
	message := err.Error()
	var more interface {
		error
		slog.LogValuer
	}
	if !errors.As(err, &more) {
		return message
	}
	return strings.Replace(message, more.Error(), slog.AnyValue(more).Resolve().String(), 1)
}
