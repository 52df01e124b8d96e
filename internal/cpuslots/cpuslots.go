// Package cpuslots keeps cores free for small requests while large responses are decoded and encoded.
//
// Decoding and encoding pages of lines is the only work of logfence that takes a core for seconds. With as many goroutines
// at it as there are requests, each small query would wait behind all of them. While every core has such work, Go also
// polls the network only every 10 ms (runtime, findRunnable and sysmon of Go 1.26), and a small query waits for that
// several times. So this work needs a slot, of which there are half as many as cores, for each piece of a response. No
// slot is held while its holder waits for the network.
//
// golang.org/x/sync/semaphore promises the same, but costs a lock and a list for each of the many acquisitions.
package cpuslots

import (
	"bufio"
	"io"
	"runtime"
)

// Slots are shared by all work on lines, in the order in which they are waited for. The zero value has no bound.
type Slots struct {
	held chan struct{}
}

// New returns slots for half of the cores, and at least one.
func New() Slots { return Of(max(1, runtime.GOMAXPROCS(0)/2)) }

// Of returns so many slots.
func Of(n int) Slots { return Slots{held: make(chan struct{}, n)} }

// Do waits for a slot and does the work in it. The work waits for nothing, and is a piece: a fraction of a millisecond.
func (s Slots) Do(work func()) {
	s.acquire()
	defer s.release()
	work()
}

// Read waits for a slot and calls read. The reader that it is given releases the slot while it waits for from.
func (s Slots) Read(from io.Reader, read func(io.Reader) error) error {
	s.acquire()
	defer s.release()
	return read(bufio.NewReaderSize(releasing{from: from, slots: s}, piece))
}

// piece is how many bytes are read, and worked on, with one acquisition.
const piece = 32 << 10

func (s Slots) acquire() {
	if s.held != nil {
		s.held <- struct{}{}
	}
}

func (s Slots) release() {
	if s.held != nil {
		<-s.held
	}
}

// releasing releases the slot while it reads.
type releasing struct {
	from  io.Reader
	slots Slots
}

func (r releasing) Read(p []byte) (int, error) {
	r.slots.release()
	defer r.slots.acquire()
	return r.from.Read(p)
}
