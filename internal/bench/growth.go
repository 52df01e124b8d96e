package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/logfence/logfence/internal/bench/costly"
)

// A point is what one request costs in microseconds of a processor, at a size.
type point struct{ At, Cost float64 }

// A costlyText is what the dearest text of a kind costs before it is sent or refused, in milliseconds of a
// processor.
type costlyText struct {
	Name          string
	Bytes         int // of the longest that is sent
	Sent, Refused float64
}

// most is how many tenants, and how many callers, there are at the most.
const (
	mostTenants = 10_000
	mostCallers = 1000
)

// byTenants asks for as many tenants, in turn; each has been there before.
func (f *field) byTenants(ctx context.Context, c *contestant) (points []point, err error) {
	by := client(16)
	defer by.CloseIdleConnections()
	for n := 1; n <= mostTenants; n *= 10 {
		tokens := f.tokens[:n]
		if _, err := ask(ctx, c, by, small, 16, max(n, 1000), tokens); err != nil {
			return nil, err
		}
		cost, err := f.cost(ctx, c, by, 16, max(2*n, 6000), tokens)
		if err != nil {
			return nil, err
		}
		points = append(points, point{float64(n), cost})
	}
	return points, nil
}

// byCallers has as many callers ask at once.
func (f *field) byCallers(ctx context.Context, c *contestant) (points []point, err error) {
	for n := 1; n <= mostCallers; n *= 10 {
		by := client(n)
		if _, err := ask(ctx, c, by, small, n, max(2*n, 500), f.tokens[:1]); err != nil {
			return nil, err
		}
		cost, err := f.cost(ctx, c, by, n, max(10*n, 6000), f.tokens[:1])
		by.CloseIdleConnections()
		if err != nil {
			return nil, err
		}
		points = append(points, point{float64(n), cost})
	}
	return points, nil
}

// cost is the median of three rounds.
func (f *field) cost(ctx context.Context, c *contestant, by *http.Client, callers, requests int, tokens []string) (float64, error) {
	var costs []float64
	for range 3 {
		r, err := load(ctx, c, by, small, callers, requests, tokens)
		if err != nil {
			return 0, err
		}
		costs = append(costs, micros(r.cpu)/float64(requests))
	}
	return median(costs), nil
}

// maxQuery is the longest query that is taken by default.
const maxQuery = 16 << 10

// costs asks for each of the texts that Loki's parser pays for out of all proportion: the longest that is
// let through, and one of the longest length, which is refused.
func (f *field) costs(ctx context.Context, c *contestant) (all []costlyText, err error) {
	query := url.Values{"limit": {"1"}}
	for _, text := range costly.Texts {
		one := costlyText{Name: text.Name}
		of := func(n int) url.Values { query.Set("query", text.Of(n)); return query }
		if one.Bytes, err = f.longest(ctx, c, of); err != nil {
			return nil, err
		}
		if one.Bytes > 0 {
			if one.Sent, err = f.dear(ctx, c, of(one.Bytes), "query", "query_range"); err != nil {
				return nil, err
			}
		}
		if one.Refused, err = f.dear(ctx, c, of(maxQuery), "query", "query_range"); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// longest looks for the longest text of a kind that is sent to the upstream, which says that it names no
// size; logfence says other things.
func (f *field) longest(ctx context.Context, c *contestant, of func(int) url.Values) (int, error) {
	low, high := 0, maxQuery
	for high-low > 32 {
		mid := (low + high) / 2
		text, err := f.send(ctx, c, of(mid), "query_range")
		if err != nil {
			return 0, err
		}
		if strings.Contains(text, "unknown size") {
			low = mid
		} else {
			high = mid
		}
	}
	return low, nil
}

// dear is what one request costs: the mean over several, each with another number of spaces behind it, so
// that none is remembered.
func (f *field) dear(ctx context.Context, c *contestant, values url.Values, name, path string) (float64, error) {
	const times = 5
	before, err := c.cpu()
	if err != nil {
		return 0, err
	}
	text := values.Get(name)
	for i := range times {
		values.Set(name, text+strings.Repeat(" ", i+1))
		if _, err := f.send(ctx, c, values, path); err != nil {
			return 0, err
		}
	}
	after, err := c.cpu()
	return micros(after-before) / 1000 / times, err
}

// send asks by POST, and gives what was answered.
func (f *field) send(ctx context.Context, c *contestant, values url.Values, path string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/loki/api/v1/"+path, strings.NewReader(values.Encode()))
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", c.name, err)
	}
	r.Header.Set("Authorization", "Bearer "+f.tokens[0])
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", fmt.Errorf("ask %s: %w", c.name, err)
	}
	defer answer.Body.Close() //nolint:errcheck // it has been read
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}
