package tail

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/logfence/logfence/internal/loki"
)

// Cursor is a position in a tail: the newest timestamp that was delivered, and which lines of that nanosecond. Its
// text is all that a later tail needs to resume exactly, on any replica: a timestamp alone would lose the other
// lines of its nanosecond, or repeat them. The zero Cursor is the position before the first line.
type Cursor struct {
	nanos int64
	// seen are fingerprints of 48 bits, one for each line, while they are few. Beyond that they are in sums.
	seen []uint64
	sums *lineSums
	text string // that it was parsed from
}

const (
	// maxSeen bounds a list of lines: 2 KiB fit into a header anywhere.
	maxSeen = 255
	// seenBytes are 48 bits: one in 10^12 for a line to be taken for one of 256 others of its nanosecond.
	seenBytes = 6
)

// Add records a line that was delivered. Of a cursor that was parsed, copies record lines together.
func (m *Cursor) Add(e loki.Entry) {
	if e.Nanos < m.nanos {
		return
	}
	m.text = ""
	if e.Nanos > m.nanos {
		*m = Cursor{nanos: e.Nanos, seen: m.seen[:0]}
	}
	f := fold48(fingerprint(e))
	if m.sums == nil && len(m.seen) >= maxSeen {
		m.sums = &lineSums{}
		for _, earlier := range m.seen {
			m.sums.add(earlier)
		}
	}
	if m.sums != nil {
		m.sums.add(f)
	} else {
		m.seen = append(m.seen, f)
	}
}

// clone is a cursor of its own.
func (m Cursor) clone() Cursor {
	m.seen = slices.Clone(m.seen)
	if m.sums != nil {
		own := *m.sums
		own.counts = maps.Clone(own.counts)
		m.sums = &own
	}
	return m
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
	return m.encode(nil)
}

// textWith is the cursor as text that no other position has, by a number of 48 bits. Where it is parsed, the number
// stands for a line that does not occur.
func (m Cursor) textWith(unique uint64) string {
	return m.encode(binary.BigEndian.AppendUint64(nil, unique)[8-seenBytes:])
}

func (m Cursor) encode(unique []byte) string {
	var packed []byte
	if m.sums != nil {
		packed = m.sums.pack()
	} else {
		packed = make([]byte, 0, len(m.seen)*seenBytes)
		for _, f := range m.seen {
			packed = append(packed, binary.BigEndian.AppendUint64(nil, f)[8-seenBytes:]...)
		}
	}
	return strconv.FormatInt(m.nanos, 10) + "-" + base64.RawURLEncoding.EncodeToString(append(packed, unique...))
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
	if err != nil {
		return Cursor{}, ErrCursor
	}
	if sums, ok := unpackSums(packed); ok {
		return Cursor{nanos: n, sums: sums, text: text}, nil
	}
	if len(packed)%seenBytes != 0 || len(packed) > (maxSeen+1)*seenBytes { // one more than lines: the number of textWith
		return Cursor{}, ErrCursor
	}
	m := Cursor{nanos: n, text: text}
	for ; len(packed) > 0; packed = packed[seenBytes:] {
		var wide [8]byte
		copy(wide[8-seenBytes:], packed)
		m.seen = append(m.seen, binary.BigEndian.Uint64(wide[:]))
	}
	return m, nil
}

// delivered returns how often each line was delivered, by its fingerprint: of entries, which hold all lines of the
// cursor's nanosecond that there are now.
func (m Cursor) delivered(entries []loki.Entry) map[uint64]int {
	var prints []uint64
	for _, e := range entries {
		if e.Nanos == m.nanos {
			prints = append(prints, fingerprint(e))
		}
	}
	if m.sums != nil {
		return m.sums.delivered(prints)
	}
	left := map[uint64]int{}
	for _, f := range m.seen {
		left[f]++
	}
	counts := map[uint64]int{}
	for _, f := range prints {
		if left[fold48(f)] > 0 {
			left[fold48(f)]--
			counts[f]++
		}
	}
	return counts
}

// fingerprint identifies a line, in every process: all that makes a line, each part ended by a byte that UTF-8 does not
// have.
func fingerprint(e loki.Entry) uint64 {
	h := xxhash.New()
	for _, part := range [...]string{e.Labels, e.Metadata, e.Parsed, e.Line} {
		_, _ = h.WriteString(part) // it never fails
		_, _ = h.Write([]byte{0xff})
	}
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(e.Nanos))) //nolint:gosec // bits, not a number
	return h.Sum64()
}

// fold48 folds a fingerprint to 48 bits.
func fold48(f uint64) uint64 { return (f ^ f>>48) & (1<<48 - 1) }

// CursorAt is the cursor of a reader that has no line yet, and needs none from before shortly before a time.
func CursorAt(t time.Time) Cursor { return Cursor{nanos: t.Add(-lookback).UnixNano()} }
