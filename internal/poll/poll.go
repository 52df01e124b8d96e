// Package poll has tests wait for another process.
//
// Guarantee: a test continues as soon as a condition holds, and fails by name when it does not hold within [Patience].
//
// It is for what only another process knows: Loki, Redis, a reverse proxy, a browser, a logfence that was started, or
// what becomes of a server's requests over real connections, which a bubble of testing/synctest does not take. All else
// in the test's own process is waited for on a channel, or in such a bubble.
package poll

import (
	"context"
	"fmt"
	"testing"
	"time"
)

const (
	// Patience is how long a condition may take to hold, on a machine under load. It only ends a hang.
	Patience = 3 * time.Minute
	interval = 10 * time.Millisecond
)

// Until waits until the condition holds. An error of the condition's own ends the waiting, and so does the context.
func Until(ctx context.Context, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, Patience, fmt.Errorf("not within %s", Patience))
	defer cancel()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if yes, err := so(); yes || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Wait waits until the condition holds, or ends the test, which then names what did not happen.
func Wait(t testing.TB, what string, so func() bool) {
	t.Helper()
	if err := Until(t.Context(), func() (bool, error) { return so(), nil }); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
