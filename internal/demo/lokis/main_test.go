package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/demo"
)

const output = `=== RUN   TestSeries
=== PAUSE TestSeries
=== RUN   TestWalls
    walls_test.go:12: in the configuration store, there is nothing
--- SKIP: TestWalls (0.00s)
=== CONT  TestSeries
=== RUN   TestSeries/fresh
=== NAME  TestSeries/fresh
    series_test.go:7: the responses differ
--- FAIL: TestSeries (0.10s)
    --- FAIL: TestSeries/fresh (0.00s)
    --- PASS: TestSeries/old (0.00s)
        --- PASS: TestSeries/old/1 (0.00s)
FAIL
`

// TestCount guarantees that tests and subtests are counted by what came of them.
func TestCount(t *testing.T) {
	t.Parallel()
	if got, want := count([]byte(output)), (result{passed: 2, failed: 2, skipped: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestFailures guarantees that what failed, and why, is printed, and that a cell in which everything fails does not fill the log.
func TestFailures(t *testing.T) {
	t.Parallel()
	got := failures([]byte(output))
	for _, want := range []string{"NAME  TestSeries/fresh", "the responses differ", "--- FAIL: TestSeries/fresh"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "PAUSE") || strings.Contains(got, "old") {
		t.Errorf("progress is in\n%s", got)
	}
	if n := strings.Count(failures([]byte(strings.Repeat("line\n", 10_000))), "\n"); n != 301 {
		t.Errorf("%d lines", n)
	}
}

// TestTable guarantees that each cell of the table says whether it was run, and what came of it.
func TestTable(t *testing.T) {
	t.Parallel()
	cells := []cell{
		{"3.7.8", demo.Configuration{Name: "default", Meaning: "one process"}},
		{"3.7.8", demo.Configuration{Name: "patterns-stored", Meaning: "stored", Since: "3.6"}},
		{"3.1.2", demo.Configuration{Name: "default", Meaning: "one process"}},
		{"3.1.2", demo.Configuration{Name: "patterns-stored", Meaning: "stored", Since: "3.6"}},
	}
	var out bytes.Buffer
	table(&out, cells, map[string]result{
		"3.7.8 default":         {passed: 12, skipped: 1, took: 61 * time.Second},
		"3.7.8 patterns-stored": {passed: 10, failed: 2, took: time.Second, err: errors.New("exit status 1")},
	})
	want := `| configuration | what it has | Loki 3.7.8 | Loki 3.1.2 |
| --- | --- | --- | --- |
| %[1]sdefault%[1]s | one process | 12 passed, 1 skipped, 1m1s | not run |
| %[1]spatterns-stored%[1]s | stored | **failed**: 2 of 12, 1s | this version does not have it |
`
	if got := out.String(); got != fmt.Sprintf(want, "`") {
		t.Errorf("got\n%s", got)
	}
}
