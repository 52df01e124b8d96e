package httpapi

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/sync/errgroup"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
	"github.com/logfence/logfence/internal/tenancy"
)

const (
	defaultContext = 10
	// contextReach bounds the search for lines: a stream that is silent for longer has no context, and Loki would read
	// days of logs in vain.
	contextReach = 24 * time.Hour
)

// GetContext handles GET /api/v1/logs/context: with three requests to Loki, which has no such operation.
func (s *Server) GetContext(c echo.Context, p api.GetContextParams) error {
	at, err := parseTime("timestamp", p.Timestamp)
	if err != nil {
		return err
	}
	before, err := s.contextLineLimit(c, p.Before)
	if err != nil {
		return err
	}
	after, err := s.contextLineLimit(c, p.After)
	if err != nil {
		return err
	}
	q, err := s.streamQuery(c, p.Stream)
	if err != nil {
		return err
	}
	reach := min(contextReach, callerOf(c).limits.MaxRange)
	d := recordOf(c)
	d.Start, d.End = notBefore(at.Add(-reach)), notAfter(at.Add(reach))
	entries := func(ctx context.Context, start, end time.Time, direction string, lines int) ([]loki.Entry, error) {
		if lines == 0 || !start.Before(end) {
			return nil, nil
		}
		return s.loki.Entries(ctx, requestOptions(c), q, loki.RangeParams{
			Window: loki.Window{Start: start, End: end}, Direction: direction, Limit: lines,
		}, pages.DefaultBytes)
	}
	var older, same, newer []loki.Entry
	requests, ctx := errgroup.WithContext(c.Request().Context())
	requests.Go(func() (err error) {
		older, err = entries(ctx, d.Start, at, "backward", before)
		return err
	})
	requests.Go(func() (err error) {
		same, err = entries(ctx, at, at.Add(1), "forward", pageLines(c))
		return err
	})
	requests.Go(func() (err error) {
		newer, err = entries(ctx, at.Add(1), d.End, "forward", after)
		return err
	})
	if err := requests.Wait(); err != nil {
		return err
	}
	slices.Reverse(older)
	var b bytes.Buffer
	b.WriteString(`{"before":`)
	appendLines(&b, older)
	b.WriteString(`,"at":`)
	appendLines(&b, same)
	b.WriteString(`,"after":`)
	appendLines(&b, newer)
	b.WriteString("}\n")
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, b.Bytes())
}

// streamQuery fences a selector as a log query. A pipeline is refused: it would leave out lines of the context.
func (s *Server) streamQuery(c echo.Context, text string) (tenancy.Query, error) {
	who := callerOf(c)
	if err := who.limits.CheckQuery(len(text)); err != nil {
		recordOf(c).Requested = []string{text}
		return tenancy.Query{}, err
	}
	err := s.withParserSlot(c.Request().Context(), who, func() error {
		_, err := who.scope.Selector(text)
		return err
	})
	if err != nil {
		recordOf(c).Requested = []string{text}
		return tenancy.Query{}, err
	}
	return s.lineQuery(c, text)
}

func (s *Server) contextLineLimit(c echo.Context, n *int) (int, error) {
	l := callerOf(c).limits
	if n == nil {
		return min(defaultContext, l.MaxLines), nil
	}
	return *n, l.CheckLines(*n)
}

// notBefore and notAfter keep a time within those that nanoseconds can hold.
func notBefore(t time.Time) time.Time {
	if t.Before(earliest) {
		return earliest
	}
	return t
}

func notAfter(t time.Time) time.Time {
	if t.After(latest) {
		return latest
	}
	return t
}

func appendLines(b *bytes.Buffer, entries []loki.Entry) {
	b.WriteByte('[')
	for i, e := range entries {
		if i > 0 {
			b.WriteByte(',')
		}
		appendLine(b, e)
	}
	b.WriteByte(']')
}
