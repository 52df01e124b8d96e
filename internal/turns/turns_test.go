package turns

import (
	"io"
	"strings"
	"sync"
	"testing"
)

func readAll(t Turns, from io.Reader) (n int, err error) {
	err = t.Read(from, func(r io.Reader) error {
		text, err := io.ReadAll(r)
		n = len(text)
		return err
	})
	return n, err
}

// TestReadersWaitWithoutTurn guarantees that a reader which has to wait for more keeps no other one from its turn.
func TestReadersWaitWithoutTurn(t *testing.T) {
	t.Parallel()
	turns := Of(1)
	slow, write := io.Pipe()
	ended := make(chan error)
	go func() {
		_, err := readAll(turns, slow)
		ended <- err
	}()
	if _, err := io.WriteString(write, "begun"); err != nil { // and it waits for more
		t.Fatal(err)
	}
	if n, err := readAll(turns, strings.NewReader("text")); n != 4 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	turns.Do(func() {})
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestNoMoreThanTurns guarantees that no more work at the same time than there are turns, and that all turns come back,
// also from work that panics.
func TestNoMoreThanTurns(t *testing.T) {
	t.Parallel()
	turns := Of(2)
	var mu sync.Mutex
	working, most := 0, 0
	work := func() {
		mu.Lock()
		working++
		most = max(most, working)
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			working--
		}()
		panic("work")
	}
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			defer func() { _ = recover() }()
			turns.Do(work)
		})
		all.Go(func() {
			if n, err := readAll(turns, strings.NewReader(strings.Repeat("x", 3*piece))); n != 3*piece || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
	all.Wait()
	if most > 2 {
		t.Errorf("%d worked at the same time", most)
	}
	if n := len(turns.taken); n != 0 {
		t.Errorf("%d turns are still taken", n)
	}
}

// TestWithoutTurns guarantees that the zero value has a turn for everybody.
func TestWithoutTurns(t *testing.T) {
	t.Parallel()
	var turns Turns
	turns.Do(func() { turns.Do(func() {}) })
	if n, err := readAll(turns, strings.NewReader("text")); n != 4 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}
