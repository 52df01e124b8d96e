package poll

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestUntil guarantees when waiting ends, and with which error.
func TestUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, calls := time.Now(), 0
		err := Until(t.Context(), func() (bool, error) { calls++; return calls == 5, nil })
		if waited := time.Since(began); err != nil || waited != 4*interval {
			t.Errorf("the fifth time: %v after %s", err, waited)
		}
		began = time.Now()
		err = Until(t.Context(), func() (bool, error) { return false, nil })
		if waited := time.Since(began); err == nil || waited != Patience {
			t.Errorf("never: %v after %s", err, waited)
		}
		broken := errors.New("broken")
		if err := Until(t.Context(), func() (bool, error) { return false, broken }); !errors.Is(err, broken) {
			t.Errorf("an error of the condition: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := Until(ctx, func() (bool, error) { return false, nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("after the context has ended: %v", err)
		}
	})
}
