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

// slowSink takes a line when released, and keeps what it took.
type slowSink struct {
	take  chan error // one value for each line: nil, or why it is not taken
	lines []string
}

func (s *slowSink) Write(line []byte) (int, error) {
	if err := <-s.take; err != nil {
		return 0, err
	}
	s.lines = append(s.lines, string(line))
	return len(line), nil
}

func put(t *testing.T, q *LogQueue, line string) {
	t.Helper()
	if n, err := q.Write([]byte(line)); n != len(line) || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
}

// TestLogQueueNeverWaits guarantees that a sink that takes nothing holds up nobody, that lines past the bounds
// are dropped and counted, and that the others come out in their order once it takes lines again.
func TestLogQueueNeverWaits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		size int // of a line
		fit  int // lines
	}{
		{"bounded in lines", 10, maxQueuedLines},
		{"bounded in bytes", 64 << 10, maxQueuedBytes / (64 << 10)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sink := &slowSink{take: make(chan error)}
				q := NewLogQueue(sink)
				line := func(i int) string { return fmt.Sprintf("%0*d\n", tt.size-1, i) }
				put(t, q, line(0))
				synctest.Wait() // it is at the sink
				const more = 5
				for i := range tt.fit + more {
					put(t, q, line(i+1))
				}
				// The line at the sink counts in bytes, and no longer in lines.
				want := uint64(more)
				if tt.size*maxQueuedLines > maxQueuedBytes {
					want++
				}
				if got := q.Dropped(); got != want {
					t.Errorf("%d lines dropped, want %d", got, want)
				}
				close(sink.take) // takes all
				if err := q.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if len(sink.lines) != tt.fit+1+more-int(want) {
					t.Errorf("%d lines written", len(sink.lines))
				}
				for i, got := range sink.lines {
					if got != line(i) {
						t.Fatalf("line %d is %.20q", i, got)
					}
				}
			})
		})
	}
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
		if err := q.Close(t.Context()); err != nil || strings.Join(sink.lines, "") != "a\nb\n" {
			t.Errorf("Close: %v, written %q", err, sink.lines)
		}
		if got := q.Dropped(); got != 1 {
			t.Errorf("%d lines dropped, want 1", got)
		}
	})
}

// TestLogQueueFails guarantees that a line that the sink does not take is counted, and the next one is tried.
func TestLogQueueFails(t *testing.T) {
	t.Parallel()
	sink := &slowSink{take: make(chan error, 3)}
	for _, err := range []error{nil, errors.New("no space left on device"), nil} {
		sink.take <- err
	}
	q := NewLogQueue(sink)
	for _, line := range []string{"a\n", "b\n", "c\n"} {
		put(t, q, line)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(sink.lines, ""); got != "a\nc\n" || q.Dropped() != 1 {
		t.Errorf("written %q, %d dropped", got, q.Dropped())
	}
}

// TestLogQueueLinesAreComplete guarantees that lines of many writers come out complete, each writer's in order,
// and that a buffer may be used again after Write.
func TestLogQueueLinesAreComplete(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	q := NewLogQueue(&out)
	const writers, each = 8, 500 // fewer than maxQueuedLines
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
