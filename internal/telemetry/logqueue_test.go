package telemetry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slowSink takes lines when released, and keeps what it took.
type slowSink struct {
	take chan error // one value for each call: nil, or why it is not taken

	mu    sync.Mutex
	calls []string
}

func (s *slowSink) Write(lines []byte) (int, error) {
	if err := <-s.take; err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, string(lines))
	return len(lines), nil
}

// taken are the calls that were taken, with a separator between them.
func (s *slowSink) taken(separator string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.calls, separator)
}

func put(t *testing.T, q *LogQueue, line string) {
	t.Helper()
	if n, err := q.Write([]byte(line)); n != len(line) || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
}

// TestLogQueueNeverWaits guarantees that a sink that takes nothing holds up nobody, that lines past the bound
// are dropped and counted, and that the others come out in their order once it takes lines again.
func TestLogQueueNeverWaits(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 64 << 10} { // of a line
		t.Run(fmt.Sprintf("lines of %d bytes", size), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sink := &slowSink{take: make(chan error)}
				q := NewLogQueue(sink)
				line := func(i int) string { return fmt.Sprintf("%0*d\n", size-1, i) }
				put(t, q, line(0))
				synctest.Wait() // it is at the sink, and counts
				fit := maxQueued / size
				const more = 5
				for i := range fit - 1 + more {
					put(t, q, line(i+1))
				}
				if got := q.Dropped(); got != more {
					t.Errorf("%d lines dropped, want %d", got, more)
				}
				close(sink.take) // takes all
				if err := q.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				written := 0
				for got := range strings.Lines(sink.taken("")) {
					if got != line(written) {
						t.Fatalf("line %d is %.20q", written, got)
					}
					written++
				}
				if written != fit {
					t.Errorf("%d lines written, want %d", written, fit)
				}
			})
		})
	}
}

// TestLogQueueBatches guarantees that a line is written at once, and that those which come just after it are written
// together, soon.
func TestLogQueueBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &slowSink{take: make(chan error)}
		close(sink.take) // takes all
		q := NewLogQueue(sink)
		put(t, q, "a\n")
		synctest.Wait()
		put(t, q, "b\n")
		put(t, q, "c\n")
		synctest.Wait()
		if got := sink.taken("|"); got != "a\n" {
			t.Errorf("written at once: %q", got)
		}
		time.Sleep(batchPause) // of the bubble's clock
		synctest.Wait()
		if got := sink.taken("|"); got != "a\n|b\nc\n" {
			t.Errorf("written: %q", got)
		}
		time.Sleep(batchPause)
		put(t, q, "d\n")
		synctest.Wait()
		if got := sink.taken("|"); got != "a\n|b\nc\n|d\n" {
			t.Errorf("written after a pause: %q", got)
		}
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLogQueueEnds guarantees that Close waits for what is queued, but not past its context, and that a line
// after it is counted as dropped.
func TestLogQueueEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &slowSink{take: make(chan error)}
		q := NewLogQueue(sink)
		put(t, q, "a\n")
		put(t, q, "b\n")
		stuck, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := q.Close(stuck); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close with a sink that takes nothing: %v", err)
		}
		put(t, q, "late\n")
		close(sink.take)
		if err := q.Close(t.Context()); err != nil || sink.taken("") != "a\nb\n" {
			t.Errorf("Close: %v, written %q", err, sink.taken("|"))
		}
		if got := q.Dropped(); got != 1 {
			t.Errorf("%d lines dropped, want 1", got)
		}
	})
}

// TestLogQueueFails guarantees that lines that the sink does not take are counted, and the next ones are tried.
func TestLogQueueFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sink := &slowSink{take: make(chan error, 3)}
		for _, err := range []error{nil, errors.New("no space left on device"), nil} {
			sink.take <- err
		}
		q := NewLogQueue(sink)
		put(t, q, "a\n")
		synctest.Wait() // it is written; the next ones are collected
		put(t, q, "b\n")
		put(t, q, "c\n")
		time.Sleep(2 * batchPause) // of the bubble's clock
		synctest.Wait()
		put(t, q, "d\n")
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := sink.taken(""); got != "a\nd\n" || q.Dropped() != 2 {
			t.Errorf("written %q, %d dropped", got, q.Dropped())
		}
	})
}

// TestLogQueueLinesAreComplete guarantees that lines of many writers come out complete, each writer's in order,
// and that a buffer may be used again after Write.
func TestLogQueueLinesAreComplete(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	q := NewLogQueue(&out)
	const writers, each = 8, 500 // fewer than fit
	var running sync.WaitGroup
	for i := range writers {
		running.Go(func() {
			var line []byte
			for n := range each {
				line = fmt.Appendf(line[:0], "%d %d %s.\n", i, n, strings.Repeat("x", n))
				_, _ = q.Write(line)
			}
		})
	}
	running.Wait()
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	next := map[int]int{}
	for line := range strings.Lines(out.String()) {
		var i, n int
		if _, err := fmt.Sscanf(line, "%d %d", &i, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if want := fmt.Sprintf("%d %d %s.\n", i, n, strings.Repeat("x", n)); line != want || n != next[i] {
			t.Fatalf("writer %d: %q, want its line %d", i, line, next[i])
		}
		next[i]++
	}
	if got := q.Dropped(); got != 0 || len(next) != writers {
		t.Errorf("%d lines dropped, lines of %d writers", got, len(next))
	}
}
