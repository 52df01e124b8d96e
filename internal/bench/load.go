package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// A contestant takes requests: the upstream itself, or a proxy in front of it.
type contestant struct {
	name    string
	url     string
	caFile  string                   // CA certificates (PEM file) of an upstream; empty: plain HTTP
	fences  bool                     // takes a query without the tenant's matcher, and adds it
	again   func() (*process, error) // starts another process like it
	process *process                 // nil: its costs are not measured
}

// A workload is what is requested in each round.
type workload struct {
	name              string
	query             string // a format, for the tenant's matcher
	callers, requests int
	gzip              bool
	latency           bool // callers that do not saturate the machine: added latency is meaningful
}

// sized requests a response of a size that the bench's upstreams know.
func sized(name, size string, callers, requests int) workload {
	return workload{name: name, query: `{%sapp="checkout", size="` + size + `"} |= "error"`, callers: callers, requests: requests}
}

// target is the workload's request of a contestant.
func (w workload) target(c *contestant, token string, now time.Time) vegeta.Target {
	matcher := `tenant_id="tenant-0",`
	if c.fences {
		matcher = ""
	}
	values := url.Values{
		"query": {fmt.Sprintf(w.query, matcher)}, "limit": {"200"}, "direction": {"backward"},
		"start": {fmt.Sprint(now.Add(-time.Hour).UnixNano())}, "end": {fmt.Sprint(now.UnixNano())},
	}
	h := http.Header{"Authorization": {"Bearer " + token}}
	if w.gzip {
		h.Set("Accept-Encoding", "gzip")
	}
	return vegeta.Target{Method: http.MethodGet, URL: c.url + "/loki/api/v1/query_range?" + values.Encode(), Header: h}
}

// hits is the pace of callers that each send their next request when they have their response, so many
// requests in all.
type hits uint64

func (n hits) Pace(_ time.Duration, sent uint64) (time.Duration, bool) { return 0, sent >= uint64(n) }
func (hits) Rate(time.Duration) float64                                { return 0 }

// A round is what a contestant gave and what that cost.
type round struct {
	rate     float64 // responses per second
	p50, p99 float64 // latency in microseconds
	cpu      float64 // processor microseconds of a response
}

// load runs one round of a workload, for the tenants of the tokens in turn.
func (b *bench) load(ctx context.Context, c *contestant, w workload, tokens []string) (round, error) {
	targets := make([]vegeta.Target, len(tokens))
	for i, token := range tokens {
		targets[i] = w.target(c, token, b.now)
	}
	transport, err := newTransport(w.callers, c.caFile)
	if err != nil {
		return round{}, err
	}
	defer transport.CloseIdleConnections()
	attacker := vegeta.NewAttacker(vegeta.Client(&http.Client{Transport: transport}), vegeta.MaxBody(0),
		vegeta.Workers(uint64(w.callers)), vegeta.MaxWorkers(uint64(w.callers))) //nolint:gosec // a positive number of ours
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	var before, after time.Duration
	if c.process != nil {
		if before, err = c.process.cpu(); err != nil {
			return round{}, err
		}
	}
	var m vegeta.Metrics
	for r := range attacker.Attack(vegeta.NewStaticTargeter(targets...), hits(w.requests), 0, "") { //nolint:gosec // not negative
		m.Add(r)
	}
	m.Close()
	if c.process != nil {
		if after, err = c.process.cpu(); err != nil {
			return round{}, err
		}
	}
	if ctx.Err() != nil {
		return round{}, fmt.Errorf("%s, %s: %w", w.name, c.name, ctx.Err())
	}
	if len(m.Errors) > 0 {
		return round{}, fmt.Errorf("%s, %s: %s", w.name, c.name, strings.Join(m.Errors, "; "))
	}
	return round{
		rate: m.Throughput, p50: micros(m.Latencies.P50), p99: micros(m.Latencies.P99),
		cpu: micros(after-before) / float64(m.Requests),
	}, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// open sends one request and returns the response, whose body the caller closes.
func (b *bench) open(ctx context.Context, transport *http.Transport, c *contestant, w workload) (*http.Response, error) {
	t := w.target(c, b.tokens[0], b.now)
	r, err := t.Request()
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", w.name, c.name, err)
	}
	got, err := transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("%s, %s: %w", w.name, c.name, err)
	}
	if got.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(got.Body, 1000))
		_ = got.Body.Close() // what it says has been read
		return nil, fmt.Errorf("%s, %s: %s: %s", w.name, c.name, got.Status, text)
	}
	return got, nil
}

// sameBytes checks that all contestants give what the first gives, up to Loki's statistics.
func (b *bench) sameBytes(ctx context.Context, contestants []*contestant, w workload) error {
	var want []byte
	for _, c := range contestants {
		transport, err := newTransport(1, c.caFile)
		if err != nil {
			return err
		}
		got, err := b.open(ctx, transport, c, w) //nolint:bodyclose // closed below
		if err != nil {
			return err
		}
		text, err := io.ReadAll(got.Body)
		transport.CloseIdleConnections()
		if err != nil {
			return fmt.Errorf("%s, %s: %w", w.name, c.name, err)
		}
		text, _, _ = bytes.Cut(text, []byte(`"stats":`))
		if want == nil {
			want = text
		}
		compressed := got.Header.Get("Content-Encoding") == "gzip"
		if !bytes.Equal(text, want) || len(text) < 1000 || compressed != w.gzip {
			return fmt.Errorf("%s, %s: %d bytes that are not the %d of the upstream", w.name, c.name, len(text), len(want))
		}
	}
	return nil
}
