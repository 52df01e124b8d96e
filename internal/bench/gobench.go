package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// goBenchmarks are those whose figures have a budget or a place in a chart, by package.
var goBenchmarks = map[string]string{
	"./internal/tenancy": "^(BenchmarkFence|BenchmarkFenceLength)$",
	"./internal/auth":    "^BenchmarkVerifyCached$",
}

// The units that benchmarks tell; processor time where they do, since it is true on a busy machine, too.
const (
	unitCPU  = "cpu-ns/op"
	unitWall = "ns/op"
)

// goRuns is how often each runs. Each time is a process of its own, so that what is set in relation to one
// another took turns on the machine.
const goRuns = 5

// runGo runs the Go benchmarks from the repository's top, and gives the medians by name. They run on one
// core: with another that is idle, the collector of garbage takes that too, as much of it as there is, and
// the processor time of two parses was anything from 1.9 to 2.6 times that of one.
func runGo(ctx context.Context) (map[string]float64, error) {
	all := map[string][]float64{}
	for range goRuns {
		for folder, pattern := range goBenchmarks {
			if err := runFolder(ctx, folder, pattern, all); err != nil {
				return nil, err
			}
		}
	}
	medians := map[string]float64{}
	for name, values := range all {
		slices.Sort(values)
		medians[name] = values[len(values)/2]
	}
	return medians, nil
}

func runFolder(ctx context.Context, folder, pattern string, all map[string][]float64) error {
	c := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", "200ms", "-cpu", "1", folder) //nolint:gosec // ours
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return fmt.Errorf("go test %s: %w\n%s", folder, err, out)
	}
	for line := range strings.Lines(string(out)) {
		if name, ns, ok := parseLine(line); ok {
			all[name] = append(all[name], ns)
		}
	}
	return nil
}

// cores is what go test appends to a name.
var cores = regexp.MustCompile(`-[0-9]+$`)

// parseLine reads one line of Go's benchmark format: a name, how often, and pairs of a value and its unit.
func parseLine(line string) (name string, ns float64, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
		return "", 0, false
	}
	for i := 2; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return "", 0, false
		}
		if fields[i+1] == unitCPU || fields[i+1] == unitWall && !ok {
			ns, ok = value, true
		}
	}
	return cores.ReplaceAllString(fields[0], ""), ns, ok
}
