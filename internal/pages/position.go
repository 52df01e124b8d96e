package pages

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/logfence/logfence/internal/loki"
)

// Digest identifies the content of a line: its labels, its text and all else but its time. An attacker who writes lines
// cannot make two of the same digest, which would hide one of them from a reader.
type Digest [16]byte

// DigestOf is the digest of a line.
func DigestOf(e loki.Entry) Digest {
	text := make([]byte, 0, 1024) // most fit, and take nothing from the heap
	for _, part := range [...]string{e.Labels, e.Line, e.Metadata, e.Parsed} {
		text = binary.AppendUvarint(text, uint64(len(part)))
		text = append(text, part...)
	}
	sum := sha256.Sum256(text)
	return Digest(sum[:])
}

// Position is a place in the lines of a query: at a line, or before all lines of a nanosecond. It holds for both
// directions, whatever arrives or is deleted around it.
type Position struct {
	Nanos int64
	// Of is how many lines the nanosecond had; 0: the position is before or, backward, behind all of them.
	Of int
	// Rank is how many of those are before the line, in the order of [Compare].
	Rank int
	// Digest is the line's. Ordinal is how many lines with the same digest are before it.
	Digest  Digest
	Ordinal int
}

// Compare orders lines: by time; those of one nanosecond by their labels, then by their text, then by the rest.
func Compare(a, b loki.Entry) int {
	return cmp.Or(cmp.Compare(a.Nanos, b.Nanos), cmp.Compare(a.Labels, b.Labels), cmp.Compare(a.Line, b.Line),
		cmp.Compare(a.Metadata, b.Metadata), cmp.Compare(a.Parsed, b.Parsed))
}

// Sort puts lines in the order of Compare, or backward in its reverse.
func Sort(lines []loki.Entry, backward bool) {
	slices.SortFunc(lines, func(a, b loki.Entry) int {
		if backward {
			return Compare(b, a)
		}
		return Compare(a, b)
	})
}

// PositionOf is the position of one of lines that are sorted, and complete for its nanosecond.
func PositionOf(lines []loki.Entry, i int, backward bool) Position {
	first, last := nanosecond(lines, i)
	p := Position{Nanos: lines[i].Nanos, Of: last - first, Rank: i - first, Digest: DigestOf(lines[i]), Ordinal: ordinal(lines, i, backward)}
	if backward {
		p.Rank = last - 1 - i
	}
	return p
}

// ordinal is how many lines that are the same in all are before one, in the order of Compare.
func ordinal(lines []loki.Entry, i int, backward bool) (n int) {
	step := -1
	if backward {
		step = 1
	}
	for j := i + step; j >= 0 && j < len(lines) && lines[j] == lines[i]; j += step {
		n++
	}
	return n
}

// nanosecond is where the lines of the same nanosecond begin and end.
func nanosecond(lines []loki.Entry, i int) (first, last int) {
	for first = i; first > 0 && lines[first-1].Nanos == lines[i].Nanos; first-- {
	}
	for last = i + 1; last < len(lines) && lines[last].Nanos == lines[i].Nanos; last++ {
	}
	return first, last
}

// After leaves out the lines up to the position, which is in their first nanosecond or before it. They are sorted and
// complete as in [PositionOf]. Where the line at the position has been deleted, the lines of its nanosecond go on by
// their number.
func (p Position) After(lines []loki.Entry, backward bool) []loki.Entry {
	if p.Of == 0 || len(lines) == 0 || lines[0].Nanos != p.Nanos {
		return lines
	}
	_, end := nanosecond(lines, 0)
	if at, ok := p.find(lines[:end], backward); ok {
		return lines[at+1:]
	}
	passed := p.Rank
	if backward {
		passed = p.Of - 1 - p.Rank
	}
	return lines[min(passed, end):]
}

// find returns the index of the line at the position, or of the last one like it where there are fewer now.
func (p Position) find(lines []loki.Entry, backward bool) (at int, ok bool) {
	var same []int // their indexes, in the order of Compare
	for i := range lines {
		if DigestOf(lines[i]) == p.Digest {
			same = append(same, i)
		}
	}
	if len(same) == 0 {
		return 0, false
	}
	if backward {
		slices.Reverse(same)
	}
	return same[min(p.Ordinal, len(same)-1)], true
}

// Batch is lines that are handed on, in order.
type Batch struct {
	// All are the lines, and around them what is left of the nanoseconds at their ends.
	All         []loki.Entry
	First, Last int // the batch is All[First:Last]
	Backward    bool
}

// Lines are the lines of the batch.
func (b Batch) Lines() []loki.Entry { return b.All[b.First:b.Last] }

// ID is a line's own: no other line of the same query has it. It says where the line is, and is the same in every
// response to the query.
func (b Batch) ID(i int) string {
	at := b.First + i
	e, d := b.All[at], DigestOf(b.All[at])
	id := strconv.FormatInt(e.Nanos, 10) + "-" + base64.RawURLEncoding.EncodeToString(d[:])
	if n := ordinal(b.All, at, b.Backward); n > 0 {
		id += "-" + strconv.Itoa(n)
	}
	return id
}
