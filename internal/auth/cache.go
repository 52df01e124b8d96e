package auth

import (
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/logfence/logfence/internal/access"
)

// maxCacheAge is how long the result for a token is cached at most.
const maxCacheAge = time.Minute

// A cache holds the principals of verified tokens: one page makes many requests, and the signature is by far
// the most expensive part of each. Rejections are not cached, so that nobody can evict entries without a
// valid token.
//
// Not the expirable kind of the same library: its goroutine cannot be stopped, and it uses the
// system's clock.
type cache struct {
	entries      *lru.Cache[[sha256.Size]byte, cacheEntry] // nil: nothing is cached
	hits, misses atomic.Uint64
}

// cacheEntry is valid until its time, and as long as the keys and the rules are those that it was made by.
type cacheEntry struct {
	principal Principal
	keys      *keyring
	set       *keySet
	rules     *access.Rules // that have made the principal
	until     time.Time
}

// digest is the key of a credential in the cache: an issuer lists headers, so the same token in another one is another.
func (c Credential) digest() [sha256.Size]byte {
	if c.Header == authorizationHeader {
		return sha256.Sum256([]byte(c.Token))
	}
	return sha256.Sum256([]byte(c.Header + "\n" + c.Token)) // no token has a line break
}

func newCache(size int) (*cache, error) {
	if size == 0 {
		return &cache{}, nil
	}
	entries, err := lru.New[[sha256.Size]byte, cacheEntry](size)
	if err != nil {
		return nil, fmt.Errorf("token cache: %w", err)
	}
	return &cache{entries: entries}, nil
}

func (c *cache) get(digest [sha256.Size]byte, rules *access.Rules, now time.Time) (Principal, bool) {
	if c.entries == nil {
		return Principal{}, false
	}
	e, ok := c.entries.Get(digest)
	if ok && e.rules == rules && e.valid(now) {
		c.hits.Add(1)
		return e.principal.clone(), true
	}
	if ok {
		c.entries.Remove(digest)
	}
	c.misses.Add(1)
	return Principal{}, false
}

func (c *cache) put(digest [sha256.Size]byte, e cacheEntry) {
	if c.entries != nil {
		c.entries.Add(digest, e)
	}
}

func (c *cache) size() int {
	if c.entries == nil {
		return 0
	}
	return c.entries.Len()
}

func (e cacheEntry) valid(now time.Time) bool {
	if !now.Before(e.until) {
		return false
	}
	set, err := e.keys.usableKeys()
	return err == nil && set == e.set
}
