package httpapi

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/web"
)

// headerEncodingFlags asks Loki to tell structured metadata from parsed labels. It is the one header
// of Loki's own that is passed on, and only with the one value that has a meaning.
const (
	headerEncodingFlags = "X-Loki-Response-Encoding-Flags"
	flagCategorize      = "categorize-labels"
)

// callOf is what of a request's headers changes the request to Loki.
func callOf(c echo.Context) loki.Call {
	r := c.Request()
	return loki.Call{
		Tenants:          callerOf(c).Tenants,
		Timeout:          callerOf(c).limits.Timeout,
		AcceptGzip:       web.AcceptsGzip(r.Header),
		CategorizeLabels: r.Header.Get(headerEncodingFlags) == flagCategorize,
	}
}

// Answers are carried in two sizes of buffers. Most of those that are under way at any time wait for Loki,
// or for a slow caller, and hold little; one that flows has room for as much as the system hands over at
// once. Memory does not grow with an answer.
const (
	waitingBuffer = 4 << 10
	flowingBuffer = 64 << 10
)

var (
	waiting = sync.Pool{New: func() any { return new([waitingBuffer]byte) }}
	flowing = sync.Pool{New: func() any { return new([flowingBuffer]byte) }}
)

// carrier is the buffer of one answer.
type carrier struct {
	small *[waitingBuffer]byte
	large *[flowingBuffer]byte // nil while the answer waits
}

func newCarrier() carrier {
	small, _ := waiting.Get().(*[waitingBuffer]byte)
	return carrier{small: small}
}

// next is where to read into, when the last read gave so many bytes: what was filled flows, and what was
// not is going to wait.
func (c *carrier) next(last int) []byte {
	switch {
	case c.large == nil && last == waitingBuffer:
		c.large, _ = flowing.Get().(*[flowingBuffer]byte)
	case c.large != nil && last < flowingBuffer:
		flowing.Put(c.large)
		c.large = nil
	}
	if c.large != nil {
		return c.large[:]
	}
	return c.small[:]
}

func (c *carrier) release() {
	waiting.Put(c.small)
	if c.large != nil {
		flowing.Put(c.large)
	}
}

// pass streams Loki's answer on, as it comes, without reading what is in it.
func (s *Server) pass(c echo.Context, answer *loki.Answer, err error) error {
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // it has been read to its end, or the answer is broken off
	// Where its length is known, before the first byte; elsewhere when it shows, and the answer is broken off.
	l := callerOf(c).limits
	if err := l.CheckAnswer(answer.Length); err != nil {
		return err //nolint:wrapcheck // problemOf knows it
	}
	if answer.Length < 0 {
		answer.Body = &bounded{ReadCloser: answer.Body, limits: l}
	}
	h := c.Response().Header()
	h[echo.HeaderContentType] = isJSON
	if len(h[echo.HeaderVary]) == 0 {
		h[echo.HeaderVary] = varyEncoding
	} else { // of CORS
		h.Add(echo.HeaderVary, echo.HeaderAcceptEncoding)
	}
	if answer.ContentEncoding != "" {
		h.Set(echo.HeaderContentEncoding, answer.ContentEncoding)
	}
	return stream(c, answer)
}

// stream copies until the end, passing on each piece when it comes. The header goes out with the
// first piece, so that an answer that fails before it is still a problem and not half an answer.
func stream(c echo.Context, answer *loki.Answer) error {
	w := c.Response()
	carrier := newCarrier()
	defer carrier.release()
	for n := 0; ; {
		buffer := carrier.next(n)
		var err error
		n, err = answer.Body.Read(buffer)
		ended := errors.Is(err, io.EOF)
		if n > 0 {
			if !w.Committed && answer.Length > 0 {
				w.Header().Set(echo.HeaderContentLength, strconv.FormatInt(answer.Length, 10))
			}
			if _, err := w.Write(buffer[:n]); err != nil {
				return fmt.Errorf("%w: %w", errAborted, err)
			}
			if ended { // what comes last goes out with the answer's end, in one packet
				return nil
			}
			if err := flush(c); err != nil {
				return fmt.Errorf("%w: %w", errAborted, err)
			}
		}
		switch {
		case ended && !w.Committed:
			return fmt.Errorf("%w: an empty answer", loki.ErrFailed)
		case ended:
			return nil
		case err != nil && w.Committed:
			return fmt.Errorf("%w: %w", errAborted, err)
		case err != nil:
			return err
		}
	}
}

// bounded is an answer that fails where it becomes longer than one may be.
type bounded struct {
	io.ReadCloser

	limits *limits.Set
	read   int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if err := b.limits.CheckAnswer(b.read); err != nil {
		return 0, err //nolint:wrapcheck // problemOf knows it
	}
	return n, err //nolint:wrapcheck // package loki has classified it
}
