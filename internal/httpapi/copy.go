package httpapi

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/loki"
)

// copyBufferSize is that of httputil.ReverseProxy. Memory does not grow with a response.
const copyBufferSize = 32 << 10

var copyBuffers = sync.Pool{New: func() any { return new([copyBufferSize]byte) }}

// copyBody copies a response of so many bytes (below 0: not known) to the client until its end. The header goes
// out with the first piece, so that a response that fails before it is still a problem and not half a response.
// Not by httputil.ReverseProxy, which sends the header before it reads, and cannot turn what fails then into a
// problem; the copying is the same. As there, bytes are flushed early only where the length is not known: elsewhere
// net/http holds less than 8 KB of them, and they are not all that the client waits for.
func copyBody(c echo.Context, body io.Reader, length int64) error {
	w := c.Response()
	out, stop := io.Writer(w), func() {}
	if length < 0 {
		later := &latencyWriter{to: w, flush: func() error { return flush(c) }}
		out, stop = later, later.stop
	}
	defer stop()
	buffer, _ := copyBuffers.Get().(*[copyBufferSize]byte)
	defer copyBuffers.Put(buffer)
	for {
		n, err := body.Read(buffer[:])
		ended := errors.Is(err, io.EOF)
		if ended {
			stop()
			out = w // nothing waits any more: net/http flushes what is written last
		}
		if n > 0 {
			if !w.Committed && length > 0 {
				w.Header().Set(echo.HeaderContentLength, strconv.FormatInt(length, 10))
			}
			if _, err := out.Write(buffer[:n]); err != nil {
				return fmt.Errorf("%w: %w", errAborted, err)
			}
		}
		switch {
		case ended && !w.Committed:
			return fmt.Errorf("%w: an empty response", loki.ErrFailed)
		case ended:
			return nil
		case err != nil && w.Committed:
			// Flush the bytes that have arrived: a client that receives nothing at all may treat the connection as
			// closed while idle, and repeat the request.
			stop()
			_ = flush(c) // the response is aborted either way
			return fmt.Errorf("%w: %w", errAborted, err)
		case err != nil:
			return err
		}
	}
}

// How long bytes of a response may wait for more of them before they are flushed: the first ones only as long as it
// takes to see that they are not all.
const (
	firstFlushLatency = time.Millisecond
	flushLatency      = 100 * time.Millisecond
)

// latencyWriter flushes when bytes have waited for flushLatency, as the maxLatencyWriter of
// httputil.ReverseProxy, which is not exported. The handler calls stop before it returns.
type latencyWriter struct {
	to    io.Writer
	flush func() error

	mu      sync.Mutex  // of all, to and flush included
	timer   *time.Timer // nil before the first bytes
	pending bool
	err     error // of a flush that failed; nothing is written after it
}

// Write writes, and has what was written flushed later.
func (w *latencyWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.to.Write(p)
	if err != nil || w.pending {
		return n, err
	}
	w.pending = true
	if w.timer == nil {
		w.timer = time.AfterFunc(firstFlushLatency, w.delayedFlush)
	} else {
		w.timer.Reset(flushLatency)
	}
	return n, nil
}

func (w *latencyWriter) delayedFlush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending { // stop may have been called while this waited for the lock
		w.pending = false
		w.err = w.flush()
	}
}

// stop returns when no flush is running, and none will.
func (w *latencyWriter) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = false
	if w.timer != nil {
		w.timer.Stop()
	}
}
