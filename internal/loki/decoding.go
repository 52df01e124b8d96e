package loki

import (
	"bufio"
	"io"
	"runtime"
)

// decoding bounds how many responses are decoded at the same time. Decoding pages of lines is the only work of
// logfence that takes a core for seconds; with as many decoders as there are requests, every small query would
// wait behind all of them for a core. Half of the cores are left to the others. Decoders take turns at every
// piece of their response, in the order in which they wait, and none holds a turn while it waits for Loki.
type decoding chan struct{}

// decodingPiece is how many bytes are decoded in one turn: a fraction of a millisecond.
const decodingPiece = 32 << 10

func newDecoding() decoding { return make(decoding, max(1, runtime.GOMAXPROCS(0)/2)) }

// entries decodes a response in turns with others.
func (d decoding) entries(r io.Reader) ([]Entry, error) {
	d <- struct{}{}
	defer func() { <-d }()
	return decodeEntries(bufio.NewReaderSize(betweenTurns{from: r, turns: d}, decodingPiece))
}

// betweenTurns gives the turn back while it reads.
type betweenTurns struct {
	from  io.Reader
	turns decoding
}

func (b betweenTurns) Read(p []byte) (int, error) {
	<-b.turns
	defer func() { b.turns <- struct{}{} }()
	return b.from.Read(p)
}
