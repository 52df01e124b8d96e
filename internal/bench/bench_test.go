package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadCosts guarantees that processor time counts where a benchmark reports it, and the middle run.
func TestReadCosts(t *testing.T) {
	t.Parallel()
	costs, err := readCosts([]byte(`goos: linux
BenchmarkFence/cold/rate 	 50	 976791 ns/op	 377800 cpu-ns/op	 577839 B/op	 48 allocs/op
BenchmarkFence/cold/rate 	 50	 976791 ns/op	 100000 cpu-ns/op
BenchmarkFence/cold/rate 	 50	 976791 ns/op	 900000 cpu-ns/op
BenchmarkVerifyCached 	 1000	 1234.5 ns/op
PASS
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"Fence/cold/rate": 377.8, "VerifyCached": 1.2345} {
		if got := costs.of[name]; got < want*0.999 || got > want*1.001 {
			t.Errorf("%s: %v, want %v (all: %v)", name, got, want, costs)
		}
	}
	if table := costs.tables(); !strings.Contains(table, "| rate | 377.8 |") {
		t.Errorf("no row for the rate:\n%s", table)
	}
}

// TestBudgetMet guarantees that a budget holds its limit, and that what was not measured is not within it.
func TestBudgetMet(t *testing.T) {
	t.Parallel()
	most, least := budget{limit: 1.25}, budget{limit: 0.9, least: true}
	for _, tt := range []struct {
		b      budget
		figure float64
		want   bool
	}{
		{most, 1.25, true},
		{most, 1.26, false},
		{most, 0, false},
		{least, 0.9, true},
		{least, 0.89, false},
		{least, 0, false},
	} {
		if got := tt.b.met(tt.figure); got != tt.want {
			t.Errorf("%+v: met(%v) = %v, want %v", tt.b, tt.figure, got, tt.want)
		}
	}
}

// TestRatiosWithinARound guarantees that a ratio is formed within a round and the middle one counts, so that a
// round on a busy machine changes nothing; and that the table goes into the README that there is.
func TestRatiosWithinARound(t *testing.T) {
	t.Parallel()
	r := &results{
		names: []string{nameDirect, nameProxy, nameLogfence},
		fence: &fenceCosts{},
		parts: (&bench{}).parts()[:1],
		rounds: map[string]map[string][]round{"nginx2 KB": {
			nameDirect:   {{rate: 100, p50: 1}, {rate: 100, p50: 1}, {rate: 100, p50: 1}},
			nameProxy:    {{rate: 100, cpu: 10}, {rate: 10, cpu: 90}, {rate: 100, cpu: 10}},
			nameLogfence: {{rate: 80, cpu: 12}, {rate: 8, cpu: 108}, {rate: 80, cpu: 50}},
		}},
	}
	if got := onNginx("2 KB", cpuRatio)(r); got != 1.2 {
		t.Errorf("CPU ratio is %v, want 1.2", got)
	}
	if table := r.partTable(r.parts[0]); !strings.Contains(table, "| 2 KB | logfence | 80 | 0.80 | 50 | **1.20** |") {
		t.Errorf("unexpected table:\n%s", table)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(file, readme, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.write(file); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(file); !strings.Contains(string(text), "**1.20**") {
		t.Errorf("the table is not in the file:\n%s", text)
	}
}
