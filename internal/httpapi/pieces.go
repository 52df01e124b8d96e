package httpapi

import (
	"bytes"
	"io"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/cpuslots"
)

// writePiece is how much of a response that is made here is written at once.
const writePiece = 64 << 10

// pieceWriter writes a response of lines in pieces, each of which it makes in a CPU slot. What is in the buffer is written
// with the next piece.
type pieceWriter struct {
	cpuSlots cpuslots.Slots
	to       io.Writer
	buffer   bytes.Buffer
}

// pieceWriter responds with JSON.
func (s *Server) pieceWriter(c echo.Context) *pieceWriter {
	c.Response().Header().Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
	return &pieceWriter{cpuSlots: s.cpuSlots, to: c.Response()}
}

// lines writes so many lines as items of an array. The function appends one of them to the buffer.
func (w *pieceWriter) lines(n int, appendLine func(i int)) error {
	for i := 0; i < n; {
		w.cpuSlots.Do(func() {
			for ; i < n && w.buffer.Len() <= writePiece; i++ {
				if i > 0 {
					w.buffer.WriteByte(',')
				}
				appendLine(i)
			}
		})
		if err := w.flush(writePiece); err != nil {
			return err
		}
	}
	return nil
}

// flush writes the buffer if it holds more than so many bytes.
func (w *pieceWriter) flush(above int) error {
	if w.buffer.Len() <= above {
		return nil
	}
	_, err := w.to.Write(w.buffer.Bytes())
	w.buffer.Reset()
	return aborted(err)
}
