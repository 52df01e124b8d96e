package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options are what the command line says.
type options struct {
	logfence, before string
	rounds           int
	only             []string // parts: sizes, memory, growth, go; all where there are none
	out              io.Writer
}

// A workload is what is asked in one round.
type workload struct {
	size              string
	callers, requests int // under load
	alone             int // requests of one caller who is alone
	rounds            int // at most; 0: as the command line says
	times             int // as often as the command line says, where one round is short; 0: once
}

var workloads = []workload{
	{size: small, callers: 16, requests: 4000, alone: 300, times: 3},
	{size: medium, callers: 8, requests: 600, alone: 60},
	{size: series, callers: 8, requests: 600, alone: 60},
	{size: large, callers: 2, requests: 4, rounds: 5},
}

// name is what people call the answers.
func (w workload) name() string {
	if w.size == series {
		return "200 KB in small pieces"
	}
	return strings.Replace(strings.Replace(w.size, "KB", " KB", 1), "MB", " MB", 1)
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

// results are all figures of a run.
type results struct {
	Machine   string
	Workloads map[string]map[string]figure // by size, by contestant
	Footings  map[string]footing           // by contestant
	Tenants   []point                      // processor time of a request by how many tenants ask
	Callers   []point                      // and by how many callers at once
	Costs     []costlyText
	Go        map[string]float64 // nanoseconds, by benchmark
	names     []string           // of the contestants, in their order
}

// measure lets everything be measured that is asked for.
func measure(ctx context.Context, o options) (*results, error) {
	tenants := 1
	if o.wants("growth") {
		tenants = mostTenants
	}
	f, err := newField(ctx, o.logfence, o.before, tenants)
	if err != nil {
		return nil, err
	}
	defer f.close()
	r := &results{Machine: machine(), Workloads: map[string]map[string]figure{}, Footings: map[string]footing{}}
	for _, c := range f.contestants {
		r.names = append(r.names, c.name)
	}
	for _, w := range workloads {
		if !o.wants(w.size) {
			continue
		}
		figures, err := f.run(ctx, w, o.rounds)
		if err != nil {
			return nil, err
		}
		r.Workloads[w.size] = map[string]figure{}
		for i, c := range f.contestants {
			r.Workloads[w.size][c.name] = figures[i]
		}
		o.say("%s", r.workloadTable(w))
	}
	if o.wants("memory") {
		for _, c := range f.contestants {
			if c.again == nil {
				continue
			}
			if r.Footings[c.name], err = f.footingOf(ctx, c); err != nil {
				return nil, err
			}
		}
		o.say("%s", r.footingTable())
	}
	if o.wants("growth") {
		if err := f.grow(ctx, r); err != nil {
			return nil, err
		}
		o.say("%s\n%s", r.growthTable(), r.costTable())
	}
	if o.wants("go") {
		if r.Go, err = runGo(ctx); err != nil {
			return nil, err
		}
		o.say("%s", r.goTable())
	}
	return r, nil
}

// grow measures what becomes of logfence's costs where there is more of something.
func (f *field) grow(ctx context.Context, r *results) (err error) {
	c := f.find(nameLogfence)
	if r.Tenants, err = f.byTenants(ctx, c); err != nil {
		return err
	}
	if r.Callers, err = f.byCallers(ctx, c); err != nil {
		return err
	}
	r.Costs, err = f.costs(ctx, c)
	return err
}

func (o options) wants(part string) bool {
	return len(o.only) == 0 || slices.Contains(o.only, part)
}

func (o options) say(format string, args ...any) {
	_, _ = fmt.Fprintf(o.out, format+"\n", args...) // who does not see it has the files
}

// run lets the contestants take turns, each round beginning with another of them.
func (f *field) run(ctx context.Context, w workload, rounds int) ([]figure, error) {
	rounds *= max(w.times, 1)
	if w.rounds > 0 {
		rounds = min(rounds, w.rounds)
	}
	busy, alone := make([][]round, len(f.contestants)), make([][]round, len(f.contestants))
	for i := range rounds + 1 {
		for j := range f.contestants {
			k := (i + j) % len(f.contestants)
			c := f.contestants[k]
			by := client(w.callers)
			r, err := load(ctx, c, by, w.size, w.callers, w.requests, f.tokens[:1])
			if err != nil {
				return nil, err
			}
			var a round
			if w.alone > 0 {
				if a, err = load(ctx, c, by, w.size, 1, w.alone, f.tokens[:1]); err != nil {
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
