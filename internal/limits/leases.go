package limits

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// lease is a place in Redis that a request holds: a member of each of its tenants' sets.
type lease struct {
	name string
	keys []string
}

// leases are those that this process holds. One goroutine gives them back and renews them, so that no
// request waits for either.
type leases struct {
	of *shared

	mu    sync.Mutex
	held  map[*lease]struct{}
	ended []*lease

	wake chan struct{}
	stop context.CancelFunc
	done sync.WaitGroup
}

func (l *leases) start(s *shared, probeEvery time.Duration) {
	ctx, stop := context.WithCancel(context.Background())
	l.of, l.stop = s, stop
	l.held, l.wake = map[*lease]struct{}{}, make(chan struct{}, 1)
	l.done.Go(func() { l.follow(ctx, probeEvery) })
}

// end gives back what is held, as far as Redis responds.
func (l *leases) end() {
	l.stop()
	l.done.Wait()
	l.mu.Lock()
	for own := range l.held {
		l.ended = append(l.ended, own)
	}
	clear(l.held)
	l.mu.Unlock()
	if l.of.up.Load() {
		l.giveBack(context.Background())
	}
}

func (l *leases) keep(own *lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[own] = struct{}{}
}

// release has a lease given back soon.
func (l *leases) release(own *lease) {
	l.mu.Lock()
	delete(l.held, own)
	l.ended = append(l.ended, own)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *leases) follow(ctx context.Context, probeEvery time.Duration) {
	renew, probe := time.NewTicker(renewEvery), time.NewTicker(probeEvery)
	defer renew.Stop()
	defer probe.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
			l.giveBack(ctx)
		case <-renew.C:
			l.renew(ctx)
		case <-probe.C:
			if !l.of.up.Load() {
				l.of.probe(ctx)
				l.renew(ctx) // what is held here, a Redis that starts anew does not know
			}
		}
	}
}

// giveBack gives back those that have ended. Where Redis is away they end by themselves.
func (l *leases) giveBack(ctx context.Context) {
	l.mu.Lock()
	ended := l.ended
	l.ended = nil
	l.mu.Unlock()
	l.each(ctx, ended, func(p redis.Pipeliner, key string, own *lease) {
		p.ZRem(ctx, key, own.name)
	})
}

func (l *leases) renew(ctx context.Context) {
	l.mu.Lock()
	held := make([]*lease, 0, len(l.held))
	for own := range l.held {
		held = append(held, own)
	}
	l.mu.Unlock()
	if len(held) == 0 || !l.of.up.Load() {
		return
	}
	now, err := l.of.client.Time(ctx).Result()
	if err != nil {
		return // the next request finds out
	}
	until := float64(now.Add(leaseTime).UnixMilli())
	l.each(ctx, held, func(p redis.Pipeliner, key string, own *lease) {
		p.ZAdd(ctx, key, redis.Z{Score: until, Member: own.name})
		p.PExpire(ctx, key, leaseTime)
	})
}

// each sends commands about leases, so many at a time. What fails is made good by the leases' end.
func (l *leases) each(ctx context.Context, all []*lease, send func(redis.Pipeliner, string, *lease)) {
	const most = 500
	for len(all) > 0 && l.of.up.Load() {
		batch := all[:min(most, len(all))]
		all = all[len(batch):]
		_, _ = l.of.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, own := range batch {
				for _, key := range own.keys {
					send(p, key, own)
				}
			}
			return nil
		})
	}
}
