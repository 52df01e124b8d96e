package main

import (
	"fmt"
	"math"
)

// A budget is one promise about cost.
type budget struct {
	what  string
	limit float64
	least bool // the limit is the least there may be, not the most
	of    func(*results) float64
}

// onNginx is a figure of logfence against ReverseProxy's in front of nginx, the median over the rounds.
func onNginx(workload string, figure func(of, proxy round) float64) func(*results) float64 {
	return func(r *results) float64 {
		rounds := r.rounds["nginx"+workload]
		return median(sample(rounds[nameLogfence], rounds[nameProxy], figure)).Center
	}
}

func coldFence(text string) func(*results) float64 {
	return func(r *results) float64 { return r.fence.of["Fence/cold/"+text] / r.fence.of["Fence/parse/"+text] }
}

var budgets = []budget{
	{what: "2 KB: CPU, × ReverseProxy", limit: 1.35, of: onNginx("2 KB", cpuRatio)},
	{what: "200 KB: CPU, × ReverseProxy", limit: 1.25, of: onNginx("200 KB", cpuRatio)},
	{what: "200 KB: throughput, × ReverseProxy", limit: 0.90, least: true, of: onNginx("200 KB", rateRatio)},
	{what: "100 MB: CPU, × ReverseProxy", limit: 1.10, of: onNginx("100 MB", cpuRatio)},
	{what: "100 MB: throughput, × ReverseProxy", limit: 0.92, least: true, of: onNginx("100 MB", rateRatio)},
	{what: "idle: memory, MB", limit: 60, of: func(r *results) float64 { return r.memory[nameLogfence].idle / 1e6 }},
	{what: "in flight: memory of a response, KB", limit: 64, of: func(r *results) float64 { return r.memory[nameLogfence].response / 1024 }},
	{what: "start to ready, ms", limit: 300, of: func(r *results) float64 { return r.memory[nameLogfence].start }},
	{what: "10,000 tenants: CPU, × one", limit: 1.25, of: func(r *results) float64 { return growth(r.tenants) }},
	{what: "1,000 callers at once: CPU, × one", limit: 1.25, of: func(r *results) float64 { return growth(r.callers) }},
	// See firstFlushLatency in package httpapi.
	{what: "first byte of a response that pauses, ms later", limit: 5, of: func(r *results) float64 { return r.firstByte[nameLogfence] }},
	{what: "fence, not cached, a rate: CPU, × one parse", limit: 2.2, of: coldFence("rate")},
	{what: "fence, not cached, a dashboard: CPU, × one parse", limit: 2.2, of: coldFence("dashboard_1_KB")},
	{what: "fence, cached: CPU, µs", limit: 1, of: func(r *results) float64 { return r.fence.of["Fence/cached/dashboard_1_KB"] }},
	{what: "fence, 16 KB query: CPU, × 16 of 1 KB", limit: 1.25, of: func(r *results) float64 {
		return r.fence.of["FenceLength/fence/16KB"] / r.fence.of["FenceLength/fence/1KB"] / 16
	}},
	{what: "fence, most expensive text: CPU, ms", limit: 50, of: func(r *results) float64 { return r.fence.most("Cost") }},
	{what: "live tail, a line for each of 500 viewers: CPU, µs", limit: 4, of: func(r *results) float64 { return r.delivery }},
	{what: "cached token, µs", limit: 2, of: func(r *results) float64 { return r.fence.of["VerifyCached"] }},
}

// met reports whether a figure is within the budget. One that was not measured is in none.
func (b budget) met(figure float64) bool {
	if b.least {
		return figure >= b.limit
	}
	return figure > 0 && figure <= b.limit
}

// budgetTable reports too whether all budgets are met.
func (r *results) budgetTable() (table string, ok bool) {
	ok = true
	var rows [][]string
	for _, b := range budgets {
		figure := b.of(r)
		sign, verdict := "≤", "met"
		if b.least {
			sign = "≥"
		}
		if !b.met(figure) {
			verdict, ok = "**exceeded**", false
			if figure == 0 || math.IsNaN(figure) {
				verdict = "not measured"
			}
		}
		rows = append(rows, []string{b.what, number("%.2f", figure), fmt.Sprintf("%s %.2f", sign, b.limit), verdict})
	}
	return markdown([]string{"budget", "measured", "limit", ""}, rows), ok
}
