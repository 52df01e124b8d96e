package main

import (
	"os"
	"strings"
	"testing"
)

// TestCount guarantees that complete words are found in either case, on their lines, and nothing inside of others.
func TestCount(t *testing.T) {
	t.Parallel()
	terms, err := parse("text\n```terms\nask(s|ed)?   request\n(?-i:people)  users\nask your administrator  allowed\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	n := count(terms, "f.go", []byte("a task and a basket\nAsked, asks: people\nAsk your administrator. People, ask_too_much\n"), &out)
	const want = "f.go:2: Asked (use: request)\nf.go:2: asks (use: request)\nf.go:2: people (use: users)\n"
	if n != 3 || out.String() != want {
		t.Errorf("%d hits:\n%s\nwant 3:\n%s", n, out.String(), want)
	}
}

// TestParse guarantees that a list that cannot be read is an error and not an empty list.
func TestParse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n```terms\nask request\n```\n", "\n```terms\na(  b\n```\n", "\n```terms\nask  request\n"} {
		if terms, err := parse(text); err == nil {
			t.Errorf("%q gives %d terms", text, len(terms))
		}
	}
	text, err := os.ReadFile("../../../" + list)
	if err != nil {
		t.Fatal(err)
	}
	if terms, err := parse(string(text)); err != nil || len(terms) < 10 {
		t.Errorf("%s has %d terms: %v", list, len(terms), err)
	}
}

// TestCounted guarantees that generated files and the list itself are left out, and the client's hand-written sources are not.
func TestCounted(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]bool{
		"internal/loki/loki.go": true, "spec/native.yaml": true, "Makefile": true, "gen/typescript/src/tail.ts": true, "README.md": true,
		"deploy/grafana/logfence.json": true, "internal/limits/shared.lua": true,
		"openapi.yaml": false, "gen/api/api.gen.go": false, "gen/typescript/src/gen/sdk.gen.ts": false, "docs/terms.md": false,
		"internal/web/explore/package-lock.json": false, "deploy/chart/files/alerts.yaml": false,
	} {
		if counted(file) != want {
			t.Errorf("counted(%q) = %t", file, !want)
		}
	}
}
