package auth

import "time"

// Stats is the state of a Verifier, for metrics.
type Stats struct {
	// Issuers are as configured, in that order.
	Issuers []IssuerStats
	// CacheHits and CacheMisses count tokens that were cached and those that were not; all rejected
	// tokens count as misses.
	CacheHits, CacheMisses uint64
	// CacheEntries is how many tokens are cached now.
	CacheEntries int
}

// IssuerStats is the state of one issuer's keys.
type IssuerStats struct {
	// Issuer is the issuer as configured.
	Issuer string
	// Keys is how many usable keys are held; 0 before the first successful fetch.
	Keys int
	// KeysAge is the time since the last successful fetch; 0 before the first.
	KeysAge time.Duration
	// Usable reports whether tokens can be verified: there are keys, and they are not too stale.
	Usable bool
	// Fetches counts the attempts to fetch keys, Failures those that brought none.
	Fetches, Failures uint64
}

// Stats is the state of the keys and the cache now.
func (v *Verifier) Stats() Stats {
	s := Stats{CacheHits: v.cache.hits.Load(), CacheMisses: v.cache.misses.Load(), CacheEntries: v.cache.size()}
	for _, iss := range v.order {
		one := IssuerStats{Issuer: iss.name, Fetches: iss.keys.fetches.Load(), Failures: iss.keys.failures.Load()}
		if h := iss.keys.current.Load(); h != nil {
			one.Keys, one.KeysAge = len(h.set.keys), v.clock.Now().Sub(h.at)
		}
		_, err := iss.keys.usableKeys()
		one.Usable = err == nil
		s.Issuers = append(s.Issuers, one)
	}
	return s
}
