package tail

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/tenant"
)

const (
	// DefaultMaxTails is how many tails of Loki's a process opens for an organization, of the ten that Loki allows: other
	// replicas and other clients need some.
	DefaultMaxTails = 6
	// MaxPolled is how many queries of a tenant are polled at once.
	MaxPolled = 20

	// minPoll and maxPoll are between two queries for new lines: maxPoll where none come.
	minPoll, maxPoll = time.Second, 5 * time.Second
	// pollFor is how long lines are queried before another tail of Loki's is tried.
	pollFor = time.Minute
)

// ErrTooManyPolled means that Loki takes no more tails, and that the tenant has [MaxPolled] queries polled already.
var ErrTooManyPolled = errors.New("too many different queries are followed live")

// errPolled is the end of a time of polling: another tail of Loki's is tried.
var errPolled = errors.New("lines have been polled for a while")

// places are what streams have of what is bounded.
type places struct {
	tails map[string]int      // of Loki's, by organization
	polls map[tenant.Name]int // queries that are polled, by tenant
}

// takeTail takes a place among the tails of Loki's of each organization, or of none and is false.
func (h *Hub) takeTail(organizations []string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range organizations {
		if h.places.tails[o] >= h.config.MaxTails {
			return false
		}
	}
	for _, o := range organizations {
		h.places.tails[o]++
	}
	return true
}

func (h *Hub) giveTail(organizations []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range organizations {
		if h.places.tails[o]--; h.places.tails[o] == 0 {
			delete(h.places.tails, o)
		}
	}
}

// takePoll takes a place among the polled queries of each tenant.
func (h *Hub) takePoll(tenants []tenant.Name) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range tenants {
		if h.places.polls[t] >= MaxPolled {
			return false
		}
	}
	for _, t := range tenants {
		h.places.polls[t]++
	}
	return true
}

func (h *Hub) givePoll(tenants []tenant.Name) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range tenants {
		if h.places.polls[t]--; h.places.polls[t] == 0 {
			delete(h.places.polls, t)
		}
	}
}

// HubStats are the figures of a hub.
type HubStats struct {
	Viewers int
	// Streams are the different queries that are followed.
	Streams int
	// Tailed are those of them that have a tail of Loki's or are about to open one, Polled those for which Loki takes none,
	// and Interrupted those of which nothing is read at present.
	Tailed, Polled, Interrupted int
}

// Stats returns the figures of the hub.
func (h *Hub) Stats() HubStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := HubStats{Streams: len(h.streams)}
	for _, stream := range h.streams {
		s.Viewers += stream.viewers
		switch {
		case stream.down:
			s.Interrupted++
		case stream.polled:
			s.Polled++
		default:
			s.Tailed++
		}
	}
	return s
}

// session reads by a tail of Loki's where there is a place and Loki takes it, and polls otherwise.
func (s *stream) session(ctx context.Context) (begun bool, err error) {
	organizations := strings.Split(s.key.Organization, "|")
	if time.Now().Before(s.pollUntil) || !s.hub.takeTail(organizations) {
		return s.poll(ctx)
	}
	begun, err = s.tail(ctx)
	s.hub.giveTail(organizations)
	if ctx.Err() == nil && errors.Is(err, loki.ErrTooManyTails) {
		s.pollUntil = time.Time{} // a full minute from now
		return s.poll(ctx)
	}
	return begun, err
}

// poll queries new lines for a while: with an overlap, in which lines may arrive late, and each is delivered once.
func (s *stream) poll(ctx context.Context) (begun bool, err error) {
	tenants := s.key.Query.Tenants()
	if !s.hub.takePoll(tenants) {
		return false, ErrTooManyPolled
	}
	s.setPolled(true)
	defer func() {
		s.hub.givePoll(tenants)
		s.setPolled(false)
	}()
	if !time.Now().Before(s.pollUntil) { // not After: a time that is just over would never be followed by another
		s.pollUntil = time.Now().Add(pollFor)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for every := minPoll; ; {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return begun, ctx.Err()
		}
		if !time.Now().Before(s.pollUntil) {
			return begun, errPolled
		}
		before := s.ring.pushed()
		if err := s.catchUp(ctx, time.Time{}); err != nil {
			return begun, fmt.Errorf("poll: %w", err)
		}
		s.markOpen()
		s.live(EventPolling)
		begun = true
		if every = min(2*every, maxPoll); s.ring.pushed() != before {
			every = minPoll
		}
		timer.Reset(every)
	}
}

func (s *stream) setPolled(polled bool) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.polled = polled
}

func (s *stream) setDown(down bool) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.down = down
}

// entries requests a page. A poll has a slot like a query, since it comes again and again.
func (s *stream) entries(ctx context.Context, p loki.RangeParams, maxBytes int64) (loki.Lines, error) {
	if s.polled && s.config.Slot != nil {
		release, err := s.config.Slot(ctx)
		if err != nil {
			return loki.Lines{}, err
		}
		defer release()
	}
	return s.config.Source.Entries(ctx, p, maxBytes)
}
