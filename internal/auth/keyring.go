package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// refreshInterval is how often keys are fetched in the background: a revoked key is accepted for about
	// as long.
	refreshInterval = 5 * time.Minute
	// retryInterval is the pause after a first failure; it doubles up to refreshInterval.
	retryInterval = 5 * time.Second
	// demandInterval is the minimum time between fetches that requests trigger, for any number of requests.
	// Within it an unknown key means an invalid token: a 503 for each would show garbage as outages on a
	// dashboard. Background fetches do not count, so that one just before a rotation does not delay the
	// new key.
	demandInterval = 10 * time.Second
	// maxWait is how long a request waits for keys.
	maxWait = 2 * time.Second
)

// A keyring holds one issuer's keys and keeps them fresh. Its own goroutine does all fetches,
// one at a time; requests may trigger one and wait for it.
//
// Valid keys are replaced by valid keys only. A failed fetch keeps the current ones, and they are used until
// maxStale after the last successful fetch.
type keyring struct {
	issuer   string
	source   source
	maxStale time.Duration
	clock    Clock
	log      *slog.Logger
	template string // the issuer, where it stands for those of several directories; else empty

	current           atomic.Pointer[fetchedKeys] // nil: nothing fetched yet
	fetches, failures atomic.Uint64

	mu         sync.Mutex
	inFlight   *fetchCall // nil: none
	nextDemand time.Time
	lastErr    error // how the last fetch ended
	failed     int   // how many in a row have failed
	closed     bool
	wake       chan struct{} // capacity 1; filled, under mu, with the flight that a request started
}

// fetchedKeys is the result of the last successful fetch. Every successful fetch makes a new one; its set is
// the same as long as the keys are.
type fetchedKeys struct {
	set *keySet
	at  time.Time
}

// fetchCall is one fetch in flight, for any number of requests to wait on.
type fetchCall struct {
	started time.Time
	done    chan struct{}
	err     error // to be read when done is closed
}

func newKeyring(issuer string, s source, maxStale time.Duration, c Clock, log *slog.Logger) *keyring {
	return &keyring{
		issuer: issuer, source: s, maxStale: maxStale, clock: c,
		log:     log.With("issuer", issuer),
		lastErr: errors.New("not fetched yet"),
		wake:    make(chan struct{}, 1),
	}
}

// usableKeys returns the set to verify with, unless there is none or it is too stale. The error is public.
func (r *keyring) usableKeys() (*keySet, error) {
	return r.checkUsable(r.current.Load())
}

func (r *keyring) checkUsable(h *fetchedKeys) (*keySet, error) {
	if h == nil {
		return nil, fmt.Errorf("%w: none fetched yet", ErrKeysUnavailable)
	}
	if age := r.clock.Now().Sub(h.at); age > r.maxStale {
		return nil, fmt.Errorf("%w: last fetched %s ago, more than %s", ErrKeysUnavailable, age.Round(time.Second), r.maxStale)
	}
	return h.set, nil
}

// verify checks the token's signature and returns the set whose key made it. Where no key did, the keys are
// fetched again, within the limits of refreshOnDemand: the token's key may be new, and some providers give a
// new key the name of the earlier one. A provider that is down makes a token with a key of unknown name
// unverified, but one that a key of its name did not sign invalid.
func (r *keyring) verify(ctx context.Context, t *token) (*keySet, error) {
	// The first look finds a known key. The second has waited for a fetch that was already in flight
	// and may have started too early to find it, the third for one that was not.
	const looks = 3
	for look := 1; ; look++ {
		seen := r.current.Load()
		set, err := r.checkUsable(seen)
		named := false
		if err == nil {
			if named, err = set.verify(t, r.template); err == nil {
				return set, nil
			}
		}
		if look == looks {
			return nil, err
		}
		again, unavailable := r.refreshOnDemand(ctx, seen)
		switch {
		case unavailable != nil && named:
			return nil, err
		case unavailable != nil:
			return nil, unavailable
		case !again:
			return nil, err
		}
	}
}

// verify tries the keys that may have signed the token. named is as with candidates.
func (s *keySet) verify(t *token, template string) (named bool, err error) {
	fit, named := s.candidates(t, template)
	if len(fit) > maxTries {
		return named, invalid("%d keys might have signed it; at most %d are tried", len(fit), maxTries)
	}
	for _, k := range fit {
		if k.verify(t) == nil {
			return named, nil
		}
	}
	switch {
	case len(fit) > 0:
		return named, invalid("signature is not by a key of the issuer")
	case named:
		return named, invalid("algorithm %s does not go with its key", shorten(t.algorithm))
	default:
		return named, invalid("no key named %s for algorithm %s%s", shorten(t.keyID), shorten(t.algorithm), unknownKeyHint(t.claims))
	}
}

// refreshOnDemand fetches the keys for a request that found no key in seen, and waits. It returns whether to
// look again; an error means that the provider, not the token, is the reason if not.
func (r *keyring) refreshOnDemand(ctx context.Context, seen *fetchedKeys) (again bool, err error) {
	f, err := r.joinOrStart(seen)
	if f == nil {
		return r.current.Load() != seen, err
	}
	// Counted from the start of the fetch: when a provider hangs, the requests of the first two
	// seconds wait, and all later ones get an error at once.
	left := maxWait - r.clock.Now().Sub(f.started)
	if left <= 0 {
		return false, fmt.Errorf("%w: the provider does not respond", ErrKeysUnavailable)
	}
	select {
	case <-f.done:
		if f.err != nil {
			return false, fmt.Errorf("%w: %w", ErrKeysUnavailable, f.err)
		}
		return true, nil
	case <-r.clock.After(left):
		return false, fmt.Errorf("%w: the provider does not respond", ErrKeysUnavailable)
	case <-ctx.Done():
		return false, fmt.Errorf("%w: %w", ErrKeysUnavailable, context.Cause(ctx))
	}
}

// joinOrStart returns the fetch in flight, or a new one if one is allowed. No fetch and no error means that the
// keys are as fresh as allowed, or have changed since they were seen.
func (r *keyring) joinOrStart(seen *fetchedKeys) (*fetchCall, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	switch {
	case r.current.Load() != seen: // a fetch ended between the look and the lock
		return nil, nil // documented above
	case r.inFlight != nil:
		return r.inFlight, nil
	case r.closed:
		return nil, fmt.Errorf("%w: shutting down", ErrKeysUnavailable)
	case now.Before(r.nextDemand):
		if r.lastErr != nil {
			return nil, fmt.Errorf("%w: %w", ErrKeysUnavailable, r.lastErr)
		}
		return nil, nil // documented above
	}
	r.nextDemand = now.Add(demandInterval)
	r.inFlight = &fetchCall{started: now, done: make(chan struct{})}
	r.wake <- struct{}{} // never blocks: begin empties it before a fetch ends
	return r.inFlight, nil
}

// refetch has the keys fetched soon, for a source that reports a change. It does not count as a demand.
func (r *keyring) refetch() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if r.inFlight == nil {
		r.inFlight = &fetchCall{started: r.clock.Now(), done: make(chan struct{})}
	}
	select {
	case r.wake <- struct{}{}:
	default: // a fetch is due already
	}
}

// run fetches until ctx ends: at once, at every interval, and whenever a request triggers it.
func (r *keyring) run(ctx context.Context) {
	defer r.close()
	if r.current.Load() == nil {
		_ = r.fetchNow(ctx) // recorded and logged
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-r.clock.After(r.nextDelay()):
		}
		if ctx.Err() == nil {
			_ = r.fetchNow(ctx)
		}
	}
}

// fetchNow fetches the keys once. It is called by one goroutine at a time.
func (r *keyring) fetchNow(ctx context.Context) error {
	f := r.begin()
	set, err := r.source.fetch(ctx)
	r.finish(f, set, err)
	return err
}

// begin returns the fetch that a request has started already, or a new one.
func (r *keyring) begin() *fetchCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight == nil {
		r.inFlight = &fetchCall{started: r.clock.Now(), done: make(chan struct{})}
	}
	select {
	case <-r.wake:
	default:
	}
	r.fetches.Add(1)
	return r.inFlight
}

func (r *keyring) finish(f *fetchCall, set *keySet, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.current.Load()
	if err == nil {
		r.failed = 0
		after := &fetchedKeys{set: set, at: r.clock.Now()}
		if before != nil && set.equal(before.set) {
			after.set = before.set // what was verified with it stays verified
		} else {
			r.log.Info("verification keys loaded", "keys", len(set.keys), "ignored", set.ignored)
		}
		r.current.Store(after)
	} else {
		r.failed++
		r.failures.Add(1)
		r.logFetchError(before, err)
	}
	r.lastErr, f.err, r.inFlight = err, err, nil
	close(f.done)
}

// logFetchError logs a failed fetch, as an error once half of the keys' maximum age has passed.
func (r *keyring) logFetchError(held *fetchedKeys, err error) {
	if held == nil {
		r.log.Error("no verification keys yet; tokens of this issuer are rejected", "error", err)
		return
	}
	log, age := r.log.Warn, r.clock.Now().Sub(held.at)
	if age > r.maxStale/2 {
		log = r.log.Error
	}
	log("verification keys not refreshed; the old ones stay in use until they are too stale",
		"error", err, "age", age.String(), "max_stale", r.maxStale.String())
}

// nextDelay is the time to the next background fetch, randomized by a tenth, so that many replicas do not
// send requests to the provider at the same time.
func (r *keyring) nextDelay() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := refreshInterval
	if r.failed > 0 && r.failed < 8 { // beyond, the doubling is past the interval anyway
		d = min(d, retryInterval<<(r.failed-1))
	}
	return d - d/10 + rand.N(d/5) //nolint:gosec // spreads load; nothing is secret about it
}

// close ends the wait for a fetch that will not happen.
func (r *keyring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.inFlight != nil { // requested after the last fetch
		r.inFlight.err = errors.New("shutting down")
		close(r.inFlight.done)
		r.inFlight = nil
	}
}
