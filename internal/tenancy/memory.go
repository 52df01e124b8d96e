package tenancy

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// memory remembers what is dear to make, the latest used, within a bound of bytes: dashboards repeat
// themselves, and parsing is dear. Refusals are not remembered.
type memory[K comparable, V any] struct {
	mu     sync.Mutex
	lru    *simplelru.LRU[K, V]
	weight func(K, V) int
	bytes  int
	max    int
}

// asked is a text, and the identity of the scope that it was fenced in: its tenants and its matchers.
type asked struct{ scope, text string }

// maxRemembered bounds the number of entries, where all of them are tiny.
const maxRemembered = 1 << 16

func newMemory[K comparable, V any](maxBytes int, weight func(K, V) int) (*memory[K, V], error) {
	m := &memory[K, V]{max: maxBytes, weight: weight}
	lru, err := simplelru.NewLRU(maxRemembered, func(key K, v V) { m.bytes -= m.weight(key, v) })
	m.lru = lru
	return m, err
}

// queryWeight is what a fenced query takes, the list and map that hold it included.
func queryWeight(key asked, q Query) int { return len(key.scope) + len(key.text) + len(q.logql) + 200 }

// scopeWeight is about what a scope takes: one of several tenants holds a compiled expression of all their
// names.
func scopeWeight(key string, s Scope) int {
	weight := 1000 + len(key) + 4*len(s.plain.text)
	if len(s.tenants) > 1 {
		weight += 60 * len(s.plain.text)
	}
	return weight
}

func (m *memory[K, V]) find(key K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lru.Get(key)
}

func (m *memory[K, V]) keep(key K, v V) {
	// None may push out more than a few others.
	if m.weight(key, v) > m.max/8 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lru.Contains(key) {
		return
	}
	m.lru.Add(key, v)
	m.bytes += m.weight(key, v)
	for m.bytes > m.max {
		m.lru.RemoveOldest()
	}
}
