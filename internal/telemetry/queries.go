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
	LogText LogQueries = "text" // as asked and as fenced
	LogHash LogQueries = "hash" // their SHA-256, as in the audit
	LogOff  LogQueries = "off"  // nothing
)

// UnmarshalText reads the name of a way.
func (q *LogQueries) UnmarshalText(text []byte) error {
	switch got := LogQueries(text); got {
	case LogText, LogHash, LogOff:
		*q = got
		return nil
	default:
		return fmt.Errorf("%q is not known; write text, hash or off", text)
	}
}

// WithQueries logs queries in this way; as text without it.
func WithQueries(q LogQueries) RecorderOption { return func(r *Recorder) { r.queries = q } }

// causeText is the cause as the log has it. What went wrong with a query quotes it: parsers and Loki say
// what they stumbled over, net/http names the URL. Where queries are not logged as text, only what cannot
// hold one is left of the cause.
func causeText(d *audit.AccessRecord, queries LogQueries) string {
	if len(d.Asked) == 0 || queries != LogHash && queries != LogOff {
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

// redactedError is the text of an error that is known to quote nothing.
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

// fullError is the error's text, with what an error in it tells the log alone: one whose own text is
// public is a [slog.LogValuer] when it knows more, such as an address.
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
