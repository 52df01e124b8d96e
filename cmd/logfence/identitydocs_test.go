package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/logfence/logfence/internal/config"
)

// TestIdentityPage guarantees that every section of docs/identity.md about a provider has settings that load, and names
// cases that the test of identity providers runs.
func TestIdentityPage(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "identity.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, c := range readIdentityCases(t) {
		known[c.Case] = true
	}
	dir := t.TempDir()
	startProvider(t, newTestKeys(t)).writeFiles(t, dir)
	file := regexp.MustCompile(`(?m)^( +)(ca_file|bearer_token_file|keys_file): .*$`)
	named := regexp.MustCompile("(?s)\nCases: (.*?)\\.\n")
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	sections := strings.Split(string(raw), "\n## ")[2:] // after the introduction and how a token is accepted
	for _, section := range sections {
		title, _, _ := strings.Cut(section, "\n")
		cases := named.FindStringSubmatch(section)
		if cases == nil {
			t.Errorf("%s: no cases", title)
			continue
		}
		for _, name := range regexp.MustCompile("(?s)`(.+?)`").FindAllStringSubmatch(cases[1], -1) {
			if !known[name[1]] {
				t.Errorf("%s: no case %q", title, name[1])
			}
		}
		for _, settings := range block.FindAllStringSubmatch(section, -1) {
			text := file.ReplaceAllStringFunc(settings[1], func(line string) string {
				m := file.FindStringSubmatch(line)
				name := map[string]string{"ca_file": "ca.pem", "bearer_token_file": "bearer", "keys_file": "k8s.jwks"}[m[2]]
				return m[1] + m[2] + ": " + filepath.Join(dir, name)
			})
			path := filepath.Join(dir, "config.yaml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load([]string{"LOGFENCE_LOKI_URL=http://loki:3100"}, path); err != nil {
				t.Errorf("%s:\n%s\n%v", title, settings[1], err)
			}
		}
	}
}
