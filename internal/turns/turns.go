// Package turns keeps cores free for small requests while large responses are worked on.
//
// Decoding and encoding pages of lines is the only work of logfence that takes a core for seconds. With as many goroutines
// at it as there are requests, each small query would wait behind all of them. While every core has such work, Go also
// looks no more than every 10 ms for what has arrived from the network (runtime, findRunnable and sysmon of Go 1.26), and
// a small query waits for that several times. So this work is done in turns, of which there are half as many as cores.
// Nobody keeps a turn while waiting for the network.
//
// golang.org/x/sync/semaphore promises the same, but costs a lock and a list for each of the many changes of turn.
package turns

import (
	"bufio"
	"io"
	"runtime"
)

// Turns are shared by all who work on lines. The zero value has a turn for everybody.
type Turns struct {
	taken chan struct{} // in the order in which they are waited for
}

// New returns turns for half of the cores, and at least one.
func New() Turns { return Of(max(1, runtime.GOMAXPROCS(0)/2)) }

// Of returns so many turns.
func Of(n int) Turns { return Turns{taken: make(chan struct{}, n)} }

// Do waits for a turn and does the work in it. The work waits for nothing, and is a piece: a fraction of a millisecond.
func (t Turns) Do(work func()) {
	t.take()
	defer t.giveBack()
	work()
}

// Read waits for a turn and has read read from a reader: others have the turn while that one waits for from.
func (t Turns) Read(from io.Reader, read func(io.Reader) error) error {
	t.take()
	defer t.giveBack()
	return read(bufio.NewReaderSize(betweenTurns{from: from, turns: t}, piece))
}

// piece is how many bytes are read, and worked on, in one turn.
const piece = 32 << 10

func (t Turns) take() {
	if t.taken != nil {
		t.taken <- struct{}{}
	}
}

func (t Turns) giveBack() {
	if t.taken != nil {
		<-t.taken
	}
}

// betweenTurns gives the turn back while it reads.
type betweenTurns struct {
	from  io.Reader
	turns Turns
}

func (b betweenTurns) Read(p []byte) (int, error) {
	b.turns.giveBack()
	defer b.turns.take()
	return b.from.Read(p)
}
