package httpapi

import "testing"

// TestCarrier guarantees that an answer holds the large buffer while it flows, and not while it waits.
func TestCarrier(t *testing.T) {
	t.Parallel()
	c := newCarrier()
	defer c.release()
	for i, tt := range []struct{ last, want int }{
		{0, waitingBuffer},                 // nothing has come yet
		{100, waitingBuffer},               // a little has
		{waitingBuffer, flowingBuffer},     // as much as there was room for
		{flowingBuffer, flowingBuffer},     // again
		{flowingBuffer - 1, waitingBuffer}, // all that there was
		{waitingBuffer - 1, waitingBuffer}, // again
		{waitingBuffer, flowingBuffer},
	} {
		if got := len(c.next(tt.last)); got != tt.want {
			t.Errorf("%d: after %d bytes room for %d, want %d", i, tt.last, got, tt.want)
		}
	}
}
