package main

import (
	"io"
	"sync"
	"time"
)

// linePause is how long a line of the log may wait for others, so that a flood of requests does not make a
// system call for each. A line that comes after a pause waits for nothing.
const linePause = 10 * time.Millisecond

// mostPending is how many bytes wait at most.
const mostPending = 64 << 10

// shared is a writer for several that do not know of each other: the log, whose lines may wait, and the
// audit, whose records may not. Lines come out whole, and in the order in which they were written.
type shared struct {
	w io.Writer

	mu      sync.Mutex
	pending []byte
	wrote   time.Time   // when a line of the log last came out
	timer   *time.Timer // nil: nobody is going to see to what is pending
}

// Write writes one line at once, behind those that wait.
func (s *shared) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.flushLocked(); err != nil {
		return 0, err
	}
	return s.w.Write(line)
}

// log is the writer whose lines may wait. Whoever has one flushes in the end.
func (s *shared) log() io.Writer { return waiting{s} }

type waiting struct{ *shared }

// Write takes one line. An error is that of the lines that waited before it, or of its own if it did not.
func (w waiting) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	since := time.Since(w.wrote)
	if len(w.pending) == 0 && since >= linePause {
		w.wrote = time.Now()
		return w.w.Write(line)
	}
	w.pending = append(w.pending, line...)
	if len(w.pending) >= mostPending {
		if err := w.flushLocked(); err != nil {
			return 0, err
		}
		return len(line), nil
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(max(linePause-since, 0), w.flush)
	}
	return len(line), nil
}

// flush writes what waits.
func (s *shared) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.flushLocked() // there is no other place to say so
}

func (s *shared) flushLocked() error {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if len(s.pending) == 0 {
		return nil
	}
	s.wrote = time.Now()
	_, err := s.w.Write(s.pending)
	s.pending = s.pending[:0]
	if cap(s.pending) > 2*mostPending {
		s.pending = nil // a very long line
	}
	return err
}
