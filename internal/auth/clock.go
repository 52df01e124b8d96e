package auth

import "time"

// A Clock returns the time and waits. Tests pass their own.
type Clock interface {
	// Now returns the time.
	Now() time.Time
	// After sends once, when d has passed.
	After(d time.Duration) <-chan time.Time
}

// systemClock is the wall clock alone. What time.Now measures beside it stands still while the machine
// sleeps, and a token cached before would then outlive its expiry.
type systemClock struct{}

func (systemClock) Now() time.Time                         { return time.Now().Round(0) }
func (systemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
