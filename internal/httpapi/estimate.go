package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/errgroup"

	"github.com/labstack/echo/v4"

	"github.com/logfence/logfence/internal/limits"
	"github.com/logfence/logfence/internal/loki"
	"github.com/logfence/logfence/internal/tenancy"
)

const (
	// estimateTimeout is how long a query waits for the estimate of what it reads. It is a budget and not a fence: without
	// an estimate the query runs.
	estimateTimeout = 2 * time.Second
	// estimatesAtOnce bounds the requests for one estimate that are in flight at the same time.
	estimatesAtOnce = 4
	// maxEstimates and maxEstimateKey bound the cache, to some megabytes.
	maxEstimates   = 4096
	maxEstimateKey = 2 << 10
)

// estimator estimates what queries read, by Loki's index. Estimates are cached for the minute in which they were requested, by
// the fenced selector and its window in minutes, and so are failures: a dashboard's panels share selectors, and a Loki
// without estimates delays none of them for longer than the first.
type estimator struct {
	request  func(context.Context, loki.RequestOptions, tenancy.Selector, loki.Window) (loki.IndexEstimate, error)
	now      func() time.Time
	failures atomic.Uint64 // queries that ran without an estimate

	mu    sync.Mutex
	known *simplelru.LRU[estimateKey, estimated]
}

// estimateKey is a selector, which carries its scope, and a window in minutes since 1970.
type estimateKey struct {
	selector   tenancy.Selector
	start, end int64
}

type estimated struct {
	minute int64 // of the request
	found  loki.IndexEstimate
	err    error
}

func newEstimator(client *loki.Client, now func() time.Time) (*estimator, error) {
	known, err := simplelru.NewLRU[estimateKey, estimated](maxEstimates, nil)
	return &estimator{request: client.EstimateIndex, now: now, known: known}, err
}

// of estimates what a query with these reads takes from Loki over a window: the sum over its selectors, as Loki counts it
// for its own max_query_bytes_read. With an error it is the sum of what is known.
func (e *estimator) of(ctx context.Context, options loki.RequestOptions, reads []tenancy.Read, w loki.Window) (loki.IndexEstimate, error) {
	keys := keysOf(reads, w)
	total, failed := e.cached(keys)
	if len(keys) == 0 {
		return total, failed
	}
	ctx, cancel := context.WithTimeout(ctx, estimateTimeout)
	defer cancel()
	var mu sync.Mutex
	var requests errgroup.Group // whose context would end the others with the first that fails
	requests.SetLimit(estimatesAtOnce)
	for key, times := range keys {
		requests.Go(func() error {
			found, err := e.fetch(ctx, options, key)
			mu.Lock()
			defer mu.Unlock()
			add(&total, found, times)
			return err
		})
	}
	err := requests.Wait()
	return total, cmp.Or(failed, err)
}

// cached is the sum of what is known of the keys, which are removed, and the error of one of them.
func (e *estimator) cached(keys map[estimateKey]int64) (total loki.IndexEstimate, failed error) {
	minute := e.now().Unix() / 60
	e.mu.Lock()
	defer e.mu.Unlock()
	for key, times := range keys {
		if known, ok := e.known.Get(key); ok && known.minute == minute {
			add(&total, known.found, times)
			failed = cmp.Or(failed, known.err)
			delete(keys, key)
		}
	}
	return total, failed
}

// add adds an estimate so many times.
func add(total *loki.IndexEstimate, found loki.IndexEstimate, times int64) {
	total.Streams += times * found.Streams
	total.Chunks += times * found.Chunks
	total.Bytes += times * found.Bytes
	total.Entries += times * found.Entries
}

// keysOf are the selectors of a query, each with the window that it is read over and how often that is so.
func keysOf(reads []tenancy.Read, w loki.Window) map[estimateKey]int64 {
	keys := make(map[estimateKey]int64, len(reads))
	for _, r := range reads {
		start := max(w.Start.Add(-r.Range-r.Offset).Unix()/60, 1) // the first minute of 1970 cannot be sent
		end := max((w.End.Add(-r.Offset).Unix()+59)/60, start)
		keys[estimateKey{selector: r.Selector, start: start, end: end}]++
	}
	return keys
}

// fetch requests an estimate of Loki, and caches it.
func (e *estimator) fetch(ctx context.Context, options loki.RequestOptions, key estimateKey) (loki.IndexEstimate, error) {
	minute := e.now().Unix() / 60
	found, err := e.request(ctx, options, key.selector, loki.Window{Start: time.Unix(key.start*60, 0), End: time.Unix(key.end*60, 0)})
	// A caller that leaves must not take the budget from the next query.
	if len(key.selector.LogQL()) <= maxEstimateKey && !errors.Is(ctx.Err(), context.Canceled) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.known.Add(key, estimated{minute: minute, found: found, err: err})
	}
	return found, err
}

// checkBytesRead refuses a query that would read more than its tenants' budget. The request then has its slot at Loki.
func (s *Server) checkBytesRead(c echo.Context, q tenancy.Query, w loki.Window) error {
	l := callerOf(c).limits
	if l.MaxQueryBytesRead >= limits.NoReadBudget || !q.ReadsAll() {
		return nil
	}
	found, complete, err := s.estimate(c, q, w)
	if err != nil {
		return err
	}
	if !complete {
		s.estimates.failures.Add(1)
	}
	return l.CheckBytesRead(found.Bytes)
}

// estimate requests what a query reads; it is not complete where Loki has not given all of it in time. The error is one of the
// request itself. Its parser slot, where it needs one, comes before its slot at Loki, as always.
func (s *Server) estimate(c echo.Context, q tenancy.Query, w loki.Window) (found loki.IndexEstimate, complete bool, err error) {
	ctx, who := c.Request().Context(), callerOf(c)
	reads, ok := s.fence.CachedReads(q)
	if !ok {
		err := s.withParserSlot(ctx, who, func() (err error) {
			reads, err = s.fence.Reads(q)
			return err
		})
		if err != nil {
			return loki.IndexEstimate{}, false, fmt.Errorf("list what the query reads: %w", err)
		}
	}
	// Before the time-out begins: waiting for a slot is none of Loki's fault.
	options := requestOptions(c)
	if err := options.Slot.Acquire(ctx); err != nil {
		return loki.IndexEstimate{}, false, err
	}
	found, err = s.estimates.of(ctx, options, reads, w)
	if ctx.Err() != nil {
		return loki.IndexEstimate{}, false, ctx.Err()
	}
	return found, err == nil, nil
}

// EstimateFailures is how many queries ran without an estimate of what they read, since Loki gave none in time.
func (s *Server) EstimateFailures() uint64 { return s.estimates.failures.Load() }
