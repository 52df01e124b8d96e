package limits

import (
	"sync"

	"github.com/logfence/logfence/internal/tenant"
)

// slots count what each tenant has in flight of the classes that do not wait: exports, and tails.
type slots struct {
	mu   sync.Mutex
	held map[tenant.Name]int // by tenant; those that have none are not in it
}

// take takes a slot of each of the tenants, or of none and is false. A reader of several tenants' lines
// counts for each: otherwise a token of many tenants would be a way around the bound.
func (s *slots) take(tenants []member, most func(*Limits) int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tenants {
		if s.held[t.name] >= most(t.limits) {
			return false
		}
	}
	for _, t := range tenants {
		s.held[t.name]++
	}
	return true
}

func (s *slots) giveBack(tenants []member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tenants {
		if s.held[t.name]--; s.held[t.name] == 0 {
			delete(s.held, t.name)
		}
	}
}
