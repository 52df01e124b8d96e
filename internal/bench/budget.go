package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
)

// tolerance is by how much a figure may be worse than the last one kept: rounds on a busy machine differ by
// a tenth.
const tolerance = 1.25

// A budget is one promise about cost.
type budget struct {
	what  string
	limit float64
	least bool // the limit is the least there may be, not the most
	of    func(*results) float64
	// absolute figures are the machine's, or its collector's, as much as ours: they are held to the budget
	// alone.
	absolute bool
}

func cpuRatio(size string) func(*results) float64 {
	return func(r *results) float64 { return r.Workloads[size][nameLogfence].CPURatio }
}

// throughput is how many answers come of a processor's second, in relation to the floor.
func throughput(size string) func(*results) float64 {
	return func(r *results) float64 { return r.Workloads[size][nameLogfence].Throughput }
}

func coldRatio(text string) func(*results) float64 {
	return func(r *results) float64 {
		return r.Go["BenchmarkFence/cold/"+text] / r.Go["BenchmarkFence/parse/"+text]
	}
}

var budgets = []budget{
	{what: "2 KB: processor time, × floor", limit: 1.5, of: cpuRatio(small)},
	{what: "200 KB: throughput, × floor", limit: 0.9, least: true, of: throughput(medium)},
	{what: "100 MB: throughput, × floor", limit: 0.95, least: true, of: throughput(large)},
	{what: "first byte later by, ms", limit: 5, absolute: true, of: func(r *results) float64 { return r.Footings[nameLogfence].FirstByte / 1000 }},
	{what: "memory of a stream, KB", limit: 64, absolute: true, of: func(r *results) float64 { return r.Footings[nameLogfence].PerStream / 1024 }},
	{what: "memory when idle, MB", limit: 60, absolute: true, of: func(r *results) float64 { return r.Footings[nameLogfence].Idle / 1e6 }},
	{what: "start to ready, ms", limit: 300, absolute: true, of: func(r *results) float64 { return r.Footings[nameLogfence].Start }},
	{what: "fence, seen lately, µs", limit: 1, absolute: true, of: func(r *results) float64 { return r.Go["BenchmarkFence/lately/dashboard_1_KB"] / 1000 }},
	{what: "fence, cold, a rate, × one parse", limit: 2.2, absolute: true, of: coldRatio("rate")},
	{what: "fence, cold, a dashboard's, × one parse", limit: 2.2, absolute: true, of: coldRatio("dashboard_1_KB")},
	{what: "token, seen lately, µs", limit: 2, absolute: true, of: func(r *results) float64 { return r.Go["BenchmarkVerifyCached"] / 1000 }},
	{what: "10,000 tenants, × one", limit: 1.25, of: func(r *results) float64 { return growth(r.Tenants) }},
	{what: "1,000 callers, × one", limit: 1.25, of: func(r *results) float64 { return growth(r.Callers) }},
	{what: "16 KB query, × 1 KB and its length", limit: 1.25, of: func(r *results) float64 {
		return r.Go["BenchmarkFenceLength/fence/16KB"] / r.Go["BenchmarkFenceLength/fence/1KB"] / 16
	}},
	{what: "the dearest text, ms", limit: 50, absolute: true, of: func(r *results) float64 {
		most := 0.0
		for _, c := range r.Costs {
			most = max(most, c.Sent, c.Refused)
		}
		return most
	}},
}

// growth is what the last point costs in relation to the first.
func growth(points []point) float64 {
	if len(points) == 0 {
		return 0
	}
	return points[len(points)-1].Cost / points[0].Cost
}

// met tells whether a figure keeps to the budget, and whether to what was kept.
func (b budget) met(now, kept float64) (budget, baseline bool) {
	if b.least {
		return now >= b.limit, b.absolute || kept == 0 || now*tolerance >= kept
	}
	return now <= b.limit, b.absolute || kept == 0 || now <= kept*tolerance
}

// errBroken is for who reads the table as well.
var errBroken = errors.New("a budget is broken")

// check holds a run against the budgets and against the last figures kept.
func (r *results) check(folder string, out io.Writer) error {
	text, err := os.ReadFile(filepath.Join(folder, "baseline.json"))
	if err != nil {
		return fmt.Errorf("read baseline: %w", err)
	}
	var kept results
	if err := json.Unmarshal(text, &kept); err != nil {
		return fmt.Errorf("read baseline: %w", err)
	}
	broken := false
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\tnow\tbudget\tkept\t\n")
	for _, b := range budgets {
		now, before := b.of(r), b.of(&kept)
		verdict := "ok"
		switch inBudget, asKept := b.met(now, before); {
		case !inBudget:
			verdict, broken = "BROKEN", true
		case !asKept:
			verdict, broken = fmt.Sprintf("WORSE by more than %.0f %%", (tolerance-1)*100), true
		}
		sign := "≤"
		if b.least {
			sign = "≥"
		}
		_, _ = fmt.Fprintf(w, "%s\t%.2f\t%s %.2f\t%.2f\t%s\n", b.what, now, sign, b.limit, before, verdict)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	if broken {
		return errBroken
	}
	return nil
}
