package tenancy

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// cache keeps what is expensive to make, the latest used, within a bound of bytes: dashboards repeat
// themselves. Refusals are not cached.
type cache[K comparable, V any] struct {
	mu     sync.Mutex
	lru    *simplelru.LRU[K, V]
	weight func(K, V) int
	bytes  int
	max    int
}

// queryKey is a text, and the identity of the scope that it was fenced in: its tenants and its matchers.
type queryKey struct{ scope, text string }

// maxCached bounds the number of entries, where all of them are tiny.
const maxCached = 1 << 16

func newCache[K comparable, V any](maxBytes int, weight func(K, V) int) (*cache[K, V], error) {
	c := &cache[K, V]{max: maxBytes, weight: weight}
	lru, err := simplelru.NewLRU(maxCached, func(key K, v V) { c.bytes -= c.weight(key, v) })
	c.lru = lru
	return c, err
}

// queryWeight is what a fenced query takes, the list and map that hold it included.
func queryWeight(key queryKey, q Query) int {
	return len(key.scope) + len(key.text) + len(q.logql) + 200
}

// scopeWeight is about what a scope takes: one of several tenants holds a compiled expression of all their
// names.
func scopeWeight(key string, s Scope) int {
	weight := 1000 + len(key) + 4*len(s.plain.text)
	if len(s.tenants) > 1 {
		weight += 60 * len(s.plain.text)
	}
	return weight
}

func (c *cache[K, V]) Get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lru.Get(key)
}

func (c *cache[K, V]) Add(key K, v V) {
	// None may push out more than a few others.
	if c.weight(key, v) > c.max/8 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lru.Contains(key) {
		return
	}
	c.lru.Add(key, v)
	c.bytes += c.weight(key, v)
	for c.bytes > c.max {
		c.lru.RemoveOldest()
	}
}
