package config

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of settings into docs/configuration.md, and the chart's schema")

// TestConfigurationTable guarantees that the table of docs/configuration.md is that of the settings. After a change:
//
//	go test ./internal/config -run Configuration -update
func TestConfigurationTable(t *testing.T) {
	const file, begin, end = "../../docs/configuration.md", "<!-- settings -->\n", "<!-- /settings -->"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(raw), begin)
	table, tail, okEnd := strings.Cut(rest, end)
	if !ok || !okEnd {
		t.Fatalf("docs/configuration.md has no table between %q and %q", begin, end)
	}
	if table == Markdown() {
		return
	}
	if !*update {
		t.Fatal("docs/configuration.md's table of settings is stale; run: go test ./internal/config -run Configuration -update")
	}
	if err := os.WriteFile(file, []byte(head+begin+Markdown()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
