package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/perf/benchmath"
)

// markdown is a table, its first column text and the others numbers.
func markdown(head []string, rows [][]string) string {
	rule := slices.Concat([]string{"---"}, slices.Repeat([]string{"--:"}, len(head)-1))
	var b strings.Builder
	for _, row := range slices.Concat([][]string{head, rule}, rows) {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
	}
	return b.String()
}

func number(format string, value float64) string {
	if value == 0 || math.IsNaN(value) {
		return "–"
	}
	return fmt.Sprintf(format, value)
}

// ratio is a median and, with rounds enough, how far its confidence interval reaches from it.
func ratio(s benchmath.Summary) string {
	if s.Center == 0 || len(s.Warnings) > 0 {
		return number("%.2f", s.Center)
	}
	return fmt.Sprintf("%.2f ± %s", s.Center, s.PctRangeString())
}

// Figures of a contestant in one round, and against another's in the same round.
func rate(of, _ round) float64            { return of.rate }
func rateRatio(of, proxy round) float64   { return of.rate / proxy.rate }
func cpu(of, _ round) float64             { return of.cpu }
func cpuRatio(of, proxy round) float64    { return of.cpu / proxy.cpu }
func p50(of, _ round) float64             { return of.p50 }
func p99(of, _ round) float64             { return of.p99 }
func addedP50(of, upstream round) float64 { return of.p50 - upstream.p50 }
func addedP99(of, upstream round) float64 { return of.p99 - upstream.p99 }

func (r *results) partTable(p part) string {
	var rows [][]string
	for _, w := range p.workloads {
		rounds := r.rounds[p.name+w.name]
		proxy, upstream := rounds[nameProxy], rounds[nameDirect]
		for _, name := range r.names {
			of := rounds[name]
			absolute := func(figure func(of, against round) float64) string {
				return number("%.0f", median(sample(of, of, figure)).Center)
			}
			added := func(figure func(of, upstream round) float64) string {
				if !w.latency {
					return "" // where callers saturate the machine, latency is their queue
				}
				return number("%+.0f", median(sample(of, upstream, figure)).Center)
			}
			rows = append(rows, []string{
				w.name, name, absolute(rate), ratio(median(sample(of, proxy, rateRatio))),
				absolute(cpu), "**" + ratio(median(sample(of, proxy, cpuRatio))) + "**",
				absolute(p50), added(addedP50), absolute(p99), added(addedP99), r.delta(rounds, name),
			})
		}
	}
	return markdown([]string{p.title, "", "responses/s", "× proxy", "CPU µs", "× proxy", "p50 µs", "added", "p99 µs", "added", "CPU since before"}, rows)
}

// delta is the change of logfence's CPU ratio since the earlier build: "~" if it may be chance.
func (r *results) delta(rounds map[string][]round, name string) string {
	proxy, before := rounds[nameProxy], rounds[nameBefore]
	if name != nameLogfence || len(before) == 0 {
		return ""
	}
	was, is := sample(before, proxy, cpuRatio), sample(rounds[name], proxy, cpuRatio)
	compared := benchmath.AssumeNothing.Compare(was, is)
	return compared.FormatDelta(median(was).Center, median(is).Center) + " (" + compared.String() + ")"
}

func (r *results) memoryTable() string {
	var rows [][]string
	for _, name := range r.names[1:] {
		f := r.memory[name]
		rows = append(rows, []string{
			name, number("%.0f", f.start), number("%.0f", f.idle/1e6), number("%.0f", f.response/1024), number("%.0f", f.peak/1e6), number("%.1f", r.firstByte[name]),
		})
	}
	return markdown([]string{"", "start to ready, ms", "idle, MB", "a response in flight, KB", "peak, MB", "first byte later by, ms"}, rows)
}

func (r *results) growthTable() string {
	row := func(name string, points []point) []string {
		cells := make([]string, 6)
		cells[0] = name
		for i, p := range points {
			cells[i+1] = fmt.Sprintf("%.0f: %.0f", p.at, p.cost)
		}
		return cells
	}
	return markdown([]string{"CPU µs of a 2 KB response", "", "", "", "", ""}, [][]string{row("by tenants", r.tenants), row("by callers at once", r.callers)})
}

// machine names what figures depend on most.
func machine() string {
	model := "unknown processor"
	text, _ := os.ReadFile("/proc/cpuinfo")
	if _, rest, ok := strings.Cut(string(text), "model name\t: "); ok {
		model, _, _ = strings.Cut(rest, "\n")
	}
	return fmt.Sprintf("%s, %d cores, %s, %s/%s", model, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

const (
	beginFigures = "<!-- figures -->\n"
	endFigures   = "<!-- /figures -->\n"
)

// write puts the tables into a file, between two marks.
func (r *results) write(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	head, rest, ok := bytes.Cut(text, []byte(beginFigures))
	_, tail, ended := bytes.Cut(rest, []byte(endFigures))
	if !ok || !ended {
		return fmt.Errorf("write figures: %s has no marks for them", file)
	}
	budgets, _ := r.budgetTable()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%s\n%s.\n\n%s\n", head, beginFigures, machine(), budgets)
	for _, p := range r.parts {
		fmt.Fprintf(&b, "%s\n", r.partTable(p))
	}
	fmt.Fprintf(&b, "%s\n%s\n%s\n%s%s", r.memoryTable(), r.growthTable(), r.fence.tables(), endFigures, tail)
	if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil { //nolint:gosec // for everybody to read
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}
