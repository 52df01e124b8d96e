package httpapi

import (
	"context"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/gen/api"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
	"github.com/logfence/logfence/internal/tenancy"
)

// ListLines handles GET /api/v1/logs/lines: a page of lines, or all of them as a stream, by the Accept header.
func (s *Server) ListLines(c echo.Context, p api.ListLinesParams) error {
	c.Response().Header().Add(echo.HeaderVary, echo.HeaderAccept)
	media, ok := negotiate(c.Request().Header, lineMedia)
	if !ok {
		return codeNotAcceptable.problem(nil, "The header Accept allows none of application/json, text/event-stream and application/x-ndjson.")
	}
	r, err := s.linesRequest(c, p, media != echo.MIMEApplicationJSON)
	switch {
	case err != nil:
		return err
	case media == echo.MIMEApplicationJSON:
		return s.linesPage(c, r)
	default:
		return s.streamLines(c, r, media)
	}
}

// ListLinesForm handles POST /api/v1/logs/lines.
func (s *Server) ListLinesForm(c echo.Context, _ api.ListLinesFormParams) error {
	return s.binding().ListLines(c)
}

// streamsLines are the operations that respond with a stream where it is accepted.
var streamsLines = map[string]bool{"listLines": true, "listLinesForm": true}

// classOf is the limit class of one request of the operation.
func (o *operation) classOf(c echo.Context) limits.Class {
	if streamsLines[o.id] {
		if media, ok := negotiate(c.Request().Header, lineMedia); ok && media != echo.MIMEApplicationJSON {
			return limits.ClassStream
		}
	}
	return o.class
}

// linesRequest is a request for lines, read and checked.
type linesRequest struct {
	query  tenancy.Query
	cursor pages.Cursor
	limit  int
}

func (s *Server) linesRequest(c echo.Context, p api.ListLinesParams, stream bool) (r linesRequest, err error) {
	if r.cursor, err = s.linesCursor(c, p, stream); err != nil {
		return linesRequest{}, err
	}
	if stream {
		r.limit, err = s.exportLineLimit(c, p.Limit)
	} else {
		r.limit, err = s.lineLimit(c, p.Limit)
	}
	if err != nil {
		return linesRequest{}, err
	}
	r.query, err = s.lineQuery(c, p.Query)
	return r, err
}

// linesCursor is where the reading begins: at the cursor of the request, or at the edge of its range.
func (s *Server) linesCursor(c echo.Context, p api.ListLinesParams, stream bool) (pages.Cursor, error) {
	binding := pages.Digest(firstBytes(callerOf(c).scope.Fingerprint(p.Query)))
	name, text := "cursor", p.Cursor
	if p.LastEventID != nil {
		name, text = "Last-Event-ID", p.LastEventID
		if p.Cursor != nil || !stream {
			return pages.Cursor{}, parameterInvalid(name, "Last-Event-ID is for a stream without a cursor. Send one of the two.")
		}
	} else if p.Cursor != nil {
		if given := besideCursor(p); given != "" {
			return pages.Cursor{}, parameterInvalid(given, "%s is in the cursor, and cannot be given beside it. Leave it out, or start without a cursor.", given)
		}
	}
	if text == nil {
		return s.firstCursor(c, p, binding)
	}
	cursor, err := pages.ParseCursor(*text)
	switch {
	case err != nil:
		return pages.Cursor{}, cursorInvalid(name, "The cursor is malformed. Send it exactly as it was received, or start without a cursor.")
	case cursor.Binding != binding:
		return pages.Cursor{}, cursorInvalid(name, "The cursor is of another query or of other tenants. Repeat the query exactly, or start without a cursor.")
	case stream && cursor.Previous:
		return pages.Cursor{}, cursorInvalid(name, "A stream cannot begin at a cursor of a previous page. Use the cursor of a next page.")
	}
	d := recordOf(c)
	d.Start, d.End = cursor.Window.Start, cursor.Window.End
	return cursor, callerOf(c).limits.CheckRange(d.Start, d.End)
}

func cursorInvalid(name, text string) *problem {
	p := codeCursorInvalid.problem(nil, "%s", text)
	p.Parameter = name
	return p
}

func firstBytes(sum [32]byte) []byte { return sum[:len(pages.Digest{})] }

// besideCursor is the parameter of those that a cursor replaces that is given; empty: none is.
func besideCursor(p api.ListLinesParams) string {
	switch {
	case p.Start != nil:
		return "start"
	case p.End != nil:
		return "end"
	case p.Since != nil:
		return "since"
	case p.Direction != nil:
		return "direction"
	default:
		return ""
	}
}

// firstCursor is at the edge of the range that the request names. The range ends now at the latest: lines that arrive while
// it is read would otherwise move the end of a walk forward, without an end.
func (s *Server) firstCursor(c echo.Context, p api.ListLinesParams, binding pages.Digest) (pages.Cursor, error) {
	w, err := s.window(c, p.Start, p.End, p.Since)
	if err != nil {
		return pages.Cursor{}, err
	}
	if now := s.now(); w.End.After(now) {
		w.End = now
		if w.Start.After(now) {
			w.End = w.Start
		}
	}
	recordOf(c).End = w.End
	return pages.FirstCursor(w, lowerOr(p.Direction, "backward") == "backward", binding), nil
}

// Of a page: how long it is read before it ends with what it has, and how many bytes are expected for each line requested,
// within bounds.
const (
	pageLasts     = 10 * time.Second
	pageLineBytes = 4 << 10
	minPageBytes  = 256 << 10
	maxPageBytes  = 2 << 20
)

// linesPage responds with a page.
func (s *Server) linesPage(c echo.Context, r linesRequest) error {
	bytes := int64(min(max(r.limit*pageLineBytes, minPageBytes), maxPageBytes))
	ctx := c.Request().Context()
	room := &pageRoom{reserve: s.pageMemory(c), beside: 2 * bytes}
	defer room.release()
	// Before the estimate, which has a slot at Loki.
	if _, err := room.get(ctx, pages.Cost(bytes)); err != nil {
		return err
	}
	if err := s.checkBytesRead(c, r.query, r.cursor.Rest()); err != nil {
		return err
	}
	began := time.Now()
	page, err := pages.Reading{
		Walk: pages.Walk{
			Source: s.slottedSource(c, r.query), Lines: pageLines(c), Bytes: bytes, LongBytes: s.longBytes(), Reserve: room.get,
		},
		Cursor: r.cursor, Limit: r.limit, MaxBytes: bytes, Late: func() bool { return time.Since(began) > pageLasts },
	}.Page(ctx)
	if err != nil {
		return err
	}
	room.fill(pages.Size(page.All))
	return writeLinesPage(s.pieceWriter(c), page)
}

// slottedSource requests each response of a page with a slot at Loki of its own: a page may wait for more memory between two of
// them, and must not keep a slot from others while it does.
func (s *Server) slottedSource(c echo.Context, q tenancy.Query) pages.Source {
	x, options := requestStateOf(c), requestOptions(c)
	x.ticket.Release() // that of the estimate
	options.Slot = nil
	source := s.pageSource(options, q)
	return func(ctx context.Context, p loki.RangeParams, maxBytes int64) (loki.Lines, error) {
		release, err := x.querySlot(ctx)
		if err != nil {
			return loki.Lines{}, err
		}
		defer release()
		return source(ctx, p, maxBytes)
	}
}

// pageRoom is the memory of a page, whose lines come with several responses of Loki's: that of one of them, and beside it
// that of the lines that the earlier ones had. It is reserved at once.
type pageRoom struct {
	reserve pages.Reserve
	beside  int64
	held    pages.Reservation
	bytes   int64 // of one response
}

// get reserves once. A response that needs more, before which there are no lines, gives back the memory and waits for more.
func (r *pageRoom) get(ctx context.Context, bytes int64) (pages.Reservation, error) {
	if r.held != nil && bytes <= r.bytes {
		return keptRoom{}, nil
	}
	r.release()
	held, err := r.reserve(ctx, bytes+r.beside)
	if err != nil {
		return nil, err
	}
	r.held, r.bytes = held, bytes
	return keptRoom{}, nil
}

func (r *pageRoom) fill(bytes int64) {
	if r.held != nil {
		r.held.Fill(bytes)
	}
}

func (r *pageRoom) release() {
	if r.held != nil {
		r.held.Release()
		r.held = nil
	}
}

// keptRoom is memory that its owner gives back.
type keptRoom struct{}

func (keptRoom) Fill(int64) {}
func (keptRoom) Release()   {}

// writeLinesPage writes the response in pieces, so that it is not held beside the lines.
func writeLinesPage(w *pieceWriter, page pages.Page) error {
	w.buffer.WriteString(`{"lines":[`)
	if err := w.lines(len(page.Lines()), func(i int) { appendListedLine(&w.buffer, page.Batch, i) }); err != nil {
		return err
	}
	w.buffer.WriteByte(']')
	for _, on := range []struct {
		name   string
		cursor *pages.Cursor
	}{{"next", page.Next}, {"previous", page.Previous}} {
		if on.cursor != nil {
			w.buffer.WriteString(`,"` + on.name + `":"` + on.cursor.String() + `"`)
		}
	}
	w.buffer.WriteString(`,"complete":` + strconv.FormatBool(page.Next == nil) + "}\n")
	return w.flush(0)
}
