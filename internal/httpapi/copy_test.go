package httpapi

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestFlushLatency guarantees that the first bytes are flushed at once if no more come, that later ones are flushed
// once they have waited, together with what came meanwhile, that a flush that failed ends the response, and that none comes after the handler has returned.
func TestFlushLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		var failure error
		flushes := 0
		w := &latencyWriter{to: &out, flush: func() error { flushes++; return failure }}
		after := func(wait time.Duration, want int) {
			t.Helper()
			time.Sleep(wait) // of the bubble's clock
			synctest.Wait()
			if flushes != want {
				t.Errorf("%d flushes, want %d", flushes, want)
			}
		}
		write := func(text string) error {
			_, err := w.Write([]byte(text))
			return err
		}
		if err := write("zero "); err != nil {
			t.Fatal(err)
		}
		after(firstFlushLatency, 1)
		flushes = 0
		if err := errors.Join(write("one"), write("two")); err != nil {
			t.Fatal(err)
		}
		after(flushLatency/2, 0)
		if err := write("three"); err != nil {
			t.Fatal(err)
		}
		after(flushLatency/2, 1)
		after(time.Hour, 1)
		if err := write("four"); err != nil {
			t.Fatal(err)
		}
		after(flushLatency, 2)
		failure = errors.New("the client has gone")
		if err := write("five"); err != nil {
			t.Fatal(err)
		}
		after(flushLatency, 3)
		if err := write("six"); !errors.Is(err, failure) {
			t.Errorf("after a flush that failed: %v", err)
		}
		if got := out.String(); got != "zero onetwothreefourfive" {
			t.Errorf("written: %q", got)
		}
		w = &latencyWriter{to: &out, flush: w.flush}
		if err := write("seven"); err != nil {
			t.Fatal(err)
		}
		w.stop()
		after(time.Hour, 3)
	})
}
