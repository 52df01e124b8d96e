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

// runGo runs the Go benchmarks from the repository's top, and gives the medians by name.
func runGo(ctx context.Context) (map[string]float64, error) {
	all := map[string][]float64{}
	for folder, pattern := range goBenchmarks {
		c := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", "200ms", "-count", "3", folder) //nolint:gosec // ours
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		c.Stderr = os.Stderr
		out, err := c.Output()
		if err != nil {
			return nil, fmt.Errorf("go test %s: %w\n%s", folder, err, out)
		}
		for line := range strings.Lines(string(out)) {
			if name, ns, ok := parseLine(line); ok {
				all[name] = append(all[name], ns)
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
