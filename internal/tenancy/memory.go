package tenancy

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// memory remembers fenced queries, the latest ones used, within a bound of bytes: dashboards repeat
// themselves, and parsing is dear. Refusals are not remembered.
type memory struct {
	mu    sync.Mutex
	lru   *simplelru.LRU[asked, Query]
	bytes int
	max   int
}

// asked is a text, and the whole of the scope that it was fenced in: what its matchers are as text.
type asked struct{ scope, text string }

// maxRemembered bounds the number of entries, where all of them are tiny.
const maxRemembered = 1 << 16

func newMemory(maxBytes int) (*memory, error) {
	m := &memory{max: maxBytes}
	lru, err := simplelru.NewLRU(maxRemembered, func(key asked, q Query) { m.bytes -= weight(key, q) })
	m.lru = lru
	return m, err
}

// weight is what an entry takes, the list and map that hold it included.
func weight(key asked, q Query) int { return len(key.scope) + len(key.text) + len(q.logql) + 200 }

func (m *memory) find(key asked) (Query, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lru.Get(key)
}

func (m *memory) keep(key asked, q Query) {
	// No one query may push out more than a few others.
	if weight(key, q) > m.max/8 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lru.Contains(key) {
		return
	}
	m.lru.Add(key, q)
	m.bytes += weight(key, q)
	for m.bytes > m.max {
		m.lru.RemoveOldest()
	}
}
