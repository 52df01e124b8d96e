package tail

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/pages"
	"github.com/logfence/logfence/internal/tenancy"
	"github.com/logfence/logfence/internal/tenant"
)

// Key is what a stream is shared by. The query carries its tenants and its fenced text; viewers that differ in any of
// them, or in the organization that Loki is sent, never share one.
type Key struct {
	Query tenancy.Query
	// Organization is the value of Loki's header for the query.
	Organization string
}

// HubConfig configures a [Hub].
type HubConfig struct {
	// GiveUp is how long Loki may be down before its tails end; 0 is DefaultGiveUp.
	GiveUp time.Duration
	// Linger is how long a stream goes on after its last viewer; 0 is DefaultLinger.
	Linger time.Duration
	// MaxTails is how many tails of Loki's are open at once for an organization; 0 is DefaultMaxTails. The queries of
	// more streams, the newest, are polled.
	MaxTails int
	// Now is the clock of timestamps; nil is the system's.
	Now func() time.Time
}

const (
	// DefaultGiveUp is how long Loki may be down: long enough for it to be moved to another machine.
	DefaultGiveUp = 2 * time.Minute
	// DefaultLinger is how long a viewer may take to come back to the same position.
	DefaultLinger = 30 * time.Second
)

// Hub holds the streams, one for each key that has viewers. It is safe for use by many goroutines.
type Hub struct {
	config HubConfig

	mu      sync.Mutex
	streams map[Key]*stream
	places  places
	closed  bool
	running sync.WaitGroup

	shedAt atomic.Int64 // nanoseconds since 1970 of the last time
}

// ErrClosed means that the hub has been closed.
var ErrClosed = errors.New("live tails have ended")

// NewHub makes a hub. The caller closes it.
func NewHub(c HubConfig) *Hub {
	if c.GiveUp == 0 {
		c.GiveUp = DefaultGiveUp
	}
	if c.Linger == 0 {
		c.Linger = DefaultLinger
	}
	if c.MaxTails == 0 {
		c.MaxTails = DefaultMaxTails
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Hub{config: c, streams: map[Key]*stream{}, places: places{tails: map[string]int{}, polls: map[tenant.Name]int{}}}
}

func (h *Hub) now() time.Time { return h.config.Now() }

// StreamConfig is what a stream reads with: nothing of it is a single viewer's.
type StreamConfig struct {
	// Source requests with the properties of the tenants alone.
	Source Source
	// PageLines is how many lines are requested from Loki at once; 0 is its own bound.
	PageLines int
	// LongBytes is how large a page is at most that cannot be divided; 0 is pages.DefaultLongBytes.
	LongBytes int64
	// Reserve reserves the memory of a page before it is requested; nil: as much as is wanted.
	Reserve pages.Reserve
	// Slot waits for a slot at Loki for one query, when lines are polled; nil: none is needed.
	Slot func(context.Context) (release func(), err error)
	// Room reserves [BaseBytes] for what waits for viewers, for the tenants; nil: as much as the ring's own bounds allow.
	Room func(context.Context) (Room, error)
}

func (c StreamConfig) withDefaults() StreamConfig {
	if c.PageLines == 0 {
		c.PageLines = pages.DefaultLines
	}
	if c.LongBytes == 0 {
		c.LongBytes = pages.DefaultLongBytes
	}
	return c
}

// attach returns the stream of a key, which it makes where there is none, and counts a viewer.
func (h *Hub) attach(ctx context.Context, key Key, c StreamConfig) (*stream, error) {
	if s := h.enter(key, nil); s != nil {
		return s, nil
	}
	room, err := roomOf(ctx, c.Room) // it may wait
	if err != nil {
		return nil, err
	}
	made := false
	s := h.enter(key, func() *stream { //nolint:contextcheck // a stream outlives the viewer that it is made for
		made = true
		return newStream(h, key, c, room)
	})
	if !made {
		room.Release()
	}
	if s == nil {
		return nil, ErrClosed
	}
	return s, nil
}

// enter counts a viewer of the stream of a key, which is made if there is none.
func (h *Hub) enter(key Key, make func() *stream) *stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil
	}
	s := h.streams[key]
	if s == nil {
		if make == nil {
			return nil
		}
		h.running.Add(1)
		s = make()
		h.streams[key] = s
	}
	s.viewers++
	if s.linger != nil {
		s.linger.Stop()
		s.linger = nil
	}
	return s
}

// use records that a viewer has joined the stream.
func (h *Hub) use(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.used = true
}

// detach counts a viewer less. The last one's stream goes on for a while, if one has ever joined it.
func (h *Hub) detach(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.viewers--; s.viewers > 0 || h.streams[s.key] != s {
		return
	}
	if h.closed || !s.used {
		h.drop(s)
		s.cancel()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(h.config.Linger, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if s.linger == timer && s.viewers == 0 {
			h.drop(s)
			s.cancel()
		}
	})
	s.linger = timer
}

// drop has the next viewer start another stream.
func (h *Hub) drop(s *stream) {
	if h.streams[s.key] == s {
		delete(h.streams, s.key)
	}
}

// forget is called by a stream that has ended.
func (h *Hub) forget(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(s)
	s.cancel()
	if s.linger != nil {
		s.linger.Stop()
	}
}

// shedSoon has streams of tenants that hold more than their share of the memory give back the oldest lines: those as well
// to which nothing comes, and at most once in a second. Streams call it; it does not wait.
func (h *Hub) shedSoon() {
	now, last := time.Now().UnixNano(), h.shedAt.Load()
	if now-last < int64(time.Second) || !h.shedAt.CompareAndSwap(last, now) {
		return
	}
	h.running.Go(func() {
		h.mu.Lock()
		streams := slices.Collect(maps.Values(h.streams))
		h.mu.Unlock()
		for more := true; more; {
			more = false
			for _, s := range streams { // a batch of each in turn
				more = s.ring.shed() || more
			}
		}
	})
}

// Close ends every stream, and waits for them. There are no new ones after it.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	for _, s := range h.streams {
		s.cancel()
	}
	h.mu.Unlock()
	h.running.Wait()
}

// Upstream is an open tail of Loki's; see [loki.Tail].
type Upstream interface {
	Begun() <-chan struct{}
	Receive(ctx context.Context) (loki.Frame, error)
	Close()
}

// Source reads from Loki for one query.
type Source interface {
	Open(ctx context.Context, p loki.TailParams) (Upstream, error)
	Entries(ctx context.Context, p loki.RangeParams, maxBytes int64) (loki.Lines, error)
}

// NewSource returns the source of a client, for one query.
func NewSource(client *loki.Client, options loki.RequestOptions, q tenancy.Query) Source {
	return &lokiSource{client, options, q}
}

type lokiSource struct {
	client  *loki.Client
	options loki.RequestOptions
	query   tenancy.Query
}

func (s *lokiSource) Open(ctx context.Context, p loki.TailParams) (Upstream, error) {
	upstream, err := s.client.Tail(ctx, s.options, s.query, p)
	if err != nil {
		return nil, err
	}
	return upstream, nil
}

func (s *lokiSource) Entries(ctx context.Context, p loki.RangeParams, maxBytes int64) (loki.Lines, error) {
	return s.client.Entries(ctx, s.options, s.query, p, maxBytes)
}
