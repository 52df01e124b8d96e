package limits

import "sync"

// slots count what each tenant has in flight of the classes that do not wait: exports, and tails.
type slots struct {
	mu   sync.Mutex
	held map[string]int // by tenant; those that have none are not in it
}

// take takes a slot of each of the tenants, or of none and is false. A reader of several tenants' lines
// counts for each: otherwise a token of many tenants would be a way around the bound.
func (s *slots) take(tenants []tenant, most func(*Limits) int) bool {
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

func (s *slots) giveBack(tenants []tenant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tenants {
		if s.held[t.name]--; s.held[t.name] == 0 {
			delete(s.held, t.name)
		}
	}
}
