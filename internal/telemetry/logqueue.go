package telemetry

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// maxQueued bounds the bytes that a [LogQueue] holds: callers choose how long a line is, since it has their queries.
	maxQueued = 4 << 20
	// keptBuffer is how large a buffer is at most that is kept when its lines are written.
	keptBuffer = 64 << 10
	// batchPause is how long lines are collected for after others were written. The first line after a pause is written at once.
	batchPause = 10 * time.Millisecond
)

// LogQueue is a writer for log lines that never waits for its sink: one goroutine writes the lines in their
// order, complete, as many with one call as there are, from a queue that is bounded in bytes. A line that does not fit, that
// the sink does not take or that comes after Close is dropped and counted. It may be used from many goroutines.
//
// Not zerolog's diode: it bounds the number of lines alone, and 4096 lines of 128 KiB are half a gigabyte. Not zap's
// BufferedWriteSyncer: a full one waits for the sink.
type LogQueue struct {
	sink   io.Writer
	wake   chan struct{} // holds a value while there are lines
	ending chan struct{} // closed by Close
	done   chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	closed  bool
	queue   []byte
	lines   uint64 // in the queue
	atSink  int    // bytes
	dropped uint64
}

// NewLogQueue makes a queue in front of the sink and starts its goroutine. The caller closes it; the sink
// stays open.
func NewLogQueue(sink io.Writer) *LogQueue {
	q := &LogQueue{sink: sink, wake: make(chan struct{}, 1), ending: make(chan struct{}), done: make(chan struct{})}
	go q.run()
	return q
}

// Write queues a copy of one line. It always succeeds: a log has no other place to report that it failed.
func (q *LogQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.atSink+len(q.queue)+len(line) > maxQueued {
		q.dropped++
		return len(line), nil
	}
	q.queue = append(q.queue, line...)
	q.lines++
	select {
	case q.wake <- struct{}{}:
	default:
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
		close(q.ending)
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
	var batch []byte
	var lines uint64
	for ended := false; !ended; {
		select {
		case <-q.wake:
		case <-q.ending:
			ended = true // after the last lines
		}
		if batch, lines = q.take(batch); lines > 0 {
			_, err := q.sink.Write(batch)
			q.written(lines, err)
		}
		select {
		case <-time.After(batchPause):
		case <-q.ending:
		}
	}
}

// take takes what is queued, and leaves the buffer of the batch before for what comes.
func (q *LogQueue) take(before []byte) (batch []byte, lines uint64) {
	if cap(before) > keptBuffer {
		before = nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	batch, q.queue = q.queue, before[:0]
	lines, q.lines = q.lines, 0
	q.atSink = len(batch)
	return batch, lines
}

// written notes what became of a batch: of one that failed, no line counts as written.
func (q *LogQueue) written(lines uint64, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.atSink = 0
	if err != nil {
		q.dropped += lines
	}
}
