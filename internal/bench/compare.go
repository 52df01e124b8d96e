package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// options are what the command line says.
type options struct {
	logfence, before string
	rounds           int
	only             string
}

// A workload is what is asked in one round.
type workload struct {
	size              string
	callers, requests int // under load
	alone             int // requests of one caller who is alone
	rounds            int // 0: as the command line says
}

var workloads = []workload{
	{size: small, callers: 16, requests: 4000, alone: 300},
	{size: medium, callers: 8, requests: 600, alone: 60},
	{size: series, callers: 8, requests: 600, alone: 60},
	{size: large, callers: 2, requests: 4, rounds: 5},
}

// A figure is what a contestant needed, as the median over the rounds.
type figure struct {
	Rate       float64 // requests per second of wall time
	P50, P99   float64 // microseconds, of a caller who is alone
	First      float64 // microseconds until the first byte, of the same
	CPU        float64 // microseconds a request
	Allocs     float64 // a request
	RateRatio  float64 // to the floor, in the same round
	CPURatio   float64
	Throughput float64 // answers for each second of a processor, in relation to the floor's
}

func compare(ctx context.Context, o options) error {
	f, err := newField(ctx, o.logfence, o.before, 1)
	if err != nil {
		return err
	}
	defer f.close()
	for _, w := range workloads {
		if o.only != "" && o.only != w.size {
			continue
		}
		figures, err := f.run(ctx, w, o.rounds)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stdout, "%s\n%-18s %9s %7s %9s %9s %9s %8s %8s\n", w.size, "", "req/s", "ratio", "p50 µs", "p99 µs", "CPU µs", "ratio", "allocs")
		for i, c := range f.contestants {
			g := figures[i]
			fmt.Fprintf(os.Stdout, "%-18s %9.0f %7.2f %9.0f %9.0f %9.1f %8.2f %8.0f\n", c.name, g.Rate, g.RateRatio, g.P50, g.P99, g.CPU, g.CPURatio, g.Allocs)
		}
	}
	if o.only != "" && o.only != "memory" {
		return nil
	}
	fmt.Fprintf(os.Stdout, "%-18s %9s %9s %9s %9s %9s\n", "", "start ms", "idle MB", "stream KB", "first µs", "peak MB")
	for _, c := range f.contestants[1:] {
		g, err := f.footingOf(ctx, c)
		if err != nil {
			return err
		}
		fmt.Fprintf(os.Stdout, "%-18s %9.0f %9.1f %9.1f %9.0f %9.1f\n", c.name, g.Start, g.Idle/1e6, g.PerStream/1024, g.FirstByte, g.Peak/1e6)
	}
	return nil
}

// run lets the contestants take turns, each round beginning with another of them.
func (f *field) run(ctx context.Context, w workload, rounds int) ([]figure, error) {
	if w.rounds > 0 {
		rounds = min(rounds, w.rounds)
	}
	busy, alone := make([][]round, len(f.contestants)), make([][]round, len(f.contestants))
	for i := range rounds + 1 {
		for j := range f.contestants {
			k := (i + j) % len(f.contestants)
			c := f.contestants[k]
			by := client(w.callers)
			r, err := load(ctx, c, by, w.size, w.callers, w.requests, f.tokens)
			if err != nil {
				return nil, err
			}
			var a round
			if w.alone > 0 {
				if a, err = load(ctx, c, by, w.size, 1, w.alone, f.tokens); err != nil {
					return nil, err
				}
			}
			by.CloseIdleConnections()
			if i > 0 { // the first is to warm up
				busy[k], alone[k] = append(busy[k], r), append(alone[k], a)
			}
		}
	}
	floor := slices.IndexFunc(f.contestants, func(c *contestant) bool { return c.name == nameFloor })
	figures := make([]figure, len(f.contestants))
	for k := range f.contestants {
		figures[k] = summary(busy[k], busy[floor], alone[k])
	}
	return figures, nil
}

// summary are the medians over the rounds.
func summary(busy, floor, alone []round) figure {
	over := func(of func(i int) float64) float64 {
		values := make([]float64, len(busy))
		for i := range busy {
			values[i] = of(i)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	rate := func(r round) float64 { return float64(r.requests) / r.wall.Seconds() }
	cpu := func(r round) float64 { return micros(r.cpu) / float64(r.requests) }
	return figure{
		Rate:       over(func(i int) float64 { return rate(busy[i]) }),
		RateRatio:  over(func(i int) float64 { return rate(busy[i]) / rate(floor[i]) }),
		CPU:        over(func(i int) float64 { return cpu(busy[i]) }),
		CPURatio:   over(func(i int) float64 { return cpu(busy[i]) / cpu(floor[i]) }),
		Throughput: over(func(i int) float64 { return cpu(floor[i]) / cpu(busy[i]) }),
		Allocs:     over(func(i int) float64 { return busy[i].allocs / float64(busy[i].requests) }),
		P50:        over(func(i int) float64 { return micros(percentile(alone[i].latencies, .5)) }),
		P99:        over(func(i int) float64 { return micros(percentile(alone[i].latencies, .99)) }),
		First:      over(func(i int) float64 { return micros(alone[i].first) }),
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
