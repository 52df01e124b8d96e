package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// query is what is asked, of the size; fenced as the proxies that fence nothing need it, so that Loki would
// be asked the same by all.
func query(size string, fenced bool) string {
	matcher := ""
	if fenced {
		matcher = `tenant_id="tenant-0",`
	}
	return `{` + matcher + `app="checkout", size="` + size + `"} |= "error" | json | status >= 500`
}

// request makes one for a contestant, by the bearer of a token.
func (c *contestant) request(ctx context.Context, size, token string) (*http.Request, error) {
	values := url.Values{
		"query": {query(size, !c.fences)}, "limit": {"1000"}, "direction": {"backward"},
		"start": {"1795441600000000000"}, "end": {"1795445200000000000"},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/loki/api/v1/query_range?"+values.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.name, err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r, nil
}

// client is as many callers as there are connections.
func client(callers int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConns: callers, MaxIdleConnsPerHost: callers, DisableCompression: true,
		ReadBufferSize: 64 << 10,
	}}
}

// A round is what a number of requests cost.
type round struct {
	requests  int
	wall, cpu time.Duration
	allocs    float64
	latencies []time.Duration // sorted
	first     time.Duration   // until the first byte of the body, the median
	bytes     int64           // of the answers' bodies
}

// load has so many callers ask as often as there are requests in all, each with its next when it has its
// answer.
func load(ctx context.Context, c *contestant, by *http.Client, size string, callers, requests int, tokens []string) (round, error) {
	allocsBefore, err := c.metric(ctx, "go_memstats_mallocs_total")
	if err != nil {
		return round{}, err
	}
	cpuBefore, err := c.cpu()
	if err != nil {
		return round{}, err
	}
	began := time.Now()
	r, err := ask(ctx, c, by, size, callers, requests, tokens)
	if err != nil {
		return round{}, err
	}
	r.wall = time.Since(began)
	cpuAfter, err := c.cpu()
	if err != nil {
		return round{}, err
	}
	allocsAfter, err := c.metric(ctx, "go_memstats_mallocs_total")
	r.cpu, r.allocs = cpuAfter-cpuBefore, allocsAfter-allocsBefore
	return r, err
}

func ask(ctx context.Context, c *contestant, by *http.Client, size string, callers, requests int, tokens []string) (round, error) {
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		left    atomic.Int64
		all     = round{requests: requests}
		firsts  []time.Duration
		failed  error
	)
	left.Store(int64(requests))
	for range callers {
		running.Go(func() {
			buffer := make([]byte, 64<<10)
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				a, err := one(ctx, c, by, size, tokens[int(n)%len(tokens)], buffer)
				mu.Lock()
				if err != nil {
					failed = cmp.Or(failed, err)
					left.Store(0)
				}
				all.latencies = append(all.latencies, a.whole)
				firsts = append(firsts, a.first)
				all.bytes += a.bytes
				mu.Unlock()
			}
		})
	}
	running.Wait()
	slices.Sort(all.latencies)
	slices.Sort(firsts)
	if len(firsts) > 0 {
		all.first = firsts[len(firsts)/2]
	}
	return all, failed
}

type answer struct {
	first, whole time.Duration
	bytes        int64
}

// one asks once, and reads the answer to its end.
func one(ctx context.Context, c *contestant, by *http.Client, size, token string, buffer []byte) (answer, error) {
	r, err := c.request(ctx, size, token)
	if err != nil {
		return answer{}, err
	}
	began := time.Now()
	got, err := by.Do(r)
	if err != nil {
		return answer{}, fmt.Errorf("ask %s: %w", c.name, err)
	}
	defer got.Body.Close() //nolint:errcheck // it has been read
	var a answer
	for {
		n, err := got.Body.Read(buffer)
		if a.bytes == 0 && n > 0 {
			a.first = time.Since(began)
		}
		a.bytes += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return answer{}, fmt.Errorf("answer of %s: %w", c.name, err)
		}
	}
	a.whole = time.Since(began)
	if got.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("answer of %s: %s: %s", c.name, got.Status, buffer[:min(a.bytes, 300)])
	}
	return a, nil
}

// percentile is of sorted figures.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(p*float64(len(sorted))), len(sorted)-1)]
}
