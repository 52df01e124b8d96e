package tail

import (
	"errors"
	"sync"
)

// ErrTooMany says that a tenant has as many tails open as it may.
var ErrTooMany = errors.New("too many tails are open")

// Slots bound the tails that each tenant has open.
type Slots struct {
	most int

	mu   sync.Mutex
	open map[string]int // by tenant; those without a tail are not in it
}

// NewSlots lets each tenant have so many tails open.
func NewSlots(most int) *Slots { return &Slots{most: most, open: map[string]int{}} }

// Take takes a slot of each of the tenants, or of none and gives [ErrTooMany]. A reader of several
// tenants' lines counts for each: otherwise a token of many tenants would be a way around the bound.
func (s *Slots) Take(tenants []string) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tenant := range tenants {
		if s.open[tenant] >= s.most {
			return nil, ErrTooMany
		}
	}
	for _, tenant := range tenants {
		s.open[tenant]++
	}
	return sync.OnceFunc(func() { s.release(tenants) }), nil
}

func (s *Slots) release(tenants []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tenant := range tenants {
		if s.open[tenant]--; s.open[tenant] == 0 {
			delete(s.open, tenant)
		}
	}
}
