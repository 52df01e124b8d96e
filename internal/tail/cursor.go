package tail

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/loki"
)

// Cursor is a reader's position: the newest timestamp that was delivered, and which lines of that nanosecond.
// Its text is all that a later tail needs to resume, on any replica: a timestamp alone would lose the other
// lines of its nanosecond, or repeat them. The zero Cursor is the position before the first line.
type Cursor struct {
	nanos int64
	seen  []uint64 // fingerprints of 48 bits
}

const (
	// maxSeen bounds a cursor's text: 2 KiB fit into a header anywhere. Of a nanosecond with more lines some
	// are repeated, none lost.
	maxSeen = 256
	// seenBytes are 48 bits: one in 10^12 for a line to be taken for one of 256 others of its nanosecond.
	seenBytes = 6
)

// Add records a line that was delivered.
func (m *Cursor) Add(e loki.Entry) {
	if e.Nanos < m.nanos {
		return
	}
	if e.Nanos > m.nanos {
		m.nanos, m.seen = e.Nanos, m.seen[:0]
	}
	if len(m.seen) < maxSeen {
		m.seen = append(m.seen, fold48(fingerprint(e)))
	}
}

// IsZero reports whether no line was delivered.
func (m Cursor) IsZero() bool { return m.nanos == 0 }

// Nanos is the newest timestamp.
func (m Cursor) Nanos() int64 { return m.nanos }

// String is the cursor as text: the timestamp, a dash, and the lines.
func (m Cursor) String() string {
	if m.IsZero() {
		return ""
	}
	packed := make([]byte, 0, len(m.seen)*seenBytes)
	for _, f := range m.seen {
		packed = append(packed, binary.BigEndian.AppendUint64(nil, f)[8-seenBytes:]...)
	}
	return strconv.FormatInt(m.nanos, 10) + "-" + base64.RawURLEncoding.EncodeToString(packed)
}

// ErrCursor means that a text is not a cursor.
var ErrCursor = errors.New("not an event id of a tail")

// ParseCursor parses the text of String.
func ParseCursor(text string) (Cursor, error) {
	nanos, lines, ok := strings.Cut(text, "-")
	n, err := strconv.ParseInt(nanos, 10, 64)
	if !ok || err != nil || n <= 0 || strconv.FormatInt(n, 10) != nanos {
		return Cursor{}, ErrCursor
	}
	packed, err := base64.RawURLEncoding.DecodeString(lines)
	if err != nil || len(packed)%seenBytes != 0 || len(packed) > maxSeen*seenBytes {
		return Cursor{}, ErrCursor
	}
	m := Cursor{nanos: n}
	for ; len(packed) > 0; packed = packed[seenBytes:] {
		var wide [8]byte
		copy(wide[8-seenBytes:], packed)
		m.seen = append(m.seen, binary.BigEndian.Uint64(wide[:]))
	}
	return m, nil
}

// fingerprint identifies a line: FNV-1a over all that makes a line, each part ended by a byte that UTF-8
// does not have.
func fingerprint(e loki.Entry) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, part := range [...]string{e.Labels, e.Metadata, e.Parsed, e.Line} {
		for i := range len(part) {
			h = (h ^ uint64(part[i])) * prime
		}
		h = (h ^ 0xff) * prime
	}
	for n := uint64(e.Nanos); n > 0; n >>= 8 { //nolint:gosec // bits, not a number
		h = (h ^ n&0xff) * prime
	}
	return h
}

// fold48 folds a fingerprint to 48 bits.
func fold48(f uint64) uint64 { return (f ^ f>>48) & (1<<48 - 1) }

// CursorAt is the cursor of a reader that has no line yet, and needs none from before shortly before a time.
func CursorAt(t time.Time) Cursor { return Cursor{nanos: t.Add(-lookback).UnixNano()} }
