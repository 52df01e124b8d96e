package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sink notes what comes to it, call by call.
type sink struct {
	mu    sync.Mutex
	calls []string
	err   error
}

func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	s.calls = append(s.calls, string(b))
	return len(b), nil
}

// TestLinesWait guarantees that a line of the log waits for others no longer than linePause, and not at all
// after a pause; that those of the audit do not wait; and that all come out in their order.
func TestLinesWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out sink
		stderr := &shared{w: &out}
		log := stderr.log()
		write := func(line string) {
			t.Helper()
			if n, err := log.Write([]byte(line)); n != len(line) || err != nil {
				t.Fatalf("Write(%q) = %d, %v", line, n, err)
			}
		}
		want := func(calls ...string) {
			t.Helper()
			out.mu.Lock()
			defer out.mu.Unlock()
			if fmt.Sprint(out.calls) != fmt.Sprint(calls) {
				t.Fatalf("came out: %q, want %q", out.calls, calls)
			}
		}
		write("a")
		want("a")
		write("b")
		write("c")
		want("a")
		time.Sleep(linePause)
		synctest.Wait()
		want("a", "bc")
		time.Sleep(linePause)
		write("d")
		want("a", "bc", "d")
		write("e")
		if _, err := stderr.Write([]byte("audit")); err != nil {
			t.Fatal(err)
		}
		want("a", "bc", "d", "e", "audit")
		time.Sleep(time.Hour) // and nothing is left that would write
		synctest.Wait()
		want("a", "bc", "d", "e", "audit")
		write("f")
		write("g")
		stderr.flush()
		want("a", "bc", "d", "e", "audit", "f", "g")
		long := strings.Repeat("x", mostPending)
		write(long)
		want("a", "bc", "d", "e", "audit", "f", "g", long)
	})
}

// TestLinesFail guarantees that a sink that takes nothing is told to whoever writes, and holds nothing up.
func TestLinesFail(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	stderr := &shared{w: &sink{err: full}}
	if _, err := stderr.log().Write([]byte("a")); !errors.Is(err, full) {
		t.Errorf("a line: %v", err)
	}
	if _, err := stderr.Write([]byte("b")); !errors.Is(err, full) {
		t.Errorf("a record: %v", err)
	}
}

// TestLinesAreWhole guarantees that lines of many writers are all there in the end, and none is cut.
func TestLinesAreWhole(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	stderr := &shared{w: &out}
	const writers, each = 8, 500
	var running sync.WaitGroup
	for i := range writers {
		to := stderr.log()
		if i == 0 {
			to = stderr
		}
		running.Go(func() {
			for n := range each {
				_, _ = fmt.Fprintf(to, "%d %d %s\n", i, n, strings.Repeat("x", n))
			}
		})
	}
	running.Wait()
	stderr.flush()
	next := map[int]int{}
	for line := range strings.Lines(out.String()) {
		var i, n int
		var rest string
		if _, err := fmt.Sscanf(line, "%d %d", &i, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		_, _ = fmt.Sscanf(line, "%d %d %s", &i, &n, &rest)
		if len(rest) != n || n != next[i] {
			t.Fatalf("writer %d: %q, want its line %d", i, line, next[i])
		}
		next[i]++
	}
	if len(next) != writers || next[0] != each || next[writers-1] != each {
		t.Errorf("lines: %v", next)
	}
}
