package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/cpuslots"
	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
)

// maxWindows is how many windows of a stream are read at the same time at most.
const maxWindows = 4

// progressEvery is how long a stream is silent at most about how far it is.
const progressEvery = time.Second

// streamLines responds with a stream of lines. What fails after its first byte is an event.
func (s *Server) streamLines(c echo.Context, r linesRequest, media string) error {
	ctx, x := c.Request().Context(), requestStateOf(c)
	if err := s.checkBytesRead(c, r.query, r.cursor.Rest()); err != nil {
		return err
	}
	options := requestOptions(c)
	options.Slot = nil // each window has its own
	stream := pages.NewStream(ctx, pages.StreamConfig{
		Walk: pages.Walk{
			Source: s.pageSource(options, r.query), Lines: pageLines(c), LongBytes: s.longBytes(), Reserve: s.pageMemory(c),
		},
		Cursor: r.cursor, Limit: r.limit, AtOnce: min(maxWindows, max(1, callerOf(c).limits.Queries/2)),
		Slot: x.querySlot, Kind: errorKind,
	})
	defer stream.Close()
	w := &lineStream{Context: c, problemOf: s.problemOf, stream: stream, cpuSlots: s.cpuSlots, ndjson: media == mediaNDJSON, began: time.Now(), firstLine: s.recorder.FirstLine}
	d := recordOf(c)
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, media)
	h.Set("X-Accel-Buffering", "no") // otherwise nginx buffers events until it has a page of them
	c.Response().WriteHeader(http.StatusOK)
	err := w.run(ctx)
	d.Windows, d.Lines, d.Gaps = stream.Windows(), stream.Lines(), w.gaps
	d.End, d.Ended = r.cursor.Window.End, w.ended
	s.recorder.StreamEnded(w.ended, w.gaps)
	return err
}

// querySlot waits for a slot at Loki of its own, beside the others of the request.
func (x *requestState) querySlot(ctx context.Context) (release func(), err error) {
	ticket := x.ticket.Query()
	if err := ticket.Acquire(ctx); err != nil {
		ticket.Release()
		return nil, err
	}
	return ticket.Release, nil
}

// errorKind decides what an error of one window means for the stream: Loki refuses and times out by how much there is to
// read, so less of it may be read.
func errorKind(err error) pages.ErrorKind {
	var refused *loki.RefusedError
	var exceeded *limits.ExceededError
	switch {
	case errors.As(err, &refused):
		if refused.Mistake() {
			return pages.ErrorFatal
		}
		return pages.ErrorOfWindow
	case errors.Is(err, loki.ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, loki.ErrFailed):
		return pages.ErrorOfWindow
	case errors.As(err, &exceeded), errors.Is(err, limits.ErrOverloaded), errors.Is(err, loki.ErrRateLimited),
		errors.Is(err, loki.ErrUnreachable), errors.Is(err, loki.ErrUnavailable):
		return pages.ErrorOfLoad
	default:
		return pages.ErrorFatal
	}
}

// lineStream writes a stream of lines as events.
type lineStream struct {
	echo.Context

	problemOf func(err error, queries ...string) *problem

	stream    *pages.Stream
	cpuSlots  cpuslots.Slots
	ndjson    bool
	began     time.Time
	firstLine func(time.Duration)

	buffer   bytes.Buffer
	progress time.Time // when it was last sent
	bytes    int64     // of the lines' text
	gaps     int
	ended    string // the reason of the end; empty: the client has left
}

// The reasons of an end.
const (
	endComplete = "complete"
	endGaps     = "gaps"
	endLimit    = "limit"
	endError    = "error"
)

// run writes events until the stream ends or the client can't be written to.
func (w *lineStream) run(ctx context.Context) error {
	if err := w.sendProgress(); err != nil {
		return err
	}
	for {
		event, err := w.next(ctx)
		switch {
		case err == nil && event.Gap != nil:
			err = w.sendGap(*event.Gap)
		case err == nil && len(event.Lines()) > 0:
			err = w.sendLines(event.Batch)
		case err != nil:
			return w.end(ctx, err)
		}
		if err == nil && time.Since(w.progress) >= progressEvery {
			err = w.sendProgress()
		}
		if err != nil {
			return err
		}
	}
}

// next waits for an event until progress is to be sent. When it has passed, the event is empty.
func (w *lineStream) next(ctx context.Context) (pages.Event, error) {
	until, cancel := context.WithDeadline(ctx, w.progress.Add(progressEvery))
	defer cancel()
	event, err := w.stream.Next(until)
	if errors.Is(err, context.DeadlineExceeded) && until.Err() != nil && ctx.Err() == nil {
		return pages.Event{}, nil
	}
	return event, err
}

// end writes the last events.
func (w *lineStream) end(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, pages.ErrStreamEnd) && w.gaps > 0:
		w.ended = endGaps
	case errors.Is(err, pages.ErrStreamEnd):
		w.ended = endComplete
	case errors.Is(err, pages.ErrStreamLimit):
		w.ended = endLimit
	case errors.Is(context.Cause(ctx), errTokenExpired):
		err = tokenExpired()
		fallthrough
	default:
		if ctx.Err() != nil && asProblem(err) == nil {
			return err // the client has left
		}
		w.ended = endError
		if err := w.sendError(err); err != nil {
			return err
		}
	}
	end := struct {
		Complete bool   `json:"complete"`
		Reason   string `json:"reason"`
		Next     string `json:"next,omitempty"`
	}{Complete: w.ended == endComplete, Reason: w.ended}
	if w.ended == endLimit || w.ended == endError {
		end.Next = w.stream.Cursor().String()
	}
	if err := w.sendProgress(); err != nil {
		return err
	}
	return w.sendJSON("end", "", end)
}

// sendLines writes lines in events of about 64 KiB, each with the cursor behind it.
func (w *lineStream) sendLines(b pages.Batch) error {
	if w.bytes == 0 {
		w.firstLine(time.Since(w.began))
	}
	var data bytes.Buffer
	at := w.stream.Cursor()
	for i, n := 0, len(b.Lines()); i < n; {
		data.Reset()
		w.cpuSlots.Do(func() { i = w.encode(&data, b, i) })
		at.At = pages.PositionOf(b.All, b.First+i-1, b.Backward)
		if err := w.send("lines", at.String(), data.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// encode writes the data of one event, of the lines from i on, and returns the next one.
func (w *lineStream) encode(data *bytes.Buffer, b pages.Batch, i int) (next int) {
	lines := b.Lines()
	data.WriteString(`{"lines":[`)
	for first := i; i < len(lines) && data.Len() < writePiece; i++ {
		if i > first {
			data.WriteByte(',')
		}
		appendListedLine(data, b, i)
		w.bytes += int64(len(lines[i].Line))
	}
	data.WriteString(`]}`)
	return i
}

func (w *lineStream) sendProgress() error {
	w.progress = time.Now()
	return w.sendJSON("progress", "", struct {
		Done    float64 `json:"done"`
		Lines   int     `json:"lines"`
		Bytes   int64   `json:"bytes"`
		Seconds float64 `json:"seconds"`
	}{w.stream.Done(), w.stream.Lines(), w.bytes, time.Since(w.began).Seconds()})
}

// sendGap writes a gap, with the cursor behind it.
func (w *lineStream) sendGap(g pages.Gap) error {
	w.gaps++
	p := w.problem(g.Err)
	recordOf(w).Cause = g.Err
	return w.sendJSON("gap", w.stream.Cursor().String(), struct {
		From   time.Time `json:"from"`
		To     time.Time `json:"to"`
		Code   string    `json:"code"`
		Detail string    `json:"detail"`
	}{g.Start.UTC(), g.End.UTC(), p.Code, p.Detail})
}

func (w *lineStream) sendError(err error) error {
	p := w.problem(err)
	d := recordOf(w)
	d.Code, d.Cause = p.Code, err
	return w.sendJSON("error", "", p)
}

func (w *lineStream) problem(err error) *problem {
	d := recordOf(w)
	p := w.problemOf(err, d.Requested...)
	p.RequestID = d.RequestID
	return p
}

func (w *lineStream) sendJSON(event, id string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", event, err)
	}
	return w.send(event, id, data)
}

// send writes an event. Its data is JSON without line feeds.
func (w *lineStream) send(event, id string, data []byte) error {
	w.buffer.Reset()
	if w.ndjson {
		w.buffer.WriteString(`{"event":"` + event + `"`)
		if id != "" {
			w.buffer.WriteString(`,"id":"` + id + `"`)
		}
		w.buffer.WriteString(`,"data":`)
		w.buffer.Write(data)
		w.buffer.WriteString("}\n")
	} else {
		w.buffer.WriteString("event: " + event + "\n")
		if id != "" {
			w.buffer.WriteString("id: " + id + "\n")
		}
		w.buffer.WriteString("data: ")
		w.buffer.Write(data)
		w.buffer.WriteString("\n\n")
	}
	_, err := w.Response().Write(w.buffer.Bytes())
	if w.buffer.Cap() > 4*writePiece { // of a long line
		w.buffer = bytes.Buffer{}
	}
	if err != nil {
		return aborted(err)
	}
	return aborted(flush(w))
}
