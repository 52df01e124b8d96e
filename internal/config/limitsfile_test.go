package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/logfence/logfence/internal/limits"
)

// everybodys are the limits of who has none of its own.
func everybodys(t *testing.T) limits.Limits {
	t.Helper()
	c, err := Load(strings.Fields("LOGFENCE_LOKI_URL=http://loki:3100 LOGFENCE_JWT_ISSUER=https://id.example.com LOGFENCE_JWT_AUDIENCE=logfence"), "")
	if err != nil {
		t.Fatal(err)
	}
	return c.Limits.Limits
}

// TestParseLimits guarantees that each limit that a tenant can have of its own is read, and that what is
// not said is everybody's.
func TestParseLimits(t *testing.T) {
	base := everybodys(t)
	own, err := ParseLimits("limits.yaml", []byte(`
tenants:
  acme: {rate: 50, burst: 100, queries: 8, queue: 0, exports: 1, max_tails: 2, max_range: 2160h}
  globex:
    max_query_bytes: 128000   # more than everybody's
    max_depth: 3
    max_selectors: 4
    max_range_vector: 1h
    max_points: 500
    max_lines: 50
    export_max_lines: 60
    max_answer_bytes: 1MiB
    loki_timeout: 10s
  # a name that YAML would read more into
  2026: {rate: 1}
  initech: {}
`), base)
	if err != nil {
		t.Fatal(err)
	}
	acme := base
	acme.Rate, acme.Burst, acme.Queries, acme.Queue, acme.Exports, acme.MaxTails, acme.MaxRange = 50, 100, 8, 0, 1, 2, 2160*time.Hour
	globex := base
	globex.MaxQueryBytes, globex.MaxDepth, globex.MaxSelectors, globex.MaxRangeVector, globex.MaxPoints = 128_000, 3, 4, time.Hour, 500
	globex.MaxLines, globex.MaxExportLines, globex.MaxAnswerBytes, globex.Timeout = 50, 60, 1<<20, 10*time.Second
	numbered := base
	numbered.Rate = 1
	want := map[string]limits.Limits{"acme": acme, "globex": globex, "2026": numbered, "initech": base}
	for name, limits := range want {
		if own[name] != limits {
			t.Errorf("%s has %+v\nwant %+v", name, own[name], limits)
		}
	}
	if len(own) != len(want) {
		t.Errorf("%d tenants, want %d", len(own), len(want))
	}
	for _, content := range []string{"", "# nobody yet\n", "tenants:\n", "tenants: {}\n"} {
		if own, err := ParseLimits("limits.yaml", []byte(content), base); err != nil || len(own) != 0 {
			t.Errorf("%q: %v, %v", content, own, err)
		}
	}
}

// TestParseLimitsReports guarantees that every mistake is reported at once, each with its place and what to
// write instead.
func TestParseLimitsReports(t *testing.T) {
	for _, tt := range []struct{ name, file, want string }{
		{"all at once", `tenants:
  acme: {rate: many, bursts: 3}
  acme/eu: {rate: 1}
  globex:
    max_range: 30d
    LOGFENCE_MAX_LINES: 5
    queries: 0
    max_query_bytes: 1MiB
    audit_log: "off"
  globex: {}
rate: 5
`, `limits.yaml: *`},
		{"a value", "tenants:\n  acme:\n    rate: many\n    burst: 0\n", `limits.yaml: 2 problems
  tenants.acme.rate: "many" is not a number; write it in digits, such as 5000 (line 3)
  tenants.acme.burst: 0 lets nothing pass; write at least 1, such as 300 (line 4)`},
		{"a key", "tenants:\n  acme: {max_rnage: 1h, audit_log: \"off\"}\n", `limits.yaml: 2 problems
  tenants.acme.max_rnage: unknown key; did you mean "max_range"? (line 2)
  tenants.acme.audit_log: unknown key; there are loki_timeout, *`},
		{"days", "tenants:\n  acme: {max_range: 30d}\n", `limits.yaml: 1 problem
  tenants.acme.max_range: "30d" is in days, which are not a unit here; did you mean "720h"? (line 2)`},
		{"longer than Loki's parser takes", "tenants:\n  acme: {max_query_bytes: 1MiB}\n", `limits.yaml: 1 problem
  tenants.acme.max_query_bytes: 1048576 is out of range; write 1 to 131071 bytes (line 2)`},
		{"not below tenants", "acme: {rate: 5}\n", `limits.yaml: 1 problem
  acme: unknown key; there is "tenants" alone, and below it each tenant's name (line 1)`},
		{"no tenant's name", "tenants:\n  acme/eu: {rate: 5}\n", `limits.yaml: 1 problem
  tenants.acme/eu: no tenant's name; it has 1 to 128 letters, digits, dots, dashes and underscores (line 2)`},
		{"a list of tenants", "tenants:\n- acme\n", `limits.yaml: 1 problem
  tenants: not keys and values; write lines like "acme: {rate: 50}" (line 2)`},
		{"a tenant's name alone", "tenants:\n  acme: 5\n", `limits.yaml: 1 problem
  tenants.acme: not keys and values; *`},
		{"not YAML", "tenants: [", `limits.yaml: 1 problem
  not YAML: *`},
		{"two documents", "tenants: {}\n---\ntenants: {}\n", `limits.yaml: 1 problem
  a second YAML document; write one (line 3)`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseLimits("limits.yaml", []byte(tt.file), everybodys(t))
			if err == nil {
				t.Fatal("taken")
			}
			if got := err.Error(); !glob(tt.want, got) {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// glob compares with a text in which * is anything.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(text, parts[0]) {
		return false
	}
	for _, part := range parts {
		_, rest, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = rest
	}
	return text == "" || strings.HasSuffix(pattern, "*")
}

// TestLoadReadsLimits guarantees that a mistake in the file of limits is found before anything starts, with
// everything else, and that what is in force is shown.
func TestLoadReadsLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "limits.yaml")
	env := strings.Fields("LOGFENCE_LOKI_URL=http://loki:3100 LOGFENCE_JWT_ISSUER=https://id.example.com LOGFENCE_JWT_AUDIENCE=logfence LOGFENCE_LIMITS_FILE=" + file)
	if _, err := Load(env, ""); err == nil || !strings.Contains(err.Error(), "LOGFENCE_LIMITS_FILE: cannot be read: no such file") {
		t.Errorf("no file: %v", err)
	}
	write := func(content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("tenants:\n  acme: {rate: 0}\n")
	if _, err := Load(append(env, "LOGFENCE_MAX_LINES=0"), ""); err == nil || !strings.Contains(err.Error(), "tenants.acme.rate: 0 lets nothing pass") ||
		!strings.Contains(err.Error(), "LOGFENCE_MAX_LINES: 0 lets nothing pass") {
		t.Errorf("mistakes: %v", err)
	}
	write("tenants:\n  acme: {rate: 7}\n")
	c, err := Load(env, "")
	if err != nil {
		t.Fatal(err)
	}
	last := c.Effective()[len(c.Effective())-1]
	if want := (Value{Name: "tenants.acme.rate", Text: "7", From: file + ":2"}); last != want {
		t.Errorf("shown is %+v, want %+v", last, want)
	}
}
