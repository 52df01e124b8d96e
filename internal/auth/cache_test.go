package auth

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/tenant"
)

// TestCache guarantees that a remembered token is judged as a new one would be: it passes no longer
// than it is good, and no longer than its key is.
func TestCache(t *testing.T) {
	verify := func(t *testing.T, v *fixture, token string, want error, hits uint64) {
		t.Helper()
		_, err := v.Verify(t.Context(), token)
		if !errors.Is(err, want) {
			t.Errorf("Verify: %v; want %v", err, want)
		}
		if got := v.Stats().CacheHits; got != hits {
			t.Errorf("%d hits; want %d", got, hits)
		}
	}
	t.Run("remembered", func(t *testing.T) {
		v := genuineVerifier(t, nil)
		token := genuine().token(t, nil)
		verify(t, v, token, nil, 0)
		verify(t, v, token, nil, 1)
		if s := v.Stats(); s.CacheEntries != 1 || s.CacheMisses != 1 {
			t.Errorf("stats %+v", s)
		}
	})
	t.Run("expired although remembered", func(t *testing.T) {
		v := genuineVerifier(t, nil)
		token := genuine().token(t, map[string]any{"exp": now.Add(10 * time.Second).Unix()})
		verify(t, v, token, nil, 0)
		v.clock.advance(39 * time.Second) // exp and the leeway, less a second
		verify(t, v, token, nil, 1)
		v.clock.advance(time.Second)
		verify(t, v, token, ErrInvalidToken, 1)
	})
	t.Run("looked at again after a minute", func(t *testing.T) {
		v := genuineVerifier(t, nil)
		token := genuine().token(t, nil)
		verify(t, v, token, nil, 0)
		v.clock.advance(maxCacheAge)
		verify(t, v, token, nil, 0)
	})
	t.Run("key withdrawn", func(t *testing.T) {
		v := genuineVerifier(t, nil)
		token := genuine().token(t, nil)
		v.clock.advance(refreshInterval * 4 / 5) // close to the next fetch
		verify(t, v, token, nil, 0)
		v.provider.serve(testJWKS, jwksOf(t, edSigner.jwk(t, nil)))
		v.clock.advance(demandInterval)
		unknown := foreign()
		unknown.id = "unknown"
		mustFail(t, v, unknown, ErrInvalidToken) // has the keys fetched
		verify(t, v, token, ErrInvalidToken, 0)
	})
	t.Run("same keys fetched again", func(t *testing.T) {
		v := genuineVerifier(t, nil)
		token := genuine().token(t, nil)
		verify(t, v, token, nil, 0)
		unknown := foreign()
		unknown.id = "unknown"
		mustFail(t, v, unknown, ErrInvalidToken)
		if n := v.provider.count(testJWKS); n != 2 {
			t.Fatalf("%d fetches; want 2", n)
		}
		verify(t, v, token, nil, 1)
	})
	t.Run("refusals are not remembered", func(t *testing.T) {
		v := genuineVerifier(t, nil)
		verify(t, v, foreign().token(t, nil), ErrInvalidToken, 0)
		verify(t, v, genuine().token(t, map[string]any{"tenant_id": 7}), ErrNoTenant, 0)
		if n := v.Stats().CacheEntries; n != 0 {
			t.Errorf("%d entries", n)
		}
	})
	t.Run("bounded", func(t *testing.T) {
		v := genuineVerifier(t, func(c *Config) { c.CacheEntries = 2 })
		for _, sub := range []string{"a", "b", "c"} {
			verify(t, v, genuine().token(t, map[string]any{"sub": sub}), nil, 0)
		}
		if n := v.Stats().CacheEntries; n != 2 {
			t.Errorf("%d entries; want 2", n)
		}
	})
	t.Run("off", func(t *testing.T) {
		v := genuineVerifier(t, func(c *Config) { c.CacheEntries = 0 })
		token := genuine().token(t, nil)
		verify(t, v, token, nil, 0)
		verify(t, v, token, nil, 0)
	})
}

// TestCacheStale guarantees that remembered tokens do not outlive keys that are too stale.
func TestCacheStale(t *testing.T) {
	v := genuineVerifier(t, func(c *Config) { c.KeysMaxStale = minMaxStale })
	v.provider.setDown(true)
	v.refresh(nextRefresh)
	v.clock.advance(minMaxStale - nextRefresh - time.Second) // a second to go
	token := genuine().token(t, nil)
	for range 2 {
		if _, err := v.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	v.clock.advance(2 * time.Second)
	if _, err := v.Verify(t.Context(), token); !errors.Is(err, ErrKeysUnavailable) {
		t.Errorf("Verify: %v; want %v", err, ErrKeysUnavailable)
	}
}

// TestPrincipalIsTheCallersOwn guarantees that what one request does to its principal is not seen by
// the next.
func TestPrincipalIsTheCallersOwn(t *testing.T) {
	v := genuineVerifier(t, nil)
	token := genuine().token(t, map[string]any{"tenant_id": []string{"alpha", "beta"}, "scope": "read"})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			p, err := v.Verify(t.Context(), token)
			if err != nil || !slices.Equal(tenant.Texts(p.Tenants), []string{"alpha", "beta"}) || !slices.Equal(p.Scopes, []string{"read"}) {
				t.Errorf("principal %+v, %v", p, err)
				return
			}
			p.Tenants[0], p.Scopes[0] = "gamma", "write"
		})
	}
	wg.Wait()
}
