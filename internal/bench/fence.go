package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// fenceCosts are processor microseconds by Go benchmark, the median of several runs.
type fenceCosts struct {
	names []string // of the benchmarks, as they ran
	of    map[string]float64
}

// measureFence runs the Go benchmarks of the fence and of tokens, from the top of the repository. They run on one
// core: the garbage collector takes an idle second one, too, as much of it as there is.
func measureFence(ctx context.Context) (*fenceCosts, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^(BenchmarkFence|BenchmarkFenceLength|BenchmarkCost|BenchmarkVerifyCached)$",
		"-benchtime", "100ms", "-count", "5", "-cpu", "1", "./internal/tenancy", "./internal/auth")
	cmd.Env, cmd.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go test: %w\n%s", err, out)
	}
	return readCosts(out)
}

// readCosts reads Go's benchmark format. Processor time counts where a benchmark reports it: on a busy
// machine it is the true one.
func readCosts(out []byte) (*fenceCosts, error) {
	f := &fenceCosts{of: map[string]float64{}}
	runs := map[string][]float64{}
	r := benchfmt.NewReader(bytes.NewReader(out), "go test")
	for r.Scan() {
		result, ok := r.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		seconds, ok := result.Value("cpu-sec/op")
		if !ok {
			seconds, _ = result.Value("sec/op")
		}
		name := result.Name.String()
		if runs[name] == nil {
			f.names = append(f.names, name)
		}
		runs[name] = append(runs[name], seconds*1e6)
	}
	for name, values := range runs {
		f.of[name] = middle(values)
	}
	return f, r.Err()
}

// tables are the benchmarks with two levels below their name: the first in columns, the second in rows.
func (f *fenceCosts) tables() string {
	return f.table("Fence", "fence, CPU µs") + "\n" + f.table("Cost", "most expensive texts, CPU µs") +
		fmt.Sprintf("\nA cached token takes %.2f µs.\n", f.of["VerifyCached"])
}

func (f *fenceCosts) table(benchmark, title string) string {
	head, rows := []string{title}, [][]string{}
	for _, name := range f.names {
		parts := strings.Split(name, "/")
		if len(parts) != 3 || parts[0] != benchmark {
			continue
		}
		if !slices.Contains(head, parts[1]) {
			head = append(head, parts[1])
		}
		text := strings.ReplaceAll(parts[2], "_", " ")
		row := slices.IndexFunc(rows, func(row []string) bool { return row[0] == text })
		if row < 0 {
			row, rows = len(rows), append(rows, []string{text})
		}
		rows[row] = append(rows[row], number("%.1f", f.of[name]))
	}
	return markdown(head, rows)
}

// most is the highest cost of a benchmark's, in milliseconds; 0 if it has none.
func (f *fenceCosts) most(benchmark string) float64 {
	most := 0.0
	for name, cost := range f.of {
		if strings.HasPrefix(name, benchmark+"/") {
			most = max(most, cost/1000)
		}
	}
	return most
}
