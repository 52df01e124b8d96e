package httpapi

import (
	"context"
	"errors"
	"slices"
	"strconv"
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

// contextBytes are how large the parts of a response are at most, as Loki writes them. Most responses are small, so
// that little memory is reserved at first; one that is larger is requested again.
type contextBytes struct {
	at, before, after int64
}

var smallContext, largeContext = contextBytes{256 << 10, 384 << 10, 384 << 10}, contextBytes{2 << 20, 3 << 20, 3 << 20}

// smallContextLines is up to how many lines a small response is expected.
const smallContextLines = 100

func (b contextBytes) total() int64 { return b.at + b.before + b.after }

// shared gives the bytes of a side of which no lines are requested to the other.
func (b contextBytes) shared(before, after int) contextBytes {
	switch {
	case before == 0:
		b.before, b.after = 0, b.before+b.after
	case after == 0:
		b.before, b.after = b.before+b.after, 0
	}
	return b
}

// GetContext handles GET /api/v1/logs/context: with three requests to Loki, which has no such operation.
func (s *Server) GetContext(c echo.Context, p api.GetContextParams) error {
	r, err := s.contextReader(c, p)
	if err != nil {
		return err
	}
	sizes := []contextBytes{smallContext, largeContext}
	if r.before+r.after > smallContextLines {
		sizes = sizes[1:]
	}
	for i, size := range sizes {
		if done, err := s.writeContext(c, r, size, i == len(sizes)-1); done || err != nil {
			return err
		}
	}
	return nil
}

// writeContext responds with the lines that fit into a size. If some do not, it is done only where it is the last size.
func (s *Server) writeContext(c echo.Context, r *contextReader, size contextBytes, last bool) (done bool, err error) {
	ctx := c.Request().Context()
	reserved, err := s.pageMemory(c).Get(ctx, size.total())
	if err != nil {
		return false, err
	}
	defer reserved.Release()
	lines, err := r.read(ctx, size.shared(r.before, r.after))
	if err != nil || lines.cut && !last {
		return false, err
	}
	reserved.Fill(pages.Size(lines.older) + pages.Size(lines.same) + pages.Size(lines.newer))
	return true, lines.write(s.pieceWriter(c))
}

// contextReader requests the lines around a time.
type contextReader struct {
	entries       pages.Source
	at            time.Time
	start, end    time.Time
	before, after int
	most          int // lines that Loki returns at once
}

// contextReader reads the parameters.
func (s *Server) contextReader(c echo.Context, p api.GetContextParams) (*contextReader, error) {
	at, err := parseTime("timestamp", p.Timestamp)
	if err != nil {
		return nil, err
	}
	r := &contextReader{at: at, most: pageLines(c)}
	if r.before, err = s.contextLineLimit(c, p.Before); err != nil {
		return nil, err
	}
	if r.after, err = s.contextLineLimit(c, p.After); err != nil {
		return nil, err
	}
	q, err := s.streamQuery(c, p.Stream)
	if err != nil {
		return nil, err
	}
	reach := min(contextReach, callerOf(c).limits.MaxRange)
	d := recordOf(c)
	d.Start, d.End = notBefore(at.Add(-reach)), notAfter(at.Add(reach))
	r.start, r.end, r.entries = d.Start, d.End, s.pageSource(requestOptions(c), q)
	return r, nil
}

// contextLines are the lines around a time, each list in the order of time.
type contextLines struct {
	older, same, newer []loki.Entry
	cut                bool // some were left out for their size
	more               bool // Loki may have more that belong to it, but did not return them
}

// read requests the three parts at the same time.
func (r *contextReader) read(ctx context.Context, size contextBytes) (contextLines, error) {
	var older, same, newer loki.Lines
	var cut [3]bool
	requests, ctx := errgroup.WithContext(ctx)
	requests.Go(func() (err error) {
		older, cut[0], err = r.part(ctx, loki.Window{Start: r.start, End: r.at}, "backward", r.before, size.before)
		return err
	})
	requests.Go(func() (err error) {
		same, cut[1], err = r.part(ctx, loki.Window{Start: r.at, End: r.at.Add(1)}, "forward", r.most, size.at)
		return err
	})
	requests.Go(func() (err error) {
		newer, cut[2], err = r.part(ctx, loki.Window{Start: r.at.Add(1), End: r.end}, "forward", r.after, size.after)
		return err
	})
	if err := requests.Wait(); err != nil {
		return contextLines{}, err
	}
	slices.Reverse(older.Entries)
	fewer := func(l loki.Lines, want int) bool { return len(l.Entries) < want && !l.Complete }
	return contextLines{
		older: older.Entries, same: same.Entries, newer: newer.Entries,
		cut:  slices.Contains(cut[:], true),
		more: !same.Complete || fewer(older, r.before) || fewer(newer, r.after),
	}, nil
}

// part requests the lines of one part. Where Loki counts lines more than once, half of those that were requested may come; then
// twice as many are requested.
func (r *contextReader) part(ctx context.Context, w loki.Window, direction string, lines int, maxBytes int64) (found loki.Lines, cut bool, err error) {
	if lines == 0 || !w.Start.Before(w.End) {
		return loki.Lines{Complete: true}, false, nil
	}
	found, cut, err = r.fitting(ctx, w, direction, lines, maxBytes)
	if err != nil || cut || found.Complete || len(found.Entries) >= lines || 2*lines > r.most {
		return found, cut, err
	}
	found, cut, err = r.fitting(ctx, w, direction, 2*lines, maxBytes) // the first ones are not held beside these
	if len(found.Entries) > lines {
		found.Entries, found.Complete = found.Entries[:lines], false
	}
	return found, cut && len(found.Entries) < lines, err
}

// fitting requests lines, and fewer where they are too large; then it is cut, unless there are no more.
func (r *contextReader) fitting(ctx context.Context, w loki.Window, direction string, lines int, maxBytes int64) (found loki.Lines, cut bool, err error) {
	for fewer := lines; ; {
		found, err = r.entries(ctx, loki.RangeParams{Window: w, Direction: direction, Limit: fewer}, maxBytes)
		switch {
		case err == nil:
			return found, fewer < lines && !found.Complete, nil
		case !errors.Is(err, loki.ErrTooLarge):
			return loki.Lines{}, false, err
		case fewer == 1:
			return loki.Lines{}, true, nil
		}
		fewer = pages.FewerLines(fewer, err)
	}
}

// write writes the response in pieces, so that it is not held beside the lines.
func (l contextLines) write(w *pieceWriter) error {
	for _, part := range []struct {
		name  string
		lines []loki.Entry
	}{{`{"before":[`, l.older}, {`],"at":[`, l.same}, {`],"after":[`, l.newer}} {
		w.buffer.WriteString(part.name)
		if err := w.lines(len(part.lines), func(i int) { appendLine(&w.buffer, part.lines[i]) }); err != nil {
			return err
		}
	}
	w.buffer.WriteString(`],"truncated":` + strconv.FormatBool(l.cut || l.more) + "}\n")
	return w.flush(0)
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
