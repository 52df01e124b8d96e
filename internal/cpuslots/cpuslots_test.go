package cpuslots

import (
	"io"
	"strings"
	"sync"
	"testing"
)

func readAll(t Slots, from io.Reader) (n int, err error) {
	err = t.Read(from, func(r io.Reader) error {
		text, err := io.ReadAll(r)
		n = len(text)
		return err
	})
	return n, err
}

// TestReadersWaitWithoutSlot guarantees that a reader which has to wait for more keeps no other one from a slot.
func TestReadersWaitWithoutSlot(t *testing.T) {
	t.Parallel()
	slots := Of(1)
	slow, write := io.Pipe()
	ended := make(chan error)
	go func() {
		_, err := readAll(slots, slow)
		ended <- err
	}()
	if _, err := io.WriteString(write, "begun"); err != nil { // and it waits for more
		t.Fatal(err)
	}
	if n, err := readAll(slots, strings.NewReader("text")); n != 4 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	slots.Do(func() {})
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestNoMoreThanSlots guarantees that no more work runs at the same time than there are slots, and that all are released,
// also from work that panics.
func TestNoMoreThanSlots(t *testing.T) {
	t.Parallel()
	slots := Of(2)
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
			slots.Do(work)
		})
		all.Go(func() {
			if n, err := readAll(slots, strings.NewReader(strings.Repeat("x", 3*piece))); n != 3*piece || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
	all.Wait()
	if most > 2 {
		t.Errorf("%d worked at the same time", most)
	}
	if n := len(slots.held); n != 0 {
		t.Errorf("%d slots are still held", n)
	}
}

// TestWithoutSlots guarantees that the zero value has no bound.
func TestWithoutSlots(t *testing.T) {
	t.Parallel()
	var slots Slots
	slots.Do(func() { slots.Do(func() {}) })
	if n, err := readAll(slots, strings.NewReader("text")); n != 4 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}
