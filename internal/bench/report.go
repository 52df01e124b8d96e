package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// machine says where figures come from, as far as that matters for them.
func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s, %s/%s", model, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// table is one of Markdown, its first column text and the others numbers.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(head)
	rule := []string{"---"}
	for range head[1:] {
		rule = append(rule, "--:")
	}
	line(rule)
	for _, row := range rows {
		line(row)
	}
	return b.String()
}

func number(format string, value float64) string {
	if value == 0 {
		return "–"
	}
	return fmt.Sprintf(format, value)
}

func (r *results) workloadTable(w workload) string {
	var rows [][]string
	for _, name := range r.names {
		g := r.Workloads[w.size][name]
		rows = append(rows, []string{
			name, number("%.0f", g.Rate), number("%.2f", g.RateRatio), number("%.0f", g.P50), number("%.0f", g.P99),
			number("%.0f", g.CPU), "**" + number("%.2f", g.CPURatio) + "**", number("%.0f", g.Allocs),
		})
	}
	return table([]string{w.name(), "requests/s", "× floor", "p50 µs", "p99 µs", "CPU µs", "× floor", "allocations"}, rows)
}

func (r *results) footingTable() string {
	var rows [][]string
	for _, name := range r.names {
		if g, ok := r.Footings[name]; ok {
			rows = append(rows, []string{
				name, number("%.0f", g.Start), number("%.0f", g.Idle/1e6), number("%.0f", g.PerStream/1024),
				number("%.1f", g.FirstByte/1000), number("%.0f", g.Peak/1e6),
			})
		}
	}
	return table([]string{"", "start to ready, ms", "idle, MB", "a stream, KB", "first byte later by, ms", "peak, MB"}, rows)
}

func (r *results) growthTable() string {
	row := func(name string, points []point) []string {
		cells := []string{name}
		for _, p := range points {
			cells = append(cells, fmt.Sprintf("%.0f: %.0f", p.At, p.Cost))
		}
		for len(cells) < 6 {
			cells = append(cells, "")
		}
		return cells
	}
	return table([]string{"CPU µs a request", "", "", "", "", ""}, [][]string{row("by tenants", r.Tenants), row("by callers at once", r.Callers)})
}

func (r *results) costTable() string {
	var rows [][]string
	for _, c := range r.Costs {
		rows = append(rows, []string{c.Name, number("%.0f", float64(c.Bytes)), number("%.1f", c.Sent), number("%.1f", c.Refused)})
	}
	return table([]string{"dear texts", "longest sent, bytes", "sent, CPU ms", "refused, CPU ms"}, rows)
}

func (r *results) goTable() string {
	var rows [][]string
	for _, text := range []string{"selector", "rate", "dashboard_1_KB", "dashboard_10_KB", "long_alternation", "folded_search"} {
		parse, cold, lately := r.Go["BenchmarkFence/parse/"+text], r.Go["BenchmarkFence/cold/"+text], r.Go["BenchmarkFence/lately/"+text]
		rows = append(rows, []string{
			strings.ReplaceAll(text, "_", " "), number("%.1f", parse/1000), number("%.1f", cold/1000), number("%.2f", cold/parse), number("%.2f", lately/1000),
		})
	}
	return table([]string{"fence, CPU µs", "one parse", "cold", "× parse", "seen lately"}, rows) +
		fmt.Sprintf("\nA token that was seen lately takes %.2f µs.\n", r.Go["BenchmarkVerifyCached"]/1000)
}

const (
	beginFigures = "<!-- figures -->\n"
	endFigures   = "<!-- /figures -->\n"
)

// write keeps the figures: in the README between two marks, as charts, and for the next check.
func (r *results) write(folder string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s.\n\n", beginFigures, r.Machine)
	for _, w := range workloads {
		fmt.Fprintf(&b, "%s\n", r.workloadTable(w))
	}
	fmt.Fprintf(&b, "%s\n%s\n%s\n%s\n%s", r.footingTable(), r.goTable(), r.growthTable(), r.costTable(), endFigures)
	name := filepath.Join(folder, "README.md")
	old, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	before, rest, ok := bytes.Cut(old, []byte(beginFigures))
	_, after, ended := bytes.Cut(rest, []byte(endFigures))
	if !ok || !ended {
		return fmt.Errorf("write figures: %s has no marks for them", name)
	}
	kept, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	for file, text := range map[string][]byte{
		"README.md":     bytes.Join([][]byte{before, b.Bytes(), after}, nil),
		"baseline.json": append(kept, '\n'),
		"load.svg":      []byte(r.loadChart()),
		"growth.svg":    []byte(r.growthChart()),
	} {
		if err := os.WriteFile(filepath.Join(folder, file), text, 0o644); err != nil { //nolint:gosec // for everybody to read
			return fmt.Errorf("write figures: %w", err)
		}
	}
	return nil
}
