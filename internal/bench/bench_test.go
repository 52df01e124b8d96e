package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestParseLine guarantees that processor time is taken where a benchmark tells it.
func TestParseLine(t *testing.T) {
	for _, tt := range []struct {
		line, name string
		ns         float64
		ok         bool
	}{
		{"BenchmarkFence/cold/rate-2   \t 50\t 976791 ns/op\t 377800 cpu-ns/op\t 577839 B/op\t 48 allocs/op", "BenchmarkFence/cold/rate", 377800, true},
		{"BenchmarkVerifyCached-16 1000 1234.5 ns/op", "BenchmarkVerifyCached", 1234.5, true},
		{"ok  \tgithub.com/logfence/logfence/internal/auth\t1.2s", "", 0, false},
		{"PASS", "", 0, false},
	} {
		if name, ns, ok := parseLine(tt.line); ok != tt.ok || ok && (name != tt.name || ns != tt.ns) {
			t.Errorf("parseLine(%q) = %q, %v, %v", tt.line, name, ns, ok)
		}
	}
}

// TestBudgets guarantees what breaks one: the budget itself, and a figure much worse than the one kept.
func TestBudgets(t *testing.T) {
	most, least, absolute := budget{limit: 1.5}, budget{limit: 0.9, least: true}, budget{limit: 60, absolute: true}
	for _, tt := range []struct {
		b                budget
		now, kept        float64
		inBudget, asKept bool
	}{
		{most, 1.5, 1.4, true, true},
		{most, 1.6, 1.6, false, true},
		{most, 1.3, 1.0, true, false},
		{most, 1.3, 0, true, true}, // nothing is kept yet
		{least, 0.9, 1.0, true, true},
		{least, 0.8, 0.8, false, true},
		{least, 0.95, 1.3, true, false},
		{absolute, 59, 20, true, true}, // another machine
		{absolute, 61, 61, false, true},
	} {
		if inBudget, asKept := tt.b.met(tt.now, tt.kept); inBudget != tt.inBudget || asKept != tt.asKept {
			t.Errorf("%+v: %v, kept %v: %v, %v", tt.b, tt.now, tt.kept, inBudget, asKept)
		}
	}
}

// TestFiguresKept guarantees that what is kept can be read again, holds a figure for each budget, and that
// the README has its place for figures.
func TestFiguresKept(t *testing.T) {
	text, err := os.ReadFile("baseline.json")
	if err != nil {
		t.Fatal(err)
	}
	var kept results
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	for _, b := range budgets {
		if value := b.of(&kept); !(value > 0) {
			t.Errorf("%s: %v is kept", b.what, value)
		}
	}
	folder := t.TempDir()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "README.md"), readme, 0o600); err != nil {
		t.Fatal(err)
	}
	kept.names = []string{nameDirect, nameFloor, nameLogfence}
	if err := kept.write(folder); err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	if err := kept.check(folder, io.Writer(&table)); err != nil && !errors.Is(err, errBroken) {
		t.Error(err)
	}
	if !strings.Contains(table.String(), "2 KB: processor time") {
		t.Errorf("no table: %s", table.String())
	}
}
