package pages

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// Cursor is where a reading of lines goes on: its range and its order are those of the first page.
//
// As text it is opaque, and carries no authority: who sends it may read what it could read without it, and whatever
// it says is checked as a parameter is. So it is not signed, and every replica takes it.
type Cursor struct {
	Window   loki.Window
	Backward bool // the order of the pages
	Previous bool // the page before the position, not the one behind it
	At       Position
	// Binding identifies the query and the scope that it was made for.
	Binding Digest
}

// MaxCursor is the longest text of a cursor, in bytes.
const MaxCursor = 1024

// ErrCursor means that a text is not a cursor.
var ErrCursor = errors.New("not a cursor")

// cursorVersion is the first byte. Another encoding gets another one.
const cursorVersion = 1

// Bits of the second byte.
const (
	flagBackward = 1 << iota
	flagPrevious
	flagsKnown = 1<<iota - 1
)

// String is the cursor as text.
func (c Cursor) String() string {
	var flags byte
	if c.Backward {
		flags |= flagBackward
	}
	if c.Previous {
		flags |= flagPrevious
	}
	b := []byte{cursorVersion, flags}
	for _, n := range []int64{c.Window.Start.UnixNano(), c.Window.End.UnixNano(), c.At.Nanos} {
		b = binary.BigEndian.AppendUint64(b, uint64(n)) //nolint:gosec // the same bits
	}
	b = append(b, c.Binding[:]...)
	if c.At.Of > 0 {
		b = append(b, c.At.Digest[:]...)
		for _, n := range []int{c.At.Of, c.At.Rank, c.At.Ordinal} {
			b = binary.BigEndian.AppendUint32(b, uint32(n)) //nolint:gosec // no more than lines of a page
		}
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// The lengths of a cursor in bytes: at the edge of a nanosecond, and at a line.
const (
	edgeCursor = 2 + 3*8 + 16
	lineCursor = edgeCursor + 16 + 3*4
)

// ParseCursor reads a cursor. Each has one text; its position is in its window, and its numbers fit to each other.
func ParseCursor(text string) (Cursor, error) {
	if len(text) > MaxCursor || strings.ContainsAny(text, "\r\n") { // which base64 skips
		return Cursor{}, ErrCursor
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != edgeCursor && len(b) != lineCursor || b[0] != cursorVersion || b[1]&^flagsKnown != 0 {
		return Cursor{}, ErrCursor
	}
	c := Cursor{Backward: b[1]&flagBackward != 0, Previous: b[1]&flagPrevious != 0}
	number := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) } //nolint:gosec // the same bits
	start, end := number(2), number(10)
	c.At.Nanos = number(18)
	if start < 0 || start > c.At.Nanos || c.At.Nanos > end {
		return Cursor{}, ErrCursor
	}
	c.Window = loki.Window{Start: time.Unix(0, start), End: time.Unix(0, end)}
	c.Binding = Digest(b[26:42])
	if len(b) == lineCursor {
		count := func(at int) int { return int(binary.BigEndian.Uint32(b[at:])) }
		c.At.Digest, c.At.Of, c.At.Rank, c.At.Ordinal = Digest(b[42:58]), count(58), count(62), count(66)
		if c.At.Of > maxOf || c.At.Rank >= c.At.Of || c.At.Ordinal > c.At.Rank || c.At.Nanos == end {
			return Cursor{}, ErrCursor
		}
	}
	return c, nil
}

// maxOf bounds how many lines a cursor can say that a nanosecond has.
const maxOf = 1 << 24

// Order is the direction in which the lines of the cursor's page are read.
func (c Cursor) Order() (backward bool) { return c.Backward != c.Previous }

// Rest is what of the window is to be read, the nanosecond of the position included.
func (c Cursor) Rest() loki.Window {
	w := c.Window
	switch {
	case !c.Order():
		w.Start = time.Unix(0, c.At.Nanos)
	case c.At.Of > 0:
		w.End = time.Unix(0, c.At.Nanos+1)
	default:
		w.End = time.Unix(0, c.At.Nanos)
	}
	return w
}
