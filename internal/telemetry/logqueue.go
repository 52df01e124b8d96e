package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
)

// Bounds of what a [LogQueue] holds. Both apply: callers choose how long a line is, since it has their queries.
const (
	maxQueuedLines = 4096
	maxQueuedBytes = 4 << 20
)

// LogQueue is a writer for log lines that never waits for its sink: one goroutine writes the lines in their
// order, each with one call, from a queue that is bounded in lines and in bytes. A line that does not fit, that
// the sink does not take or that comes after Close is dropped and counted. It may be used from many goroutines.
//
// Not zerolog's diode: it bounds the number of lines alone, and 4096 lines of 128 KiB are half a gigabyte.
type LogQueue struct {
	sink  io.Writer
	lines chan []byte
	done  chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	closed  bool
	queued  int // bytes in the queue and at the sink
	dropped uint64
}

// NewLogQueue makes a queue in front of the sink and starts its goroutine. The caller closes it; the sink
// stays open.
func NewLogQueue(sink io.Writer) *LogQueue {
	q := &LogQueue{sink: sink, lines: make(chan []byte, maxQueuedLines), done: make(chan struct{})}
	go q.run()
	return q
}

// Write queues a copy of one line. It always succeeds: a log has no other place to report that it failed.
func (q *LogQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.queued+len(line) > maxQueuedBytes {
		q.dropped++
		return len(line), nil
	}
	select {
	case q.lines <- bytes.Clone(line):
		q.queued += len(line)
	default:
		q.dropped++
	}
	return len(line), nil
}

// Dropped counts the lines that were dropped.
func (q *LogQueue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Close returns when every queued line is written, or with an error when ctx ends first: a sink that takes
// nothing must not keep the process from ending.
func (q *LogQueue) Close(ctx context.Context) error {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.lines)
	}
	q.mu.Unlock()
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write the last log lines: %w", context.Cause(ctx))
	}
}

func (q *LogQueue) run() {
	defer close(q.done)
	for line := range q.lines {
		_, err := q.sink.Write(line)
		q.written(len(line), err)
	}
}

func (q *LogQueue) written(size int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queued -= size
	if err != nil {
		q.dropped++
	}
}
